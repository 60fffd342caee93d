"""What lies between two plans: each kind of change alone, and what holds for all."""

from __future__ import annotations

from hypothesis import given

from dfc.cli.moving import move
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.plan import Plan, every_node
from dfc.compiler.plan_diff import Change, compare
from dfc.compiler.source import Source
from tests.compiler_middle.plans import plans


def plan(text: str) -> Plan:
    compiled = compile_file(Source("test", text))
    (statement,) = compiled.statements
    assert isinstance(statement, CompiledStatement)
    assert statement.compiled.plan is not None, compiled.problems
    return statement.compiled.plan


def changes(old: str, new: str) -> dict[str, set[Change]]:
    difference = compare(plan(old), plan(new))
    return {each.id: {detail.change for detail in each.details} for each in difference.changes}


A, B, C = (f"df.step('{name}', 'SELECT 1 AS {name}')" for name in "abc")


def test_each_kind_of_change() -> None:
    assert changes(f"{A} ~> {B}", f"{A} ~> {B}") == {}
    assert changes(f"{A} ~> {B}", f"{A} ~> {C} ~> {B}") == {"c": {Change.ADDED}}
    assert changes(f"{A} ~> {C} ~> {B}", f"{A} ~> {B}") == {"c": {Change.REMOVED}}
    assert changes(f"{A} ~> {B}", f"{A} ~> df.step('b', 'SELECT 2')") == {"b": {Change.SQL}}
    assert changes(A, "df.step('a', 'SELECT 1 AS a', timeout => '1 h')") == {"a": {Change.POLICY}}
    assert changes(f"{A} |=> 'x' ~> {B}", f"{A} |=> 'y' ~> {B}") == {"a": {Change.NAMES}}
    assert changes("df.sleep(5)", "df.sleep(6)") == {"sleep_1": {Change.CONTENT}}
    with_else = changes(f"df.if('SELECT true', {A}, {B})", f"df.if('SELECT true', {A})")
    assert with_else == {"if_3": {Change.STRUCTURE, Change.NUMBERED}, "b": {Change.REMOVED}}


def said(old: str, new: str) -> list[tuple[str, str, str, str]]:
    found = compare(plan(old), plan(new))
    return [(change.id, each.what, each.old, each.new) for change in found.changes for each in change.details]


def test_what_is_different_is_written_as_people_write_it() -> None:
    nap = "df.step('nap', df.sleep('90 minutes'))"
    assert said(nap, nap.replace("90 minutes", "2 days")) == [("nap", "duration", "90 minutes", "2 days")]
    ask = "df.step('h', df.http('http://x/', 'GET'))"
    assert said(ask, ask.replace("//x", "//y")) == [("h", "request.url", "http://x/", "http://y/")]
    chosen = f"{A} ~> df.if('$a', 'SELECT 8', 'SELECT 9')"
    assert said(chosen, chosen.replace("$a", "$a.a")) == [("value_2", "parameter", "$a", "$a.a")]
    assert said(chosen, chosen.replace("$a", "$a?")) == [("value_2", "parameter", "$a", "$a?")]


def test_the_order() -> None:
    assert changes(f"{A} ~> {B} ~> {C}", f"{B} ~> {C} ~> {A}") == {"a": {Change.MOVED}}
    assert changes(f"{A} ~> {B}", f"{A} |=> {B}")["b"] == {Change.MOVED}
    inside = changes(f"{A} ~> {B}", f"{A} ~> df.loop({B} ~> df.break())")
    assert inside["b"] == {Change.MOVED}


def test_steps_without_names_are_found_by_what_they_say() -> None:
    found = changes("'SELECT 1' ~> 'SELECT 2'", "'SELECT 0' ~> 'SELECT 1' ~> 'SELECT 2'")
    assert found == {"sql_1": {Change.ADDED}, "sql_2": {Change.NUMBERED}, "sql_3": {Change.NUMBERED}}


