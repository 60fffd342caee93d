"""Faults of structured plans: what the verifier says, and that the reader lets none of them in."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfc.compiler.plan import (
    INPUT,
    ArmsMode,
    ArmsNode,
    AtomicNode,
    Block,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Duration,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    Literal,
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
    Returns,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    Use,
    ValueNode,
    error_source,
    item_source,
)
from dfc.compiler.plan_json import PlanFormatError, from_json, to_json
from dfc.compiler.plan_verify import verify
from tests.compiler_middle.plans import random_plan
from tests.depth import depth

SECOND = Duration(microseconds=1_000_000)
NO_TIME = Duration()


def block(*nodes: Node) -> Block:
    return Block(nodes=nodes, result=nodes[-1].id if nodes else "")


def plan(*nodes: Node) -> Plan:
    return Plan(nodes=nodes, result=nodes[-1].id)


def sql(id: str, *after: str, used: bool = False, policy: Policy | None = None) -> SqlNode:
    body = SqlBody(sql="SELECT 1", kind="select", form=Form.WITH, returns=Returns.ROWS)
    return SqlNode(id=id, after=after, body=body, used=used, policy=policy or Policy())


def asks(id: str, *after: str, of: str | tuple[str, ...], optional: bool = False) -> SqlNode:
    """A step that refers to others."""
    first, *others = (of,) if isinstance(of, str) else of
    parameter = Parameter(
        name="x", source=first, use=Use.VALUE, start=7, end=9, optional=optional, otherwise=tuple(others)
    )
    body = SqlBody(
        sql="SELECT $x", kind="select", form=Form.WITH, returns=Returns.ROWS, parameters=(parameter,)
    )
    return SqlNode(id=id, after=after, body=body)


def typed(node: SqlNode) -> SqlNode:
    """The same with a reference of a declared type."""
    [parameter] = node.body.parameters
    return replace(node, body=replace(node.body, parameters=(replace(parameter, type="date"),)))


def value(id: str, *after: str, of: str, use: Use = Use.VALUE) -> ValueNode:
    parameter = Parameter(name="x", source=of, use=use, start=0, end=2)
    return ValueNode(id=id, after=after, parameter=parameter)


def loop(*nodes: Node, id: str = "l", condition: Block | None = None) -> LoopNode:
    return LoopNode(id=id, after=(), body=block(*nodes), condition=condition)


def choose(*then: Node, otherwise: Block | None = None, id: str = "i") -> IfNode:
    return IfNode(id=id, after=(), condition=block(sql(f"{id}c")), then=block(*then), otherwise=otherwise)


def leave(id: str = "b", *after: str, loop: str = "l", value: str = "null") -> BreakNode:
    return BreakNode(id=id, after=after, loop=loop, value=value)


def race(*arms: Node) -> ArmsNode:
    return ArmsNode(id="r", after=(), arms=tuple(map(block, arms)), mode=ArmsMode.RACE)


def each(*body: Node, **changes: Any) -> MapNode:
    items = Parameter(name="input", source=INPUT, use=Use.VALUE, start=0, end=6)
    return replace(MapNode(id="m", after=(), items=items, body=block(*body)), **changes)


def policy(**given: Any) -> Plan:
    return plan(sql("a", policy=replace(Policy(), **given)))


def with_literal(*literals: Literal) -> Plan:
    parameter = Parameter(name="x", source=INPUT, use=Use.VALUE, start=8, end=10)
    body = SqlBody(
        sql="SELECT '$x', '$$y'",
        kind="select",
        form=Form.WITH,
        returns=Returns.ROWS,
        parameters=(parameter,),
        literals=literals,
    )
    return plan(SqlNode(id="a", after=(), body=body))


FINAL_BREAK = TryNode(id="t", after=(), body=block(sql("a")), catch=block(sql("c")), final=block(leave()))
UNDO_BREAK = CompensateNode(id="k", after=(), body=block(sql("a")), undo=block(leave()))

FAULTY: dict[str, tuple[Plan, str]] = {
    "id twice": (plan(choose(sql("a")), sql("a", "i")), "node `a` occurs twice"),
    "id of no name": (plan(sql("a/b")), "a node has no id"),
    "empty block": (plan(replace(choose(sql("a")), then=block())), "no nodes in the part `then` of `i`"),
    "no arms": (plan(race()), "`r` has no arms"),
    "after outside": (plan(sql("a"), choose(sql("b", "a"))), "node `b` comes before `a`"),
    "inner result": (
        plan(replace(choose(sql("a")), then=Block(nodes=(sql("a"),), result="x"))),
        "the result node `x` does not exist in the part `then`",
    ),
    "break outside": (plan(leave()), "`b` leaves `l`, which is not the nearest loop"),
    "break to another": (plan(loop(loop(leave(loop="l"), id="n"))), "`b` leaves `l`"),
    "break in finally": (plan(loop(FINAL_BREAK)), "`b` leaves `l`"),
    "break in undo": (plan(loop(UNDO_BREAK)), "`b` leaves `l`"),
    "break value": (plan(loop(leave(value="{"))), "the value of `b` is not JSON"),
    "break NaN": (plan(loop(leave(value="NaN"))), "the value of `b` is not JSON"),
    "atomic join": (
        plan(AtomicNode(id="x", after=(), body=block(sql("a"), JoinNode(id="j", after=("a",))))),
        "`j` cannot be a part of a transaction",
    ),
    "atomic in an if": (
        plan(AtomicNode(id="x", after=(), body=block(choose(loop(sql("a"), condition=block(sql("c"))))))),
        "`l` cannot be a part of a transaction",
    ),
    "atomic goes on": (
        plan(AtomicNode(id="x", after=(), body=block(sql("a", policy=Policy(on_error=OnError.CONTINUE))))),
        "`a` cannot be a part of a transaction",
    ),
    "negative sleep": (plan(SleepNode(id="w", after=(), duration=Duration(days=-1))), "a negative time"),
    "no moment": (plan(UntilNode(id="w", after=(), at=" ")), "`w` does not say what it waits for"),
    "no instance": (plan(InstanceNode(id="w", after=(), instance="")), "does not say what it waits for"),
    "no schedule": (plan(ScheduleNode(id="w", after=(), cron="")), "`w` has no schedule"),
    "no zone": (plan(ScheduleNode(id="w", after=(), cron="* * * * *", time_zone="")), "has no schedule"),
    "no signal": (plan(SignalNode(id="w", after=(), name="")), "the signal of `w` has no name"),
    "no time for a signal": (
        plan(SignalNode(id="w", after=(), name="s", timeout=NO_TIME)),
        "the time limit of `w` is not a time",
    ),
    "no workflow": (plan(CallNode(id="w", after=(), workflow="")), "the workflow of `w` has no name"),
    "input": (plan(CallNode(id="w", after=(), workflow="x", input="{")), "the input of `w` is not JSON"),
    "constant": (plan(ConstantNode(id="w", after=(), value="")), "the value of `w` is not JSON"),
    "computed by nothing": (
        plan(SleepNode(id="w", after=(), duration=replace(sql("a").body, returns=Returns.COUNT))),
        "what `w` asks for is not computed by a query",
    ),
    "polls at once": (plan(replace(loop(sql("a")), every=NO_TIME)), "waits no time between two rounds"),
    "polls and has a condition": (
        plan(replace(loop(sql("a"), condition=block(sql("c"))), every=SECOND)),
        "waits for its own result and has a condition",
    ),
    "field of a constant's rows": (
        plan(
            ConstantNode(id="w", after=(), value="1", used=True), value("z", "w", of="w", use=Use.ROW_COUNT)
        ),
        "`$x` in `z` wants of `w` what that does not give",
    ),
    "rows of a wait": (
        plan(
            SleepNode(id="w", after=(), duration=SECOND, used=True),
            value("z", "w", of="w", use=Use.ROW_COUNT),
        ),
        "`$x` in `z` wants of `w` what that does not give",
    ),
    "atomic wait": (
        plan(AtomicNode(id="x", after=(), body=block(SleepNode(id="w", after=(), duration=SECOND)))),
        "`w` cannot be a part of a transaction",
    ),
    "type of a result": (
        plan(sql("a", used=True), typed(asks("z", "a", of="a"))),
        "is of a declared type and no parameter of the workflow",
    ),
    "undo of an undo": (
        plan(
            CompensateNode(
                id="k",
                after=(),
                body=block(sql("a")),
                undo=block(CompensateNode(id="n", after=(), body=block(sql("c")), undo=block(sql("d")))),
            )
        ),
        "`n` stands in an undo",
    ),
    "uncertain": (
        plan(choose(sql("a", used=True)), asks("z", "i", of="a")),
        "`$x` in `z` is not certain, and not optional",
    ),
    "other branch": (
        plan(choose(sql("a"), otherwise=block(asks("z", of="a", optional=True)))),
        "`z` refers to `a`, which may not have completed",
    ),
    "other arm": (plan(race(sql("a"), asks("z", of="a", optional=True))), "which may not have completed"),
    "out of a map": (
        plan(each(sql("a")), asks("z", "m", of="a", optional=True)),
        "which may not have completed",
    ),
    "later": (plan(asks("z", of="a", optional=True), sql("a", "z")), "which may not have completed"),
    "around": (plan(choose(asks("z", of="i", optional=True))), "which may not have completed"),
    "later in a round": (
        plan(loop(asks("z", of="a"), sql("a", "z", used=True))),
        "`$x` in `z` is not certain, and not optional",
    ),
    "later in a map in a loop": (
        plan(loop(each(asks("z", of="a", optional=True), sql("a", "z")))),
        "which may not have completed",
    ),
    "behind a break": (
        plan(loop(choose(leave()), sql("a", "i", used=True)), asks("z", "l", of="a")),
        "`$x` in `z` is not certain, and not optional",
    ),
    "item outside": (plan(each(sql("a")), asks("z", "m", of=item_source("m"))), "which does not exist there"),
    "error outside": (
        plan(
            TryNode(
                id="t",
                after=(),
                body=block(asks("z", of=error_source("t"))),
                catch=block(sql("c")),
            )
        ),
        "which does not exist there",
    ),
    "source twice": (
        plan(sql("a", used=True), asks("z", "a", of=("a", "a"))),
        "names a source twice",
    ),
    "otherwise unknown": (plan(sql("a", used=True), asks("z", "a", of=("a", "y"))), "refers to `y`"),
    "unused": (plan(choose(sql("a", used=True))), "`used` of `a` is True"),
    "lone rows": (plan(value("v", of=INPUT, use=Use.ROWS)), "the value `v` is a table"),
    "value of a join": (
        plan(
            sql("a"),
            replace(JoinNode(id="j", after=("a",)), used=True),
            value("v", "j", of="j", use=Use.ROW_COUNT),
        ),
        "wants of `j` what that does not give",
    ),
    "error of a step that stops": (
        plan(
            sql("a", used=True),
            replace(
                value("v", "a", of="a", use=Use.ERROR),
                parameter=Parameter(name="x", source="a", use=Use.ERROR, start=0, end=9, column="message"),
            ),
        ),
        "wants of `a` what that does not give",
    ),
    "field of an error": (
        plan(
            replace(
                value("v", of=INPUT),
                parameter=Parameter(name="x", source=INPUT, use=Use.ERROR, start=0, end=9, column="hint"),
            )
        ),
        "wants no field of an error",
    ),
    "not alone": (
        plan(
            ValueNode(
                id="v",
                after=(),
                parameter=Parameter(name="x", source=INPUT, use=Use.VALUE, start=1, end=3),
            )
        ),
        "does not stand alone",
    ),
    "items": (
        plan(each(sql("a"), items=Parameter(name="x", source=INPUT, use=Use.ROW_COUNT, start=0, end=2))),
        "the items of `m` are not rows",
    ),
    "map name": (plan(each(sql("a"), name="")), "have no name"),
    "map width": (plan(each(sql("a"), max_parallel=0)), "runs 0 at a time"),
    "map batch": (plan(each(sql("a"), batch_size=0)), "of 0 items each"),
    "retry": (
        plan(RetryNode(id="r", after=(), body=block(sql("a")), policy=Policy())),
        "does not say how often",
    ),
    "timeout": (
        plan(TimeoutNode(id="t", after=(), body=block(sql("a")), duration=NO_TIME)),
        "the time limit of `t` is not a time",
    ),
    "attempts": (policy(max_attempts=0), "is attempted 0 times"),
    "backoff": (policy(backoff=Duration(days=-1)), "waits a negative time"),
    "limit": (policy(timeout=NO_TIME), "the time limit of `a` is not a time"),
    "isolation": (policy(isolation="chaos"), "the isolation of `a` is `chaos`"),
    "rate": (policy(rate_limit=RateLimit(count=0, seconds=1)), "the rate of `a` is 0 in 1 seconds"),
    "setting": (policy(settings=(("", "x"),)), "a setting of `a` has no name"),
    "parts and body": (
        plan(
            HttpNode(
                id="h",
                after=(),
                request=Request(
                    url="http://x",
                    method="POST",
                    body="x",
                    headers=(),
                    timeout_seconds=1,
                    parts=(Part(name="a", data_b64=""),),
                ),
            )
        ),
        "has parts and a body",
    ),
    "literal range": (with_literal(Literal(start=7, end=99)), "out of order or out of range at 7"),
    "literals overlap": (
        with_literal(Literal(start=7, end=11), Literal(start=9, end=18, escapes=(14,))),
        "out of order or out of range at 9",
    ),
    "literal of nothing": (with_literal(Literal(start=13, end=18)), "at 13 has no reference"),
    "literal cut": (with_literal(Literal(start=7, end=9)), "reaches out of the literal at 7"),
    "no escape": (with_literal(Literal(start=7, end=11, escapes=(8,))), "no escape stands at 8"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_faults(name: str) -> None:
    faulty, expected = FAULTY[name]
    faults = verify(faulty)
    assert any(expected in fault for fault in faults), faults
    if name != "inner result":  # which JSON does not say
        with pytest.raises(PlanFormatError):
            from_json(json.loads(json.dumps(to_json(faulty))))


GOOD: dict[str, Plan] = {
    "both branches": plan(
        choose(sql("a", used=True), otherwise=block(sql("b", used=True))), asks("z", "i", of=("b", "a"))
    ),
    "one branch, and before": plan(
        sql("a", used=True),
        replace(choose(sql("b", used=True)), after=("a",)),
        asks("z", "i", of=("b", "a")),
    ),
    "a branch that ends": plan(
        loop(choose(leave(), otherwise=block(sql("a", used=True))), asks("z", "i", of="a"))
    ),
    "before the break": plan(
        loop(sql("a", used=True), replace(choose(leave()), after=("a",))), asks("z", "l", of="a")
    ),
    "the round before": plan(loop(asks("z", of="a", optional=True), sql("a", "z", used=True))),
    "the item": plan(each(asks("z", of=item_source("m")))),
    "the error": plan(
        TryNode(id="t", after=(), body=block(sql("a")), catch=block(choose(asks("z", of=error_source("t")))))
    ),
    "the undo": plan(
        CompensateNode(id="k", after=(), body=block(sql("a", used=True)), undo=block(asks("z", of="a")))
    ),
    "literals": with_literal(Literal(start=7, end=11), Literal(start=13, end=18, escapes=(14,))),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_plans(name: str) -> None:
    assert verify(GOOD[name]) == ()
    assert from_json(to_json(GOOD[name])) == GOOD[name]


HOSTILE: dict[str, tuple[dict[str, object], str]] = {
    "no part": ({"kind": "if", "condition": [], "then": []}, "nodes[0].condition has no nodes"),
    "missing part": ({"kind": "loop"}, "nodes[0].body is not an array"),
    "part of another": ({"kind": "sql", "then": [], "body": {}}, "is not a string"),
    "part is an object": ({"kind": "atomic", "body": {}}, "nodes[0].body is not an array"),
    "node in a part": ({"kind": "atomic", "body": [5]}, "nodes[0].body[0] is not an object"),
    "kind in a part": ({"kind": "atomic", "body": [{}]}, "nodes[0].body[0].kind is not a string"),
    "arms": ({"kind": "race", "arms": [5]}, "nodes[0].arms is not an array of arrays"),
    "no arms": ({"kind": "race"}, "nodes[0].arms is not an array"),
    "an empty arm": ({"kind": "join", "arms": [[]]}, "nodes[0].arms[0] has no nodes"),
    "duration": (
        {"kind": "timeout", "body": [{"kind": "break"}], "duration": [1, 2]},
        "nodes[0].body[0].id is not a string",
    ),
    "policy": ({"kind": "http", "policy": 5, "request": {}}, "is not a string"),
    "break without loop": ({"kind": "break"}, "nodes[0].loop is not a string"),
    "kind of nothing": ({"kind": "nap"}, "nodes[0].kind is 'nap', which is not a kind of node"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_nodes(name: str) -> None:
    fields, expected = HOSTILE[name]
    node: dict[str, Any] = {"id": "a", "after": [], **cast("dict[str, Any]", fields)}
    with pytest.raises(PlanFormatError) as raised:
        from_json({"format": 3, "nodes": [node], "result": "a"})
    assert expected in str(raised.value)


def test_the_last_format_can_be_read_and_has_no_structures() -> None:
    old = {"format": 1, "nodes": to_json(plan(sql("a")))["nodes"], "result": "a"}
    read = from_json(old)
    assert read == replace(plan(sql("a")), format=1)
    assert to_json(read) == old
    with pytest.raises(PlanFormatError, match="'sleep', which is not a kind of node of format 2"):
        from_json({**to_json(plan(SleepNode(id="w", after=(), duration=SECOND))), "format": 2})
    structured = {**to_json(plan(choose(sql("a")))), "format": 1}
    with pytest.raises(PlanFormatError, match="'if', which is not a kind of node of format 1"):
        from_json(structured)
    with pytest.raises(PlanFormatError, match="'join', which is not a kind of node of format 1"):
        arms = replace(race(sql("a")), mode=ArmsMode.ALL_OR_CANCEL)
        from_json({**to_json(plan(arms)), "format": 1})


def places(value: object) -> list[tuple[Any, object]]:
    """Every container in a JSON value with each of its keys."""
    found: list[tuple[Any, object]] = []
    todo: list[Any] = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, dict | list):
            here = cast("dict[str, Any] | list[Any]", here)
            keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here)))
            found += [(here, key) for key in keys]
            todo += [here[key] for key in keys]
    return found


JUNK: list[object] = [None, True, -1, 1.5, "", "x", [], {}, [[]], [{}], {"id": "a"}, float("nan"), "$input"]


@settings(deadline=None, max_examples=depth(300))
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 10**6), st.sampled_from(JUNK))
def test_a_damaged_plan_is_read_or_refused(seed: int, nodes: int, where: int, junk: object) -> None:
    value = to_json(random_plan(Random(seed), nodes=nodes))
    found = places(value)
    container, key = found[where % len(found)]
    container[key] = junk
    try:
        read = from_json(value)
    except PlanFormatError as refused:
        assert str(refused)
    else:
        assert from_json(to_json(read)) == read
