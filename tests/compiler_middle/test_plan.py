"""The plan's nesting, verifier, JSON and drawing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given

from dfc.compiler.plan import (
    Form,
    HttpNode,
    JoinNode,
    Node,
    Parameter,
    Plan,
    Request,
    Returns,
    SqlBody,
    SqlNode,
    Use,
    blocks_of,
    every_node,
)
from dfc.compiler.plan_json import PlanFormatError, canonical, from_json, plan_hash, to_json
from dfc.compiler.plan_print import plan_text
from dfc.compiler.plan_shape import START, nest, shape
from dfc.compiler.plan_verify import verify
from tests.compiler_middle.plans import plans


def sql(node_id: str, *after: str, text: str = "SELECT 1", used: bool = False) -> SqlNode:
    body = SqlBody(sql=text, kind="select", form=Form.WITH, returns=Returns.ROWS)
    return SqlNode(id=node_id, after=after, body=body, used=used)


def diamond() -> tuple[Node, ...]:
    """a, then b ~> c beside d, then the join, then e."""
    return (
        sql("a"),
        sql("b", "a"),
        sql("c", "b"),
        sql("d", "a"),
        JoinNode(id="j", after=("c", "d")),
        sql("e", "j"),
    )


def naive_ancestors(nodes: Sequence[Node]) -> list[set[int]]:
    place = {node.id: i for i, node in enumerate(nodes)}
    found: list[set[int]] = []
    for node in nodes:
        mine: set[int] = set()
        for name in node.after:
            mine |= {place[name]} | found[place[name]]
        found.append(mine)
    return found


@given(plans())
def test_completes_before_is_reachability(plan: Plan) -> None:
    for level in nest(plan).levels:
        expected = naive_ancestors(level.nodes)
        for second in range(len(level.nodes)):
            for first in range(len(level.nodes)):
                assert level.shape.completes_before(first, second) == (first in expected[second])


@given(plans())
def test_the_nest_holds_every_node_once(plan: Plan) -> None:
    nesting = nest(plan)
    assert [nesting.node(place).id for place in nesting.places.values()] == list(nesting.places)
    assert sorted(nesting.places) == sorted(node.id for node in every_node(plan.nodes))
    for level in nesting.levels[1:]:
        assert level.holder is not None and level.holder.block < level.number
        roles = dict(zip(blocks_of(nesting.node(level.holder)), nesting.inner[level.holder], strict=True))
        assert [role for (role, _), number in roles.items() if number == level.number] == [level.role]


def test_shape_of_a_diamond() -> None:
    nesting = shape(diamond())
    assert nesting.before == (START, 0, 1, 0, 0, 4)
    assert nesting.closed_by == (START, 4, 4, 4, START, START)


@given(plans())
def test_generated_plans_are_sound(plan: Plan) -> None:
    assert verify(plan) == ()


@given(plans())
def test_reading_gives_what_was_written(plan: Plan) -> None:
    assert from_json(to_json(plan)) == plan
    assert from_json(json.loads(canonical(plan))) == plan


@given(plans())
def test_canonical_text_is_one(plan: Plan) -> None:
    again = from_json(json.loads(canonical(plan)))
    assert canonical(again) == canonical(plan)
    assert plan_hash(again) == plan_hash(plan)


@given(plans())
def test_the_drawing_shows_every_node_once(plan: Plan) -> None:
    marks = [line.rpartition(" ")[2] for line in plan_text(plan, lambda node: node.id).split("\n")]
    ids = [node.id for node in every_node(plan.nodes)]
    assert sorted(mark for mark in marks if mark in ids) == sorted(ids)


PARAMETER = Parameter(name="a", source="a", use=Use.VALUE, start=7, end=9)


def with_parameter(parameter: Parameter, text: str = "SELECT $a") -> Plan:
    body = SqlBody(sql=text, kind="select", form=Form.WITH, returns=Returns.ROWS, parameters=(parameter,))
    return Plan(nodes=(sql("a", used=True), SqlNode(id="b", after=("a",), body=body)), result="b")


def http(**changes: object) -> Plan:
    request = Request(url="http://x", method="GET", body=None, headers=(), timeout_seconds=30)
    return Plan(nodes=(HttpNode(id="h", after=(), request=replace(request, **changes)),), result="h")


GOOD = Plan(nodes=diamond(), result="e")

FAULTY = {
    "format": (replace(GOOD, format=4), "the format is 4"),
    "empty": (Plan(nodes=(), result="a"), "there are no nodes"),
    "twice": (Plan(nodes=(sql("a"), sql("a", "a")), result="a"), "node `a` occurs twice"),
    "no id": (Plan(nodes=(sql(""),), result=""), "a node has no id"),
    "order": (Plan(nodes=(sql("b", "a"), sql("a")), result="a"), "node `b` comes before `a`"),
    "itself": (Plan(nodes=(sql("a", "a"),), result="a"), "node `a` comes before `a`"),
    "no branch": (Plan(nodes=(JoinNode(id="j", after=()),), result="j"), "join `j` has no branches"),
    "same branch": (
        Plan(nodes=(sql("a"), JoinNode(id="j", after=("a", "a"))), result="j"),
        "waits twice",
    ),
    "several": (
        Plan(nodes=(sql("a"), sql("b"), sql("c", "a", "b")), result="c"),
        "waits for several nodes and is not a join",
    ),
    "no result": (replace(GOOD, result="x"), "the result node `x` does not exist"),
    "early result": (replace(GOOD, result="d"), "is not the last"),
    "loose end": (Plan(nodes=(sql("a"), sql("b"), sql("c", "b")), result="c"), "nothing waits for `a`"),
    "goes on": (
        Plan(nodes=(*diamond()[:5], sql("e", "d")), result="e"),
        "the branch that ends at `d` goes on",
    ),
    "source": (with_parameter(replace(PARAMETER, source="x")), "refers to `x`, which does not exist"),
    "own": (with_parameter(replace(PARAMETER, source="b")), "which may not have completed"),
    "beside": (
        Plan(
            nodes=(
                sql("a"),
                sql("b", used=True),
                JoinNode(id="j", after=("a", "b")),
            ),
            result="j",
        ),
        "`used` of `b` is True",
    ),
    "no dollar": (with_parameter(PARAMETER, "SELECT +a"), "no reference stands at 7"),
    "range": (with_parameter(replace(PARAMETER, end=10)), "out of order or out of range at 7"),
    "empty range": (with_parameter(replace(PARAMETER, end=7)), "out of order or out of range at 7"),
    "negative": (with_parameter(replace(PARAMETER, start=-1)), "out of order or out of range at -1"),
    "column of rows": (
        with_parameter(replace(PARAMETER, use=Use.ROWS, column="c")),
        "wants a column and not a value",
    ),
    "blank": (Plan(nodes=(sql("a", text=" "),), result="a"), "the statement of `a` is empty"),
    "url": (http(url=""), "has no URL"),
    "method": (http(method="Get"), "the method of `h` is `Get`"),
    "timeout": (http(timeout_seconds=0), "the timeout of `h` is 0 seconds"),
    "binding": (
        Plan(nodes=(replace(sql("a"), bindings=("x", "x")),), result="a"),
        "has a binding twice",
    ),
    "empty binding": (
        Plan(nodes=(replace(sql("a"), bindings=("",)),), result="a"),
        "a binding of `a` is empty",
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_faults(name: str) -> None:
    plan, expected = FAULTY[name]
    faults = verify(plan)
    assert any(expected in fault for fault in faults), faults
    with pytest.raises(PlanFormatError):
        from_json(to_json(plan))


def test_a_reference_into_a_parallel_branch_is_a_fault() -> None:
    nodes = list(diamond())
    body = SqlBody(
        sql="SELECT $b",
        kind="select",
        form=Form.WITH,
        returns=Returns.ROWS,
        parameters=(Parameter(name="b", source="b", use=Use.VALUE, start=7, end=9),),
    )
    nodes[1] = replace(nodes[1], used=True)
    nodes[3] = SqlNode(id="d", after=("a",), body=body)
    assert verify(Plan(nodes=tuple(nodes), result="e")) == (
        "`d` refers to `b`, which may not have completed",
    )
    nodes[3] = sql("d", "a")
    nodes[5] = SqlNode(id="e", after=("j",), body=body)
    assert verify(Plan(nodes=tuple(nodes), result="e")) == ()


NODE: dict[str, object] = {"id": "a", "kind": "join", "after": []}
BODY = {"sql": "SELECT 1", "kind": "select", "form": "with", "returns": "rows"}

HOSTILE: dict[str, tuple[object, str]] = {
    "null": (None, "plan is not an object"),
    "array": ([], "plan is not an object"),
    "no format": ({}, "plan format None is not known"),
    "true as format": ({"format": True, "nodes": [], "result": ""}, "plan format True is not known"),
    "float as format": ({"format": 1.0, "nodes": [], "result": ""}, "plan format 1.0 is not known"),
    "later format": ({"format": 4}, "format 4 is not known; this program reads the formats 1, 2, 3"),
    "field": ({"format": 1, "nodes": [], "result": "", "x": 1}, "the field 'x'"),
    "nodes": ({"format": 1, "nodes": {}, "result": ""}, "plan.nodes is not an array"),
    "node": ({"format": 1, "nodes": [1], "result": ""}, "nodes[0] is not an object"),
    "kind": ({"format": 1, "nodes": [{**NODE, "kind": "x"}], "result": ""}, "'x', which is not a kind"),
    "after": ({"format": 1, "nodes": [{**NODE, "after": [1]}], "result": ""}, "an array of strings"),
    "used": ({"format": 1, "nodes": [{**NODE, "used": 1}], "result": ""}, "true or false"),
    "join with many": ({"format": 1, "nodes": [{**NODE, "many": True}], "result": ""}, "the field 'many'"),
    "no body": ({"format": 1, "nodes": [{**NODE, "kind": "sql"}], "result": ""}, "body is not an object"),
    "form": (
        {
            "format": 1,
            "nodes": [{**NODE, "kind": "sql", "body": {**BODY, "form": "x"}}],
            "result": "a",
        },
        "nodes[0].body.form is not",
    ),
    "parameter": (
        {
            "format": 1,
            "nodes": [{**NODE, "kind": "sql", "body": {**BODY, "parameters": [{"name": "a"}]}}],
            "result": "a",
        },
        "nodes[0].body.parameters[0].source is not a string",
    ),
    "headers": (
        {
            "format": 1,
            "nodes": [
                {
                    **NODE,
                    "kind": "http",
                    "request": {"url": "u", "method": "GET", "timeout_seconds": 1, "headers": [["a"]]},
                }
            ],
            "result": "a",
        },
        "an array of pairs of strings",
    ),
    "no request": ({"format": 1, "nodes": [{**NODE, "kind": "http"}], "result": ""}, "request is not an"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json(name: str) -> None:
    value, expected = HOSTILE[name]
    with pytest.raises(PlanFormatError) as raised:
        from_json(value)
    assert expected in str(raised.value)


def test_drawing() -> None:
    assert plan_text(Plan(nodes=diamond(), result="e")) == (
        "SQL a: SELECT 1\n"
        "→ JOIN j (2)\n"
        "    ║ branch 1:\n"
        "      ├─SQL b: SELECT 1\n"
        "      → SQL c: SELECT 1\n"
        "    ║ branch 2:\n"
        "      └─SQL d: SELECT 1\n"
        "→ SQL e: SELECT 1"
    )


def test_drawing_of_nested_groups() -> None:
    nodes = (
        sql("a", text="INSERT  INTO\n t"),
        sql("b"),
        JoinNode(id="j", after=("a", "b")),
        replace(sql("c", text="x" * 100), bindings=("n",)),
        JoinNode(id="k", after=("j", "c")),
    )
    assert plan_text(Plan(nodes=nodes, result="k"), lambda node: "✓" if node.id == "a" else "") == (
        "JOIN k (2)\n"
        "    ║ branch 1:\n"
        "      ├─JOIN j (2)\n"
        "          ║ branch 1:\n"
        "            ├─SQL a: INSERT INTO t ✓\n"
        "          ║ branch 2:\n"
        "            └─SQL b: SELECT 1\n"
        "    ║ branch 2:\n"
        f"      └─SQL c: {'x' * 59}… |=> 'n'"
    )


def test_the_executor_can_read_plans_without_the_rest_of_the_compiler() -> None:
    code = (
        "import sys, dfc.compiler.plan_json, dfc.compiler.plan_print\n"
        "print(*sorted(name for name in sys.modules if name.startswith('dfc.compiler.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "dfc.compiler.plan",
        "dfc.compiler.plan_certainty",
        "dfc.compiler.plan_contents",
        "dfc.compiler.plan_fields",
        "dfc.compiler.plan_json",
        "dfc.compiler.plan_policy",
        "dfc.compiler.plan_print",
        "dfc.compiler.plan_read",
        "dfc.compiler.plan_shape",
        "dfc.compiler.plan_statement",
        "dfc.compiler.plan_verify",
    ]
