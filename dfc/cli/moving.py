"""Whether an instance could go on with another plan: all that it has recorded has to be there, unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from dfc.compiler.plan import (
    ArmsNode,
    AtomicNode,
    CallNode,
    HttpNode,
    InstanceNode,
    LoopNode,
    MapNode,
    Plan,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlNode,
    UntilNode,
    blocks_of,
    every_node,
)
from dfc.compiler.plan_diff import Change, Detail, PlanDifference, StepChange, compare
from dfc.compiler.plan_shape import Nest, nest
from dfc.compiler.plan_statement import INPUT
from dfc.compiler.plan_verify import parameters_of
from dfc.executor import paths
from dfc.executor.decide import kept_nodes

_HARMLESS = (Change.POLICY, Change.NAMES)
_HARMLESS_FIELDS = ("max_parallel",)
_WHOLE = (LoopNode, MapNode, RetryNode, ArmsNode, AtomicNode)
"""What is not recorded in all its parts once it has ended."""
_RECORDED = (
    SqlNode,
    HttpNode,
    MapNode,
    SleepNode,
    UntilNode,
    ScheduleNode,
    SignalNode,
    CallNode,
    InstanceNode,
)
"""What has a record of its own once it has run."""
_ITEM = re.compile(r"\[\d+\]\Z")

_SAID = {
    Change.SQL: "its SQL is another",
    Change.CONTENT: "it is another",
    Change.STRUCTURE: "its parts are others",
    Change.REFERENCES: "it refers to others",
    Change.MOVED: "it stands elsewhere",
    Change.REMOVED: "it is gone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Two plans, and what keeps an instance from going on with the second."""

    difference: PlanDifference
    _old: Nest
    _new: Nest
    _changed: dict[str, StepChange]
    _added: frozenset[str]
    _lost: frozenset[str]
    _pairs: dict[str, str]
    _moved: Mapping[str, str]
    _wants: frozenset[str]

    def obstacle(self, recorded: Sequence[str], inputs: Sequence[str] = ()) -> str | None:
        """The first thing recorded that the new plan has not, or has otherwise; None where there is none.

        `inputs` are those that the instance has been given.
        """
        found: dict[tuple[str, str], str] = {}
        for path in recorded:
            id, part = paths.split(path)
            found.setdefault((_ITEM.sub("", id), part), path)
        reached = {id for id, part in found if not part}
        for (id, part), path in found.items():
            if id in self._old.places:
                verb = "has begun" if part or path.endswith("]") else "has run"
                obstacle = self._of_record(id, verb, reached, whole=not part)
                if obstacle is not None:
                    return obstacle
        for name in sorted(self._wants):
            if name not in inputs:
                return f"it has no input `{name}`, which is wanted now"
        return None

    def _of_record(self, id: str, verb: str, reached: Set[str], *, whole: bool) -> str | None:
        """What keeps a node from being the same. `whole`: of its parts there may be no record any more."""
        for place, _ in self._old.outwards(self._old.places[id]):
            around = self._old.node(place).id
            what = self._of_node(around)
            if what is not None:
                return (
                    f"`{around}` {verb}, and {what}"
                    if around == id
                    else f"`{id}` {verb} in `{around}`, and {what}"
                )
        node = self._old.node(self._old.places[id])
        if whole and isinstance(node, _WHOLE):
            for each in [each for _, block in blocks_of(node) for each in every_node(block.nodes)]:
                if self._of_node(each.id) is not None:
                    return f"`{id}` {verb}, and `{each.id}` in it has changed"
        new_id = self._pairs[id]
        if whole and isinstance(node, _WHOLE):
            inside = self._new.node(self._new.places[new_id])
            for each in [each for _, block in blocks_of(inside) for each in every_node(block.nodes)]:
                if each.id in self._added:
                    return f"`{id}` {verb}, and `{each.id}` in it is new"
        for before in self._before(new_id):
            if before in self._added:
                return f"`{id}` {verb}, and `{before}` in front of it is new"
            if self._moved.get(before, id) not in reached | {id}:
                return f"`{id}` {verb}, and `{before}`, which has not, stands in front of it now"
        if id in self._lost:
            return f"the result of `{id}` was not kept, and is wanted now"
        return None

    def _of_node(self, id: str) -> str | None:
        """What keeps a node that has run from being the same, None for nothing."""
        change = self._changed.get(id)
        for detail in () if change is None else change.details:
            if not is_harmless(detail):
                return _SAID.get(detail.change, f"it is `{detail.new}` now")
        return None

    def _before(self, id: str) -> Iterator[str]:
        """What has to have run before a node of the new plan, in its own part and in those around."""
        for place, _ in self._new.outwards(self._new.places[id]):
            todo = list(self._new.node(place).after)
            seen: set[str] = set()
            while todo:
                each = todo.pop()
                if each not in seen:
                    seen.add(each)
                    yield each
                    todo += self._new.node(self._new.places[each]).after


def is_harmless(detail: Detail) -> bool:
    """Whether a change makes no difference to what has run."""
    return detail.change in _HARMLESS or detail.what in _HARMLESS_FIELDS


def move(old: Plan, new: Plan) -> Move:
    """What going on with `new` would mean for instances of `old`."""
    difference = compare(old, new)
    changed = {change.old.id: change for change in difference.changes if change.old is not None}
    pairs = {node.id: node.id for node in every_node(old.nodes)}
    pairs |= {
        change.old.id: change.new.id
        for change in difference.changes
        if change.old is not None and change.new is not None
    }
    kept = kept_nodes(new)
    return Move(
        difference=difference,
        _old=nest(old),
        _new=nest(new),
        _changed=changed,
        _added=frozenset([c.new.id for c in difference.changes if c.old is None and c.new is not None]),
        _lost=frozenset([id for id, new_id in pairs.items() if new_id in kept]) - kept_nodes(old),
        _pairs=pairs,
        _moved={
            change.new.id: change.old.id
            for change in difference.changes
            if change.old is not None and isinstance(change.new, _RECORDED) and change.has(Change.MOVED)
        },
        _wants=_wanted(new) - _wanted(old),
    )


def _wanted(plan: Plan) -> frozenset[str]:
    """The inputs without which a step of a plan fails."""
    return frozenset(
        each.column
        for node in every_node(plan.nodes)
        for each in parameters_of(node)
        if each.source == INPUT and each.column is not None and not each.optional
    )