def test_references_that_mean_another_step() -> None:
    old = f"{A} |=> 'x' ~> {B} ~> df.step('c', 'SELECT $x')"
    new = f"{A} ~> {B} |=> 'x' ~> df.step('c', 'SELECT $x')"
    assert changes(old, new)["c"] == {Change.REFERENCES}


def obstacle(old: str, new: str, *recorded: str, inputs: tuple[str, ...] = ()) -> str | None:
    return move(plan(old), plan(new)).obstacle(recorded, inputs)


def test_who_could_move() -> None:
    two = f"{A} ~> {B}"
    assert obstacle(two, f"{A} ~> {C}", "a") is None
    assert obstacle(two, f"{A} ~> {C}", "a", "b") == "`b` has run, and it is gone"
    assert obstacle(two, f"df.step('a', 'SELECT 2') ~> {B}") is None
    assert obstacle(two, f"df.step('a', 'SELECT 2') ~> {B}", "a") == "`a` has run, and its SQL is another"
    assert obstacle(two, f"{C} ~> {two}", "a") == "`a` has run, and `c` in front of it is new"
    assert obstacle(two, f"{A} ~> {B} ~> {C}", "a", "b") is None
    assert obstacle(two, f"{two} ~> 'SELECT $a'", "a") == "the result of `a` was not kept, and is wanted now"
    branches = f"{A} ~> ({B} |=> {C})"
    assert obstacle(branches, f"{A} ~> ({B} |=> {C} |=> 'SELECT 9')", "a", "b") is None


def test_what_has_run_in_rounds_and_items() -> None:
    old = f"df.loop({A} ~> {B} ~> df.break()) ~> {C}"
    new = f"df.loop({A} ~> df.step('b', 'SELECT 2') ~> df.break()) ~> {C}"
    assert obstacle(old, new, "loop_4/round", "loop_4[2]/a") is None
    assert obstacle(old, new, "loop_4[2]/a", "loop_4[2]/b") == "`b` has run, and its SQL is another"
    assert obstacle(old, new, "loop_4") == "`loop_4` has run, and `b` in it has changed"
    mapped = f"df.map('SELECT 1 AS id', {A})"
    assert obstacle(mapped, f"df.map('SELECT 1 AS id', {A} ~> {B})", "map_2/items", "map_2[1]/a") is not None
    assert obstacle(mapped, mapped.replace("1 AS a", "2 AS a"), "map_2/items") is None
    assert obstacle(mapped, mapped.replace("1 AS id", "2 AS id"), "map_2/items") is not None


@given(plans())
def test_a_plan_is_the_same_as_itself(one: Plan) -> None:
    difference = compare(one, one)
    assert difference.changes == () and difference.same == len(list(every_node(one.nodes)))
    everything = [node.id for node in every_node(one.nodes)]
    assert move(one, one).obstacle(everything) is None


@given(plans(), plans())
def test_every_step_is_accounted_for(old: Plan, new: Plan) -> None:
    found = compare(old, new)
    removed = sum(change.new is None for change in found.changes)
    assert found.same + len(found.changes) - removed == len(list(every_node(new.nodes)))
    assert removed <= len(list(every_node(old.nodes)))


def test_what_has_not_run_must_not_stand_in_front_of_what_has() -> None:
    old, new = f"{A} ~> {B} ~> {C}", f"{C} ~> {A} ~> {B}"
    assert obstacle(old, new, "a") == "`a` has run, and `c`, which has not, stands in front of it now"
    assert obstacle(old, new) is None


def test_what_has_only_begun_counts_too() -> None:
    timer = "df.step('nap', df.sleep('%s hours')) ~> df.step('x', 'SELECT 1')"
    assert obstacle(timer % 1, timer % 2, "nap/timer") is not None
    assert obstacle(timer % 1, timer.replace("'SELECT 1'", "'SELECT 2'") % 1, "nap/timer") is None
    loop = "df.step('l', df.loop(df.step('x', 'SELECT %s') ~> df.sleep(9) ~> 'SELECT $x?'))"
    assert obstacle(loop % 1, loop % 2, "l/round") is None
    kept = obstacle(loop % 1, loop % 2, "l/round", "l[3]/x")
    assert kept == "`x` has run, and its SQL is another"


