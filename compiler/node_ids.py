"""The names that nodes have: in plans, checkpoints and displays."""

from __future__ import annotations

from typing import assert_never

from dfc.compiler.ast import (
    Atomic,
    Break,
    CallWorkflow,
    Compensate,
    Constant,
    FanOut,
    Hole,
    Http,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Race,
    Ref,
    Retry,
    Sleep,
    Sql,
    Timeout,
    Try,
    WaitFor,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Role


def node_ids(facts: Facts) -> list[str]:
    """The id of each unit's node: its innermost step name, else `<kind>_<n>`, n in written order from 1.

    The parts that a `df.wait_for` with a time limit is made of are named after it.
    """
    named: dict[int, str] = {}
    for name in facts.outline.names:
        if name.step:
            named.setdefault(name.unit, name.text.value)
    names = frozenset([name.text.value for name in facts.outline.names])
    ids: list[str] = []
    for unit in range(len(facts.outline.units)):
        given = named.get(unit)
        ids.append(_free(f"{_kind(facts, unit)}_{unit + 1}", names) if given is None else given)
    for fork in facts.outline.forks:
        if isinstance(fork.tree, WaitFor) and fork.tree.timeout is not None:
            for branch in facts.branches(fork):
                part = "polls" if branch.role is Role.BODY else "timed_out"
                ids[branch.last] = _free(f"{ids[fork.unit]}_{part}", names)
    return ids


def _free(id: str, names: frozenset[str]) -> str:
    while id in names:
        id += "_"
    return id


def _kind(facts: Facts, unit: int) -> str:
    match facts.outline.units[unit].tree:
        case Sql() | Http():
            return "http" if facts.is_http(unit) else "sql"
        case Ref() | Constant():
            return "value"
        case Join() | FanOut():
            return "join"
        case If() | IfRows():
            return "if"
        case WaitFor():
            return "wait_for"
        case WaitUntil():
            return "wait_until"
        case WaitSchedule():
            return "wait_schedule"
        case WaitSignal():
            return "signal"
        case CallWorkflow():
            return "call"
        case WaitInstance():
            return "wait_instance"
        case (
            Loop() | Break() | Race() | Map() | Atomic() | Retry() | Timeout() | Try() | Compensate() as tree
        ):
            return type(tree).__name__.lower()
        case Sleep():
            return "sleep"
        case Hole():
            return "later"
        case _:
            assert_never(facts.outline.units[unit].tree)
