"""Names, checks and lowering, on trees made by hand and on random ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler.ast import Expression, Hole
from dfc.compiler.lower import LoweringError
from dfc.compiler.outline import outline
from dfc.compiler.plan import HttpNode, JoinNode, Parameter, Plan, Request, SqlNode, Use
from dfc.compiler.plan_verify import parameters_of, verify
from tests.compiler_middle.trees import (
    bind,
    chain,
    codes,
    compiled,
    fan_out,
    http,
    join,
    sql,
    step,
    text,
)


def plan_of(tree: Expression) -> Plan:
    result = compiled(tree)
    assert result.plan is not None, result.problems
    assert verify(result.plan) == ()
    return result.plan


def edges(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {node.id: node.after for node in plan.nodes}


def parameters(plan: Plan) -> list[Parameter]:
    return [parameter for node in plan.nodes for parameter in parameters_of(node)]


def sources(plan: Plan) -> list[str]:
    return [parameter.source for parameter in parameters(plan)]


def test_a_chain() -> None:
    plan = plan_of(chain("SELECT 1", step("b", "SELECT 2"), "SELECT 3"))
    assert edges(plan) == {"sql_1": (), "b": ("sql_1",), "sql_3": ("b",)}
    assert plan.result == "sql_3"


def test_a_group_in_a_chain() -> None:
    plan = plan_of(chain("SELECT 1", join(chain("SELECT 2", "SELECT 3"), http()), "SELECT 4"))
    assert edges(plan) == {
        "sql_1": (),
        "sql_2": ("sql_1",),
        "sql_3": ("sql_2",),
        "http_4": ("sql_1",),
        "join_5": ("sql_3", "http_4"),
        "sql_6": ("join_5",),
    }


def test_groups_in_groups() -> None:
    plan = plan_of(join(join("SELECT 1", "SELECT 2"), fan_out("SELECT 3", "SELECT 4", "SELECT 5")))
    assert edges(plan) == {
        "sql_1": (),
        "sql_2": (),
        "join_3": ("sql_1", "sql_2"),
        "sql_4": (),
        "sql_5": (),
        "sql_6": (),
        "join_7": ("sql_4", "sql_5", "sql_6"),
        "join_8": ("join_3", "join_7"),
    }
    assert isinstance(plan.nodes[-1], JoinNode)


def test_a_group_of_one() -> None:
    plan = plan_of(chain("SELECT 1", join(step("a", "SELECT 2")), "SELECT $a"))
    assert edges(plan) == {"sql_1": (), "a": ("sql_1",), "join_3": ("a",), "sql_4": ("join_3",)}


def test_the_innermost_step_name_is_the_id() -> None:
    plan = plan_of(chain(step("x", chain("SELECT 1", step("y", "SELECT 2"))), "SELECT $x, $y"))
    assert [node.id for node in plan.nodes] == ["sql_1", "y", "sql_3"]
    assert plan.nodes[1].bindings == ("x",)
    assert plan.nodes[1].used
    assert sources(plan) == ["y", "y"]


def test_a_step_around_a_chain_names_its_last_node() -> None:
    plan = plan_of(step("x", chain("SELECT 1", "SELECT 2")))
    assert [node.id for node in plan.nodes] == ["sql_1", "x"]


def test_a_step_around_a_group_names_the_join() -> None:
    assert [node.id for node in plan_of(step("x", join("SELECT 1", "SELECT 2"))).nodes] == [
        "sql_1",
        "sql_2",
        "x",
    ]


def test_ids_give_way_to_names() -> None:
    plan = plan_of(chain(step("sql_2", "SELECT 1"), bind("sql_2_", "SELECT 2"), "SELECT 3"))
    assert [node.id for node in plan.nodes] == ["sql_2", "sql_2__", "sql_3"]
    assert plan.nodes[1].bindings == ("sql_2_",)


def test_both_names_hold() -> None:
    plan = plan_of(chain(bind("b", bind("b2", step("s", "SELECT 1"))), "SELECT $b, $b2, $s"))
    assert plan.nodes[0].bindings == ("b2", "b")
    assert sources(plan) == ["s", "s", "s"]


def test_the_last_binding_counts() -> None:
    plan = plan_of(chain(step("a", bind("x", "SELECT 1")), step("b", bind("x", "SELECT $x")), "SELECT $x"))
    assert sources(plan) == ["a", "b"]


def test_of_two_branches_the_last_written_counts() -> None:
    plan = plan_of(
        chain(
            step("a", bind("x", "SELECT 0")),
            join(step("b", bind("x", "SELECT $x")), step("c", chain("SELECT $x", bind("x", "SELECT 1")))),
            "SELECT $x",
        )
    )
    assert sources(plan) == ["a", "a", "c"]


def test_a_name_of_an_inner_branch_reaches_the_outer_chain() -> None:
    plan = plan_of(
        chain(join(chain(fan_out(step("a", "SELECT 1"), "SELECT 2"), "SELECT $a"), "SELECT 3"), "SELECT $a")
    )
    assert sources(plan) == ["a", "a"]


def test_references_that_hold_nowhere() -> None:
    assert codes(chain("SELECT $x")) == ["DF104"]
    assert codes(join(step("x", "SELECT 1"), "SELECT $x")) == ["DF106"]
    assert codes(join("SELECT $x", step("x", "SELECT 1"))) == ["DF106"]
    assert codes(chain("SELECT $x", step("x", "SELECT 1"))) == ["DF107"]
    assert codes(step("x", "SELECT $x")) == ["DF107"]
    [own] = compiled(step("x", chain("SELECT $x", "SELECT 1"))).problems
    assert "the step that it stands in" in own.message
    assert codes(join(chain("SELECT $x", step("x", "SELECT 1")), "SELECT 1")) == ["DF107"]
    assert codes(join(chain("SELECT 1", join("SELECT $x", "SELECT 2")), step("x", "SELECT 1"))) == ["DF106"]


def test_optional_does_not_help_where_a_name_holds_nowhere() -> None:
    assert codes(join(step("x", "SELECT 1"), "SELECT $x?")) == ["DF106"]
    assert codes(chain("SELECT $x?")) == ["DF104"]


def test_a_name_that_is_bound_in_a_branch_and_before_it() -> None:
    plan = plan_of(chain(step("a", bind("x", "SELECT 1")), join(bind("x", "SELECT 2"), "SELECT $x")))
    assert sources(plan) == ["a"]


def test_the_number_of_rows() -> None:
    plan = plan_of(chain(step("d", "DELETE FROM t WHERE a"), "SELECT $d, $d.row_count, $d?"))
    assert [parameter.use for parameter in parameters(plan)] == [Use.ROW_COUNT] * 3
    assert codes(chain(step("d", "DELETE FROM t WHERE a"), "SELECT $d.id")) == ["DF108"]
    assert codes(chain(step("d", "DELETE FROM t WHERE a"), "SELECT 1 FROM $d.*")) == ["DF108"]
    assert codes(chain(step("d", "DELETE FROM t WHERE a RETURNING id"), "SELECT $d.id FROM $d.*")) == []


def test_responses() -> None:
    plan = plan_of(chain(step("h", http()), "SELECT $h, $h.status"))
    assert [(parameter.use, parameter.column) for parameter in parameters(plan)] == [
        (Use.VALUE, None),
        (Use.VALUE, "status"),
    ]
    assert codes(chain(step("h", http()), "SELECT $h.row_count")) == ["DF108"]
    assert codes(chain(step("h", http()), "SELECT $h.stat")) == ["DF108"]


def test_a_request_in_sql() -> None:
    plan = plan_of(chain("SELECT df.http('http://x')", "SELECT df.http(u) FROM t"))
    one, many = plan.nodes
    assert isinstance(one, HttpNode) and not one.many
    assert isinstance(many, HttpNode) and many.many
    assert [node.id for node in plan.nodes] == ["http_1", "http_2"]
    assert codes(chain(step("m", "SELECT df.http(u) FROM t"), "SELECT $m.status")) == ["DF108"]
    assert codes(chain(step("m", "SELECT df.http(u) FROM t"), "SELECT $m")) == []


def test_a_constant_request() -> None:
    [node] = plan_of(http("http://x/$5", '{"A": "1", "B": "ü"}', "{}")).nodes
    assert isinstance(node, HttpNode)
    assert node.request == Request(
        url="http://x/$5",
        method="POST",
        body="{}",
        headers=(("A", "1"), ("B", "ü")),
        timeout_seconds=30,
    )


def test_two_steps_of_one_name() -> None:
    assert codes(chain(step("a", "SELECT 1"), step("a", "SELECT 2"))) == ["DF105"]
    assert codes(chain(step("a", "SELECT f()"), bind("a", "SELECT 2"))) == []


def test_parallel_writes() -> None:
    write, read = "INSERT INTO t SELECT 1", "SELECT * FROM t"
    assert codes(join(write, read)) == ["DF202"]
    assert codes(join(write, write)) == ["DF202"]
    assert codes(join(read, read)) == []
    assert codes(chain(write, read)) == []
    assert codes(chain(write, join(read, read))) == []
    assert codes(join(join(write, read), read)) == ["DF202", "DF202"]
    assert codes(fan_out(read, write, read)) == ["DF202", "DF202"]
    assert codes(join(chain(write, read), "SELECT 1")) == []
    assert compiled(join(write, read)).plan is not None


def test_too_deep_and_too_many() -> None:
    deep: Expression = sql("SELECT 1")
    for _ in range(255):
        deep = bind("x", deep)
    assert codes(deep) == []
    assert codes(bind("x", deep)) == ["DF511"]
    for _ in range(20_000):
        deep = bind("x", deep)
    assert codes(deep) == ["DF511"]
    assert codes(chain(*["SELECT 1"] * 20_001)) == ["DF512"]


def test_lowering_what_was_not_checked_is_a_fault_of_the_compiler() -> None:
    from dfc.compiler.facts import Facts
    from dfc.compiler.lower import lower
    from dfc.compiler.scope import NO_SCOPE

    flat = outline(chain(Hole()))
    with pytest.raises(LoweringError):
        lower(Facts(outline=flat, scope=NO_SCOPE, analyses={}))


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.just("SELECT 1"), NAMES.map(lambda name: f"SELECT ${name}"), NAMES.map(lambda name: f"SELECT ${name}?")
).map(sql)
TREES: st.SearchStrategy[Expression] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda items: chain(*items)),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: join(*items)),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: fan_out(*items)),
        st.tuples(NAMES, inner).map(lambda pair: bind(*pair)),
    ),
    max_leaves=12,
)


def naive(tree: Expression, names: dict[str, object]) -> tuple[bool, dict[str, object], object]:
    """The rules of names, straight from their definition: whether all references hold, and what is bound."""
    from dfc.compiler.ast import Bind, Chain, FanOut, Join, Sql

    match tree:
        case Sql(query=query):
            name = query.value.removeprefix("SELECT ").strip("$?")
            return name == "1" or name in names, {}, tree
        case Bind(name=bound, body=body):
            good, given_names, result = naive(body, names)
            return good, {**given_names, bound.value: result}, result
        case Chain(items=items):
            all_good = True
            added: dict[str, object] = {}
            result: object = None
            for item in items:
                good, given_names, result = naive(item, {**names, **added})
                all_good, added = all_good and good, {**added, **given_names}
            return all_good, added, result
        case Join(branches=branches) | FanOut(branches=branches):
            found = [naive(branch, names) for branch in branches]
            together: dict[str, object] = {}
            for _, given_names, _ in found:
                together |= given_names
            return all(good for good, _, _ in found), together, tree
        case _:
            raise AssertionError(tree)


@given(TREES)
def test_names_as_defined(tree: Expression) -> None:
    good, _, _ = naive(tree, {})
    result = compiled(tree)
    unresolved = {problem.code for problem in result.problems} & {"DF104", "DF106", "DF107"}
    assert good == (not unresolved)
    if result.plan is not None:
        assert verify(result.plan) == ()


def test_wide_and_deep_workflows_need_no_stack() -> None:
    wide = join(*[chain(step(f"a{i}", "SELECT 1"), f"SELECT $a{i}") for i in range(1_000)])
    assert len(plan_of(wide).nodes) == 2_001
    nested: Expression = sql("SELECT 1")
    for _ in range(200):
        nested = join(nested, "SELECT 1")
    assert len(plan_of(nested).nodes) == 401


def test_nodes_of_a_plan_keep_their_sql() -> None:
    [node] = plan_of(sql("  SELECT 1 ; -- done")).nodes
    assert isinstance(node, SqlNode)
    assert node.body.sql == "SELECT 1"
    assert text("x") == text("x")