def test_a_map_of_which_an_item_has_ended_is_the_same_inside() -> None:
    text = "df.step('m', df.map('SELECT 1 AS n', df.step('x', 'SELECT %s')))"
    assert obstacle(text % 1, text % 2, "m/items") is None
    assert obstacle(text % 1, text % 2, "m/items", "m[1]") == "`m` has begun, and `x` in it has changed"


def test_what_stands_in_front_of_what_has_run_counts_with_its_parts() -> None:
    """A condition, a body, a transaction: what is new in them has not run, though what is behind has."""
    chosen = f"{C} ~> df.if('$c', {A}, {B}) ~> 'SELECT 9'"
    assert obstacle(chosen, chosen.replace("'$c'", "'SELECT true'"), "c") is None
    said = obstacle(chosen, chosen.replace("'$c'", "'SELECT true'"), "c", "a")
    assert said == "`a` has run, and `sql_2` in front of it is new"
    tried = f"df.step('t', df.try({A}, 'SELECT 0', {B})) ~> {C}"
    longer = tried.replace(A, f"{A} ~> df.step('n', 'SELECT 7')")
    assert obstacle(tried, longer, "a") is None
    assert obstacle(tried, longer, "a", "b") == "`b` has run, and `n` in front of it is new"
    limited = f"df.step('t', df.timeout({A}, '1 h', {B})) ~> {C} ~> df.step('e', 'SELECT 5')"
    longer = limited.replace(A, f"{A} ~> df.step('n', 'SELECT 7')")
    assert obstacle(limited, longer, "a", "c") == "`c` has run, and `n` in front of it is new"
    assert obstacle(limited, limited.replace(B, f"{B} ~> df.step('n', 'SELECT 7')"), "a", "c") is None
    again = f"df.step('r', df.retry({A}, 3)) ~> {C} ~> df.step('e', 'SELECT 5')"
    assert obstacle(again, again.replace("1 AS a", "2 AS a"), "c") is not None
    assert (
        obstacle(again, again.replace(A, f"{A} ~> {B}"), "c") == "`c` has run, and `b` in front of it is new"
    )
    together = f"df.step('q', df.atomic({A} ~> {B})) ~> {C}"
    longer = together.replace(B, f"{B} ~> df.step('n', 'SELECT 7')")
    assert obstacle(together, longer, "a", "b") == "`a` has run, and `n` in the same transaction is new"
    other_branch = chosen.replace(B, f"{B} ~> df.step('n', 'SELECT 7')")
    assert "is `if_" in str(obstacle(chosen, other_branch, "c", "a"))


def test_policies_that_say_what_a_step_is() -> None:
    step = "df.step('a', 'SELECT 1 AS a'%s) ~> df.step('b', 'SELECT 2')"
    for policy in (
        ", database => 'x'",
        ", on_error => 'continue'",
        """, settings => '{"search_path": "x"}'""",
    ):
        assert obstacle(step % "", step % policy) is None
        assert "is another" in str(obstacle(step % "", step % policy, "a"))
        assert "is another" in str(obstacle(step % policy, step % "", "a"))
    assert obstacle(step % "", step % ", max_attempts => 3, timeout => '1 h'", "a") is None


def test_an_input_that_was_not_given() -> None:
    new = f"{A} ~> df.step('b', 'SELECT $input.day, $input.zone?')"
    assert obstacle(f"{A} ~> {B}", new, "a") == "it has no input `day`, which is wanted now"
    assert obstacle(f"{A} ~> {B}", new, "a", inputs=("day",)) is None
    assert obstacle(new, new.replace("zone?", "other?"), "a") is None
