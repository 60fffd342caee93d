"""Constructs with parts: what they are in the plan, and what the checks say about them."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfc.compiler.ast import Expression, Hole, Http, Loop, Map
from dfc.compiler.driver import Compiled
from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CompensateNode,
    Delivery,
    Duration,
    Form,
    HttpNode,
    IfNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Part,
    Plan,
    Policy,
    RateLimit,
    Request,
    RetryNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    Use,
    ValueNode,
    every_node,
)
from dfc.compiler.plan_json import canonical, from_json, to_json
from dfc.compiler.plan_print import plan_text
from dfc.compiler.plan_verify import parameters_of, verify
from dfc.compiler.policies import PolicyError
from tests.compiler_middle.trees import (
    atomic,
    attempt,
    bind,
    cancelling,
    chain,
    choose,
    codes,
    compiled,
    each,
    http,
    if_rows,
    join,
    leave,
    limited,
    loop,
    race,
    ref,
    retry,
    sql,
    step,
    text,
    undone,
)
from tests.depth import depth

_Kind = TypeVar("_Kind", bound=Node)


def plan_of(tree: Expression) -> Plan:
    result = compiled(tree)
    assert result.plan is not None, result.problems
    assert verify(result.plan) == ()
    assert from_json(to_json(result.plan)) == result.plan
    return result.plan


def ids(plan: Plan) -> list[str]:
    return [node.id for node in every_node(plan.nodes)]


def first(kind: type[_Kind], tree: Expression) -> _Kind:
    """The first node of a kind in the plan of a tree."""
    return next(node for node in every_node(plan_of(tree).nodes) if isinstance(node, kind))


def references(tree: Expression) -> list[tuple[str, tuple[str, ...], Use]]:
    """Of each reference: the text of its column, its sources, and what it wants of them."""
    return [
        (parameter.name, (parameter.source, *parameter.otherwise), parameter.use)
        for node in every_node(plan_of(tree).nodes)
        for parameter in parameters_of(node)
    ]


def test_ids_count_all_units_in_written_order() -> None:
    plan = plan_of(
        chain(
            choose("SELECT true", "SELECT 2", loop(chain("SELECT 3", leave()))),
            race("SELECT 4", http()),
            each("SELECT 5", "$item"),
            atomic("SELECT 6"),
            retry("SELECT 7"),
            limited("SELECT 8", "SELECT 9"),
            attempt("SELECT 10", "SELECT 11", "SELECT 12"),
            undone("SELECT 13", "SELECT 14"),
        )
    )
    assert " ".join(ids(plan)) == (
        "if_6 sql_1 sql_2 loop_5 sql_3 break_4 race_9 sql_7 http_8 map_11 value_10 atomic_13 sql_12"
        " retry_15 sql_14 timeout_18 sql_16 sql_17 try_22 sql_19 sql_20 sql_21 compensate_25 sql_23 sql_24"
    )
    assert [node.after for node in plan.nodes] == [
        (),
        *[(node.id,) for node in plan.nodes[:-1]],
    ]


def test_names_of_structures() -> None:
    plan = plan_of(chain(step("a", bind("b", choose("SELECT 1", "SELECT 2"))), "SELECT $a, $b"))
    assert isinstance(plan.nodes[0], IfNode)
    assert (plan.nodes[0].id, plan.nodes[0].bindings, plan.nodes[0].used) == ("a", ("b",), True)


def test_an_if() -> None:
    node = first(IfNode, choose("SELECT 1", chain("SELECT 2", "SELECT 3"), join("SELECT 4", "SELECT 5")))
    assert [n.id for n in node.condition.nodes] == ["sql_1"]
    assert [(n.id, n.after) for n in node.then.nodes] == [("sql_2", ()), ("sql_3", ("sql_2",))]
    assert node.otherwise is not None
    assert [(n.id, n.after) for n in node.otherwise.nodes] == [
        ("sql_4", ()),
        ("sql_5", ()),
        ("join_6", ("sql_4", "sql_5")),
    ]
    assert first(IfNode, choose("SELECT 1", "SELECT 2")).otherwise is None


def test_if_rows_asks_for_the_number_of_rows() -> None:
    node = first(IfNode, chain(step("x", "SELECT 1"), if_rows("x", "SELECT 2")))
    assert node.condition.nodes == (
        ValueNode(
            id="value_2",
            after=(),
            parameter=Parameter(name="x", source="x", use=Use.ROW_COUNT, start=0, end=12),
        ),
    )
    assert codes(if_rows("x", "SELECT 2")) == ["DF104"]
    assert codes(chain(step("x", http()), if_rows("x", "SELECT 2"))) == ["DF108"]


def test_groups_that_cancel_are_arms() -> None:
    node = first(ArmsNode, cancelling("SELECT 1", chain("SELECT 2", "SELECT 3")))
    assert (node.id, node.mode) == ("join_4", ArmsMode.ALL_OR_CANCEL)
    assert [[n.id for n in arm.nodes] for arm in node.arms] == [["sql_1"], ["sql_2", "sql_3"]]
    assert first(ArmsNode, race("SELECT 1", "SELECT 2")).mode is ArmsMode.RACE
    assert first(JoinNode, join("SELECT 1", "SELECT 2")).after == ("sql_1", "sql_2")
    assert codes(cancelling(step("x", "SELECT 1"), "SELECT $x?")) == ["DF106"]
    assert codes(chain(cancelling(step("x", "SELECT 1"), "SELECT 2"), "SELECT $x")) == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        ("null", "null"),
        ("5", "5"),
        ('{"a": [1.0]}', '{"a": [1.0]}'),
        ("done", '"done"'),
        ('say "hi"\n', '"say \\"hi\\"\\n"'),
        ("", '""'),
        ("NaN", '"NaN"'),
        ("1 2", '"1 2"'),
        ("[" * 500, '"' + "[" * 500 + '"'),
    ],
)
def test_the_value_of_a_break(value: str | None, written: str) -> None:
    assert first(BreakNode, loop(leave(value))).value == written


def test_a_break_with_references_is_computed() -> None:
    node = first(BreakNode, loop(chain(step("x", "SELECT 1"), leave('{"a": $x}'))))
    assert isinstance(node.value, SqlBody)
    assert [(p.source, p.use) for p in node.value.parameters] == [("x", Use.VALUE)]
    assert first(BreakNode, loop(chain(step("x", "SELECT 1"), leave("$y")))).value == '"$y"'


def test_a_break_leaves_the_nearest_loop() -> None:
    tree = step(
        "outer",
        loop(
            chain(
                step("inner", loop(each("SELECT 1", attempt(leave(), "SELECT 2")))),
                race("SELECT 1", retry(leave())),
            )
        ),
    )
    breaks = [node for node in every_node(plan_of(tree).nodes) if isinstance(node, BreakNode)]
    assert [node.loop for node in breaks] == ["inner", "outer"]
    assert first(BreakNode, step("l", loop("SELECT 1", leave()))).loop == "l"
    for tree in (
        leave(),
        each("SELECT 1", leave()),
        loop(attempt("SELECT 1", "SELECT 2", leave())),
        loop(undone("SELECT 1", leave())),
    ):
        assert codes(tree) == ["DF109"]
    assert codes(loop(attempt("SELECT 1", leave(), loop(leave())))) == []


def test_sources_that_are_no_results() -> None:
    assert references(sql("SELECT $input, $input.a?")) == [
        ("input", ("$input",), Use.VALUE),
        ("input", ("$input",), Use.VALUE),
    ]
    assert references(each("$input", each("$outer", "SELECT $item, $outer"), name="outer")) == [
        ("input", ("$input",), Use.VALUE),
        ("outer", ("map_3[]",), Use.VALUE),
        ("item", ("map_2[]",), Use.VALUE),
        ("outer", ("map_3[]",), Use.VALUE),
    ]
    assert references(attempt("SELECT 1", attempt("SELECT $error", "SELECT $error.step"))) == [
        ("error", ("try_5!",), Use.VALUE),
        ("error", ("try_4!",), Use.VALUE),
    ]
    assert codes(attempt("SELECT $error", "SELECT 1", "SELECT $error")) == ["DF104", "DF104"]
    assert codes(each("SELECT $item", "SELECT 1")) == ["DF104"]


def test_the_name_of_an_item_hides_that_of_a_step() -> None:
    tree = chain(
        step("row", "SELECT 1"),
        each("$row", chain("SELECT $row", bind("row", "SELECT 2"), "SELECT $row"), name="row"),
        "SELECT $row",
    )
    assert [sources for _, sources, _ in references(tree)] == [("row",), ("map_5[]",), ("sql_3",), ("row",)]
    inside = each("SELECT 1", chain(choose("SELECT 1", bind("row", "SELECT 2")), "SELECT $row"), name="row")
    assert references(inside) == [("row", ("sql_2", "map_5[]"), Use.VALUE)]


def test_batches() -> None:
    uses = [use for _, _, use in references(each("SELECT 1", "SELECT $item FROM $item.*", batch=10))]
    assert uses == [Use.JSON, Use.ROWS]
    assert references(each("SELECT 1", "$item", batch=10)) == [("item", ("map_2[]",), Use.JSON)]
    assert codes(each("SELECT 1", "SELECT $item.a", batch=10)) == ["DF108"]
    assert codes(each("SELECT 1 AS a", "SELECT $item.a, $item.row_count FROM $item.*")) == []


def test_a_map() -> None:
    tree = Map(
        items=sql("SELECT $input.a"),
        body=sql("SELECT $row"),
        name=text("row"),
        max_parallel=3,
        batch_size=2,
        on_error="continue",
    )
    node = first(MapNode, tree)
    assert isinstance(node.items, SqlBody) and node.items.parameters[0].source == "$input"
    assert (node.name, node.max_parallel, node.batch_size) == ("row", 3, 2)
    assert node.on_error is OnError.CONTINUE
    lone = first(MapNode, chain(step("x", "SELECT 1"), each("$x.*", "SELECT $item"))).items
    assert lone == Parameter(name="x", source="x", use=Use.ROWS, start=0, end=4)
    assert plan_of(chain(step("m", each("SELECT 1", "SELECT 2")), "SELECT $m, $m.count FROM $m.*"))


def test_items_of_a_statement_without_rows() -> None:
    for statement in ("UPDATE t SET v = v WHERE a", "VACUUM t", "CALL p()", "CREATE TABLE t (a int)"):
        assert codes(each(statement, "SELECT 1")) == ["DF108"]
    for query in ("UPDATE t SET v = v WHERE a RETURNING v", "VALUES (1)", "SHOW work_mem"):
        assert codes(each(query, "SELECT 1")) == []


def test_items_that_are_faulty_hide_nothing() -> None:
    items = Hole(children=(step("a", "SELECT $x"),))
    assert codes(Map(items=items, body=sql("SELECT $y"), name=text("item"))) == ["DF104", "DF104"]


def test_results_of_structures() -> None:
    several = [
        choose("SELECT 1 AS a", "SELECT 2 AS a", "DELETE FROM t WHERE a RETURNING a"),
        race("SELECT 1 AS a", "SELECT 2 AS a"),
        attempt("SELECT 1 AS a", "SELECT 2 AS a"),
        limited("SELECT 1 AS a", "SELECT 2 AS a"),
        loop("SELECT 1 AS a", "SELECT 2 AS a"),
    ]
    for tree in several:
        assert codes(chain(step("x", tree), "SELECT $x.a?, $x.row_count FROM $x.*")) == []
    for tree in (
        retry("DELETE FROM t WHERE a"),
        atomic("DELETE FROM t WHERE a"),
        undone("DELETE FROM t WHERE a", "SELECT 1"),
    ):
        plan = plan_of(chain(step("x", tree), "SELECT $x"))
        assert [p.use for p in parameters_of(plan.nodes[-1])] == [Use.ROW_COUNT]
        assert codes(chain(step("x", tree), "SELECT $x.id")) == ["DF108"]
    assert codes(chain(step("x", limited("DELETE FROM t WHERE a")), "SELECT $x.id")) == ["DF108"]
    assert codes(chain(step("x", retry(join("SELECT 1", "SELECT 2"))), "SELECT $x.id")) == ["DF108"]
    assert codes(chain(step("x", join("SELECT 1", "SELECT 2")), "SELECT $x")) == []


def test_a_name_with_results_of_several_kinds() -> None:
    both = choose("SELECT 1", bind("x", "DELETE FROM t WHERE a"), bind("x", "DELETE FROM u WHERE a"))
    assert references(chain(both, "SELECT $x")) == [("x", ("sql_3", "sql_2"), Use.ROW_COUNT)]
    mixed = choose("SELECT 1", bind("x", "DELETE FROM t WHERE a"), bind("x", http()))
    assert references(chain(mixed, "SELECT $x, $x.row_count, $x.ok FROM $x.*"))[0][2] is Use.VALUE


def test_lone_references() -> None:
    assert codes(chain(step("x", "SELECT 1"), "$x.*")) == ["DF130"]
    assert codes(chain(step("x", "SELECT 1"), each("$x.row_count", "SELECT 1"))) == ["DF130"]
    assert codes(chain(step("x", "DELETE FROM t WHERE a"), each("$x", "SELECT 1"))) == ["DF108"]
    assert codes(chain(step("x", "SELECT 1"), each("$x.a", "SELECT 1"))) == ["DF130"]
    assert codes(each("$input.a?", each("$item.b", "SELECT 1"))) == ["DF130", "DF130"]
    assert codes(chain(step("x", "SELECT 1 AS a"), bind("y", "$x.a"), "SELECT $y.b")) == []
    assert codes(chain(step("x", "SELECT 1"), bind("y", "$x.a"), "SELECT 1 FROM $y.*")) == ["DF108"]
    assert codes(ref("$x")) == ["DF104"]
    node = first(ValueNode, chain(step("x", "SELECT 1 AS c"), "$x.c?"))
    assert node.parameter == Parameter(
        name="x", source="x", use=Use.VALUE, start=0, end=5, column="c", optional=True
    )


def test_policies() -> None:
    second = Duration(microseconds=1_000_000)
    tree = step(
        "a",
        sql(
            "SELECT 1",
            max_attempts=3,
            backoff=second,
            retry_on=("40001", "timeout"),
            settings='{"work_mem": "1GB", "enable_sort": false, "x.y": 5}',
        ),
        timeout=second,
        on_error="continue",
        rate_limit="100/minute",
        rate_key="k",
        delivery="at_most_once",
        isolation="serializable",
    )
    assert first(SqlNode, tree).policy == Policy(
        max_attempts=3,
        backoff=second,
        retry_on=("40001", "timeout"),
        timeout=second,
        on_error=OnError.CONTINUE,
        rate_limit=RateLimit(count=100, seconds=60),
        rate_key="k",
        delivery=Delivery.AT_MOST_ONCE,
        isolation="serializable",
        settings=(("work_mem", "1GB"), ("enable_sort", "off"), ("x.y", "5")),
    )
    assert first(SqlNode, bind("b", step("a", bind("c", sql("SELECT 1")), max_attempts=2))).policy == Policy(
        max_attempts=2
    )
    assert first(RetryNode, retry("SELECT 1", 5)).policy == Policy(max_attempts=5)
    assert first(AtomicNode, atomic("SELECT 1", timeout=second)).policy == Policy(timeout=second)


def test_what_policies_make_of_a_statement() -> None:
    assert first(SqlNode, sql("CALL p()", autocommit=True)).body.form is Form.AUTOCOMMIT
    assert first(SqlNode, sql("SELECT 1", autocommit=False)).body.form is Form.WITH
    assert first(SqlNode, sql("VACUUM t")).body.form is Form.AUTOCOMMIT
    assert first(HttpNode, step("a", http(), max_attempts=2)).policy == Policy(max_attempts=2)


def test_policies_that_do_not_fit() -> None:
    assert codes(step("a", chain("SELECT 1", "SELECT 2"), max_attempts=2)) == ["DF132"]
    assert codes(step("a", choose("SELECT 1", "SELECT 2"), max_attempts=2)) == ["DF132"]
    assert codes(step("a", atomic("SELECT 1"), max_attempts=2)) == ["DF132"]
    assert codes(step("a", "$input", max_attempts=2)) == ["DF132"]
    assert codes(step("a", http(), isolation="serializable")) == ["DF132"]
    assert codes(sql("SELECT df.http('http://x')", autocommit=True)) == ["DF132"]
    assert codes(step("a", step("b", "SELECT 1", max_attempts=1), max_attempts=2)) == ["DF133"]
    assert codes(step("a", step("b", "SELECT 1", max_attempts=1), jitter=True)) == []
    assert codes(step("a", Hole(), max_attempts=2)) == []


def test_values_that_no_door_lets_through_are_a_fault_of_the_compiler() -> None:
    for wrong in (
        {"rate_limit": "often"},
        {"max_attempts": True},
        {"settings": "[1]"},
        {"settings": '{"a": null}'},
        {"retry_on": "40001"},
    ):
        with pytest.raises(PolicyError):
            compiled(sql("SELECT 1", **wrong))


def test_a_transaction_of_several_steps() -> None:
    good = chain(
        choose("SELECT $input", "SELECT 2", choose("$input.a", "SELECT 3")), "UPDATE t SET a = 1 WHERE b"
    )
    assert codes(atomic(good, isolation="serializable")) == []
    assert codes(atomic(sql("SELECT 1", isolation="serializable"), isolation="serializable")) == []
    assert codes(atomic(sql("SELECT 1", isolation="serializable"))) == ["DF141"]
    for part in (
        http(),
        sql("SELECT df.http('http://x')"),
        sql("VACUUM t"),
        sql("SELECT 1", autocommit=True),
        sql("SELECT 1", on_error="continue"),
        join("SELECT 1", "SELECT 2"),
        loop("SELECT 1", "SELECT 2"),
        atomic("SELECT 1"),
        undone("SELECT 1", "SELECT 2"),
        attempt("SELECT 1", "SELECT 2"),
        each("SELECT 1", "SELECT 2"),
    ):
        assert codes(atomic(part)) == ["DF141"], part
        assert codes(atomic(choose("SELECT 1", part))) == ["DF141"], part
    assert codes(loop(atomic(leave()))) == ["DF141"]
    assert codes(undone(atomic("SELECT 1"), atomic("SELECT 2"))) == []


def test_an_undo_is_not_undone() -> None:
    inner = undone("SELECT 1", "SELECT 2")
    assert codes(undone("SELECT 1", attempt("SELECT 1", inner))) == ["DF142"]
    assert codes(undone(inner, "SELECT 1")) == []
    node = first(CompensateNode, undone(step("x", "SELECT 1"), "SELECT $x"))
    assert [p.source for p in parameters_of(node.undo.nodes[0])] == ["x"]


def test_errors_of_steps() -> None:
    goes_on = step("a", "SELECT 1", on_error="continue")
    assert codes(chain(goes_on, "SELECT $a?, $a.error.message, $a.error.sqlstate?")) == []
    assert codes(chain(goes_on, "SELECT $a")) == ["DF311"]
    assert codes(chain(step("a", "SELECT 1"), "SELECT $a.error.message")) == ["DF108"]
    assert codes(chain(step("a", "SELECT 1 AS error"), "SELECT $a.error")) == []
    assert codes(chain(step("a", choose("SELECT 1", "SELECT 2")), "SELECT $a.error.message")) == ["DF108"]
    assert codes(chain(step("a", http(), on_error="continue"), "$a.error.message")) == ["DF313"]


def test_races_that_leave_effects() -> None:
    write = "INSERT INTO t VALUES (1)"
    assert codes(race(write, "SELECT 1")) == []
    assert codes(race(step("a", write), retry("SELECT 1"))) == []
    assert codes(race(chain(write, "SELECT 1"), "SELECT 2")) == ["DF310"]
    assert codes(race(chain("SELECT f()", "SELECT 2"), "SELECT 3")) == []
    assert codes(race(http(), "SELECT 1")) == ["DF310", "DF313"]
    get = Http(url=text("http://x"), method="GET", body=None, headers=None, timeout_seconds=1)
    assert codes(race(get, "SELECT 1")) == []
    assert codes(race("VACUUM t", "SELECT 1")) == ["DF310"]
    assert codes(race(chain(undone(write, "SELECT 1"), "SELECT 1"), "SELECT 2")) == []
    assert codes(undone(race(chain(write, "SELECT 1"), "SELECT 2"), "SELECT 3")) == ["DF310"]
    assert codes(race(retry(write), "SELECT 1")) == ["DF310"]


def test_conflicts_of_arms_and_bodies() -> None:
    write, read = "INSERT INTO t VALUES (1)", "SELECT * FROM t"
    assert "DF202" in codes(race(write, read))
    assert "DF202" in codes(join(each("SELECT 1", write), read))
    assert codes(choose(read, write, write)) == []
    assert codes(each("SELECT 1", write)) == []
    assert "DF202" in codes(cancelling(choose("SELECT 1", write), read))


def test_parts_of_a_request() -> None:
    made = Http(
        url=text("http://x"),
        method="POST",
        body=None,
        headers=None,
        timeout_seconds=5,
        parts='[{"name": "a", "data_b64": "eA==", "filename": "f"}, {"name": "b", "data_b64": ""}]',
    )
    request = first(HttpNode, made).request
    assert isinstance(request, Request)
    assert request.parts == (Part(name="a", data_b64="eA==", filename="f"), Part(name="b", data_b64=""))


def test_the_rest_of_the_structures() -> None:
    assert first(LoopNode, Loop(body=sql("SELECT 1"), condition=None, keep_undos=True)).keep_undos
    node = first(TimeoutNode, limited("SELECT 1", "SELECT 2"))
    assert node.duration == Duration(microseconds=5_000_000) and node.otherwise is not None
    tried = first(TryNode, attempt("SELECT 1", "SELECT 2", "SELECT 3"))
    assert tried.final is not None and tried.final.result == "sql_3"


STEPS = st.sampled_from(["SELECT 1", "SELECT $a?", "DELETE FROM t WHERE a"]).map(sql)
PARTS: st.SearchStrategy[Expression] = st.recursive(
    STEPS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: join(*two)),
        st.tuples(inner, inner).map(lambda two: race(*two)),
        st.tuples(inner, inner).map(lambda two: choose(*two)),
        inner.map(lambda one: bind("a", one)),
        inner.map(lambda one: loop(chain(one, leave()))),
        st.tuples(inner, inner).map(lambda two: attempt(*two)),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: chain(*some)),
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=depth(100))
@given(PARTS, PARTS, PARTS)
def test_it_does_not_matter_how_a_chain_is_grouped(a: Expression, b: Expression, c: Expression) -> None:
    left, right = compiled(chain(chain(a, b), c)), compiled(chain(a, chain(b, c)))
    assert [problem.code for problem in left.problems] == [problem.code for problem in right.problems]
    assert left.plan == right.plan


def deep(kind: int, levels: int) -> Expression:
    tree: Expression = sql("SELECT 1")
    for _ in range(levels):
        match kind:
            case 0:
                tree = choose("SELECT 1", tree, "SELECT 2")
            case 1:
                tree = race(chain(tree, "SELECT 2"), "SELECT 1")
            case 2:
                tree = loop(chain(tree, choose("SELECT 1", leave())))
            case 3:
                tree = attempt(tree, "SELECT 1", "SELECT 2")
            case 4:
                tree = each("SELECT $input", tree)
            case _:
                tree = undone(tree, "SELECT 1")
    return tree


def shown(result: Compiled) -> str:
    """The plan as text, read back from its text. (To compare plans of this depth would take the stack.)"""
    assert result.plan is not None, result.problems
    written = canonical(result.plan)
    again = from_json(to_json(result.plan))
    assert canonical(again) == written
    return plan_text(again)


@pytest.mark.parametrize("kind", range(6))
def test_deep_structures_need_no_stack(kind: int) -> None:
    levels = 120 if kind in (1, 2) else 250
    assert shown(compiled(deep(kind, levels))).count("\n") >= levels
    assert codes(deep(kind, 4_000)) == ["DF511"]


def test_many_structures() -> None:
    ifs = [choose("SELECT $x?", bind("x", "SELECT 1")) for _ in range(300)]
    plan = plan_of(chain(bind("x", "SELECT 0"), *ifs, "SELECT $x"))
    assert len(parameters_of(plan.nodes[-1])[0].otherwise) == 300
    wide = [loop(chain(step(f"s{i}", "SELECT 1"), leave(f"$s{i}"))) for i in range(2_000)]
    assert len(plan_of(chain(*wide)).nodes) == 2_000
    assert plan_of(race(*[chain("SELECT 1", f"SELECT {i}") for i in range(2_000)]))
