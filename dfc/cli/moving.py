"""Whether an instance could go on with another plan: all that it has recorded has to be there, unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from dfc.compiler.plan import (
    ArmsNode,
    AtomicNode,
    Block,
    CallNode,
    CompensateNode,
    HttpNode,
    IfNode,
    InstanceNode,
    LoopNode,
    MapNode,
    Node,
    Plan,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlNode,
    TimeoutNode,
    TryNode,
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
_MEANS_MORE = ("database", "settings", "on_error")
"""Policies that say where a step happens, what its SQL means, and what follows from its failure."""
_WHOLE = (LoopNode, MapNode, RetryNode, ArmsNode, AtomicNode)
"""What is not recorded in all its parts once it has ended."""
_FORGETS = (LoopNode, MapNode, RetryNode)
"""What has no records of its parts once it has ended."""
_IN_FRONT = {"then": "condition", "else": "condition", "while": "body", "finally": "body", "undo": "body"}
"""The part of the same node that has come to its end when one of these begins."""
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
    Change.POLICY: "its `{what}` is another",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Two plans, and what keeps an instance from going on with the second."""

    difference: PlanDifference
    _old: Nest
    _new: Nest
    _changed: dict[str, StepChange]
    _changed_now: dict[str, StepChange]
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
        recorded_now = frozenset([self._pairs[id] for id, _ in found if id in self._pairs])
        for (id, part), path in found.items():
            if id in self._old.places:
                verb = "has begun" if part or path.endswith("]") else "has run"
                obstacle = self._of_record(id, verb, reached, recorded_now, whole=not part)
                if obstacle is not None:
                    return obstacle
        for name in sorted(self._wants):
            if name not in inputs:
                return f"it has no input `{name}`, which is wanted now"
        return None

    def _of_record(
        self, id: str, verb: str, reached: Set[str], recorded: Set[str], *, whole: bool
    ) -> str | None:
        """What keeps a node from being the same. `whole`: of its parts there may be no record any more.

        `recorded` are the nodes of the new plan of which there is any record.
        """
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
        for each in self._beside_in_atomic(new_id):
            if each in self._added:
                return f"`{id}` {verb}, and `{each}` in the same transaction is new"
        for before in self._before(new_id, recorded):
            if before in self._added:
                return f"`{id}` {verb}, and `{before}` in front of it is new"
            if self._moved.get(before, id) not in reached | {id}:
                return f"`{id}` {verb}, and `{before}`, which has not, stands in front of it now"
        for ended in self._ended_before(new_id, recorded):
            change = self._changed_now.get(ended)
            if change is not None and not all(map(is_harmless, change.details)):
                return f"`{id}` {verb}, and `{ended}` in front of it, of which no record is kept, has changed"
        if id in self._lost:
            return f"the result of `{id}` was not kept, and is wanted now"
        return None

    def _of_node(self, id: str) -> str | None:
        """What keeps a node that has run from being the same, None for nothing."""
        change = self._changed.get(id)
        for detail in () if change is None else change.details:
            if not is_harmless(detail):
                said = _SAID.get(detail.change, f"it is `{detail.new}` now")
                return said.replace("{what}", detail.what)
        return None

    def _beside_in_atomic(self, new_id: str) -> Iterator[str]:
        """All nodes of the transaction that a node of the new plan is in."""
        for place, _ in self._new.outwards(self._new.places[new_id]):
            node = self._new.node(place)
            if isinstance(node, AtomicNode):
                yield from [each.id for _, block in blocks_of(node) for each in every_node(block.nodes)]

    def _before(self, new_id: str, recorded: Set[str]) -> Iterator[str]:
        """What has to have run before a node of the new plan: in its own part, those in front, and around."""
        for front in self._in_front(new_id):
            yield front
            for block in self._run_parts(self._node(front), recorded):
                yield from self._inside(block, recorded)

    def _ended_before(self, new_id: str, recorded: Set[str]) -> Iterator[str]:
        """Of that, what is in a loop, retry or map that has ended, so that nothing is known of it."""
        for before in self._before(new_id, recorded):
            for place, _ in self._new.outwards(self._new.places[before]):
                node = self._new.node(place)
                if isinstance(node, _FORGETS) and node.id != before and not self._holds(node, new_id):
                    yield before
                    break

    def _in_front(self, new_id: str) -> Iterator[str]:
        """The nodes that end before a node begins: in its block, in the part before it, and around."""
        for place, level in self._new.outwards(self._new.places[new_id]):
            todo = list(self._new.node(place).after)
            seen: set[str] = set()
            while todo:
                each = todo.pop()
                if each not in seen:
                    seen.add(each)
                    yield each
                    todo += self._node(each).after
            if level.holder is not None and level.role in _IN_FRONT:
                for role, block in blocks_of(self._new.node(level.holder)):
                    if role == _IN_FRONT[level.role]:
                        yield from [node.id for node in block.nodes]

    def _inside(self, block: Block, recorded: Set[str]) -> Iterator[str]:
        for node in block.nodes:
            yield node.id
            for inner in self._run_parts(node, recorded):
                yield from self._inside(inner, recorded)

    def _run_parts(self, node: Node, recorded: Set[str]) -> list[Block]:
        """The parts of a node that has ended which have run, or may have: of a choice those with records."""
        parts = blocks_of(node)
        match node:
            case IfNode():
                chosen = [part for part in parts[1:] if _has(part[1], recorded)] or parts[1:]
                return [block for _, block in (parts[0], *chosen)]
            case ArmsNode() | TimeoutNode() | TryNode() | CompensateNode():
                sure = ("body", "finally")
                return [block for role, block in parts if role in sure or _has(block, recorded)]
            case _:
                return [block for _, block in parts]

    def _node(self, id: str) -> Node:
        return self._new.node(self._new.places[id])

    def _holds(self, node: Node, id: str) -> bool:
        return any(
            place == self._new.places[node.id] for place, _ in self._new.outwards(self._new.places[id])
        )


def _has(block: Block, recorded: Set[str]) -> bool:
    return any(node.id in recorded for node in every_node(block.nodes))


def is_harmless(detail: Detail) -> bool:
    """Whether a change makes no difference to what has run."""
    if detail.change is Change.POLICY and detail.what in _MEANS_MORE:
        return False
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
        _changed_now={change.new.id: change for change in changed.values() if change.new is not None},
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
