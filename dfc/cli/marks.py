"""What stands behind the nodes of a drawing: how each of them stands by the checkpoints that there are.

A checkpoint counts for its node whatever rounds and items stand in front of its path; the latest one shows.
What has no checkpoint of its own is done when something behind it has begun. `df.nodes` says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from dfc.compiler.plan import JoinNode, Node, OnError, Plan, SqlNode, ValueNode, blocks_of
from dfc.compiler.plan_shape import Level, Nest, Place, nest
from dfc.executor import paths

Steps = Mapping[str, Mapping[str, Any]]

_AT_ONCE = ("condition", "body", "branch")
"""Parts that begin with their node; of the others a checkpoint in them tells that they have begun."""


def marks(plan: Plan, steps: Steps, *, is_running: bool, running: str = "…") -> Callable[[Node], str]:
    """What stands behind each node: ✓ or ✗ with its facts, `running` for what is at work, or nothing.

    `steps` are the checkpoints by path, in the order of their commits.
    """
    standing = _Standing(nest(plan), steps)

    def mark(node: Node) -> str:
        step = standing.records.get(node.id)
        if step is not None:
            return f"{'✗' if step['kind'] == 'failed' else '✓'}{facts(step)}"
        if not is_running or isinstance(node, JoinNode | ValueNode) or blocks_of(node):
            return ""
        return running if standing.runs(node.id) else ""

    return mark


class _Standing:
    """What the checkpoints say of the nodes of a plan. `records` are the last ones that end a node."""

    def __init__(self, nesting: Nest, steps: Steps) -> None:
        self._nesting = nesting
        self.records: dict[str, Mapping[str, Any]] = {}
        self._begun: set[str] = set()
        for path, step in steps.items():
            id, part = paths.split(path)
            if id in nesting.places:
                self._begin(nesting.places[id])
                if step["kind"] == "failed" or part not in ("request", "items"):
                    self.records[id] = step
        self._passed = self._all_passed()

    def _begin(self, place: Place) -> None:
        """A node has begun, and so have those around it."""
        for here, _ in self._nesting.outwards(place):
            id = self._nesting.node(here).id
            if id in self._begun:
                return
            self._begun.add(id)

    def _all_passed(self) -> set[str]:
        """The nodes behind which something has begun."""
        passed: set[str] = set()
        todo = [before for id in self._begun for before in self._node(id).after]
        while todo:
            id = todo.pop()
            if id not in passed:
                passed.add(id)
                todo += self._node(id).after
        return passed

    def _node(self, id: str) -> Node:
        return self._nesting.node(self._nesting.places[id])

    def _is_done(self, id: str) -> bool:
        todo = [id]
        while todo:
            here = todo.pop()
            node, record = self._node(here), self.records.get(here)
            goes_on = isinstance(node, SqlNode) and node.policy.on_error is OnError.CONTINUE
            if here in self._passed or (record is not None and (record["kind"] != "failed" or goes_on)):
                continue
            if record is not None or not isinstance(node, JoinNode):
                return False
            todo += node.after
        return True

    def runs(self, id: str) -> bool:
        """Whether a node without a checkpoint is at work."""
        for here, level in self._nesting.outwards(self._nesting.places[id]):
            node = self._nesting.node(here)
            if node.id in self._passed or node.id in self.records:
                return False
            if not all(self._is_done(before) for before in node.after) or not self._has_begun(level):
                return False
        return True

    def _has_begun(self, level: Level) -> bool:
        if level.role.startswith(_AT_ONCE) or level.holder is None:
            return True
        return any(node.id in self._begun for node in level.nodes)


def facts(step: Mapping[str, Any]) -> str:
    """How many rows a step gave, and how long it took."""
    found: list[str] = []
    if step.get("row_count") is not None:
        count = cast(int, step["row_count"])
        found.append(f"{count:,} row{'' if count == 1 else 's'}")
    if step.get("seconds") is not None:
        found.append(f"{float(step['seconds']):.2f} s")
    return f"  {', '.join(found)}" if found else ""
