"""What is forgotten of an instance that has failed, so that it goes on from where it failed. Pure.

The state is a function of the set of records. So to let something run again is to forget records: those of
what failed, of what was stopped because of that and begins anew, and of what was undone. Everything that
completed keeps its records. docs/reference.md says what that comes to, construct by construct; ADR 0028 why.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    CallNode,
    CompensateNode,
    HttpNode,
    MapNode,
    OnError,
    RetryNode,
    TimeoutNode,
    TryNode,
    every_node,
)
from dfc.executor import paths
from dfc.executor.core.tree import Role, Scope, State, Task, outcome_of
from dfc.executor.core.unwinding import END
from dfc.executor.journal import Child, Completed, Failed, Record
from dfc.executor.states import TaskState


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The records to forget, by path, and the maps whose failed items begin anew."""

    records: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()


@dataclass(slots=True)
class _Walk:
    """`known` are the records by path, `ordered` their paths; `parts` the scopes that a task has opened."""

    known: dict[str, list[Record]]
    ordered: list[str]
    parts: dict[int, list[Scope]]
    forgotten: set[str] = field(default_factory=set[str])
    maps: set[str] = field(default_factory=set[str])
    walked: set[int] = field(default_factory=set[int])

    def below(self, prefix: str) -> Iterable[str]:
        """The paths that begin so."""
        place = bisect_left(self.ordered, prefix)
        while place < len(self.ordered) and self.ordered[place].startswith(prefix):
            yield self.ordered[place]
            place += 1

    def forget_node(self, path: str) -> None:
        """Forget all that is recorded of a node, with what is in its rounds and items."""
        self.forgotten.add(path)
        self.forgotten.update(self.below(path + "/"))
        self.forgotten.update(self.below(path + "["))

    def forget_scope(self, scope: Scope) -> None:
        """Forget all that is recorded of a part."""
        for node in every_node(scope.layout.nodes):
            self.forget_node(scope.frame + node.id)


def forgotten(state: State, records: Iterable[Record], opened: Iterable[Scope]) -> Forgotten:
    """What to forget, where `records` have led to a failure; `opened` are all scopes of the state.

    Nothing where they have not: then the instance did not end by its own records.
    """
    if state.finish is None or state.finish.status != "failed" or state.root is None:
        return Forgotten()
    known: dict[str, list[Record]] = {}
    for record in records:
        known.setdefault(record.path, []).append(record)
    walk = _Walk(known, sorted(known), {})
    undos: list[Scope] = []
    for scope in opened:
        if scope.owner is not None:
            walk.parts.setdefault(id(scope.owner), []).append(scope)
        if scope.role is Role.UNDO:
            undos.append(scope)
    todo = [state.root]
    while todo:
        scope = todo.pop()
        walk.walked.add(id(scope))
        for task in scope.tasks:
            if task.state in (TaskState.FAILED, TaskState.STOPPED):
                todo += _again(walk, task)
    for undo in undos:
        _do_again(walk, undo)
    walk.forgotten.add(END)
    return Forgotten(tuple(sorted(walk.forgotten & (known.keys()))), tuple(sorted(walk.maps)))


def _again(walk: _Walk, task: Task) -> list[Scope]:
    """Forget what keeps a task from going on; in which of its parts to look further."""
    node, parts = task.node, walk.parts.get(id(task), [])
    failed = task.state is TaskState.FAILED
    match node:
        case RetryNode() if failed:
            walk.forget_node(task.path)
            return []
        case ArmsNode():
            return _arms(walk, task, node, parts)
        case TimeoutNode():
            instead = [scope for scope in parts if scope.role is Role.ELSE]
            if not instead:
                walk.forgotten |= {paths.timer(task.path), paths.decision(task.path)}
            return instead or parts
        case TryNode():
            return _try(walk, parts)
        case MapNode():
            return _map(walk, task, node, parts)
        case CompensateNode():
            return [scope for scope in parts if scope.role is not Role.UNDO]
        case _ if parts:
            # Where a condition has been looked at, it holds; where it has failed, it is looked at again.
            return [scope for scope in parts if outcome_of(scope) is not TaskState.COMPLETED]
        case _:
            _leaf(walk, task, failed)
            return []


def _leaf(walk: _Walk, task: Task, failed: bool) -> None:
    """A step or a wait. The requests that an HTTP step has computed stay; a wait computes its own anew."""
    path, node = task.path, task.node
    if isinstance(node, CallNode):
        # Its instance has ended without success, or was asked to end.
        walk.forgotten.update(known for known in walk.below(path + "/") if _is(walk, known, Child))
    if not failed:
        return
    walk.forgotten.add(path)
    for known in walk.below(path + "/"):
        if not (isinstance(node, HttpNode) and _is(walk, known, Completed)):
            walk.forgotten.add(known)


def _is(walk: _Walk, path: str, kind: type[Record]) -> bool:
    return any(isinstance(record, kind) for record in walk.known[path])


def _arms(walk: _Walk, task: Task, node: ArmsNode, parts: list[Scope]) -> list[Scope]:
    """Of a race that was won the winner goes on; of a group that was given up, all."""
    if node.mode is ArmsMode.RACE:
        return [scope for scope in parts if not scope.origin] if any(part.origin for part in parts) else parts
    walk.forgotten.add(paths.decision(task.path))
    return parts


def _try(walk: _Walk, parts: list[Scope]) -> list[Scope]:
    """The part that has failed goes on: the last one. What was cleaned up behind it will be again."""
    final = [scope for scope in parts if scope.role is Role.FINALLY]
    if any(outcome_of(scope) is TaskState.FAILED for scope in final):
        return final
    for scope in final:
        walk.forget_scope(scope)
    return [scope for scope in parts if scope.role is not Role.FINALLY][-1:]


def _map(walk: _Walk, task: Task, node: MapNode, parts: list[Scope]) -> list[Scope]:
    """Items that have failed begin anew; those that were stopped go on."""
    if any(isinstance(record, Failed) for record in walk.known.get(paths.items(task.path), [])):
        walk.forgotten.add(paths.items(task.path))
    walk.forgotten.add(task.path)
    if node.on_error is OnError.FAIL:
        walk.maps.add(task.path)
    return parts


def _do_again(walk: _Walk, undo: Scope) -> None:
    """What has been undone in a part that goes on is done again."""
    if undo.undoes_for is None or id(undo.undoes_for) not in walk.walked or undo.owner is None:
        return
    walk.forget_scope(undo)
    for scope in walk.parts[id(undo.owner)]:
        walk.forget_scope(scope)
