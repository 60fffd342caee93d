"""A plan followed along the history of an instance: what has to have happened, given what was decided.

Where the outcome depends on who was faster, the history says who was: a winner, a time limit, a break, a
failed arm. Everything else follows from the plan and the fates. In a part that was stopped whatever has
happened is checked, and nothing has to have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from dfc.compiler.plan import (
    Block,
    BreakNode,
    CallNode,
    HttpNode,
    JoinNode,
    Node,
    OnError,
    Parameter,
    SqlBody,
    SqlNode,
    Use,
    ValueNode,
    rows_source,
)
from dfc.executor.journal import Rows, Value
from tests.simulate.decisions import left_at
from tests.simulate.env import Env
from tests.simulate.history import Entry, Kind
from tests.simulate.outcome import End, Outcome, Undo, beside
from tests.simulate.places import nodes_in, where
from tests.simulate.plausible import plausible
from tests.simulate.rows import Instance
from tests.simulate.shapes import Broken
from tests.simulate.values import MISSING, NULL, Given, Trouble, is_error, look, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Where a block is followed: `since` is the number of the last thing that came before it.

    `cut`: it may have been stopped at any point. `leaving`: the path of the break that has ended the round of
    the loop around, if it is in this block. `alone`: nothing else of that loop runs at the same time. `soft`:
    it was not stopped itself, and stands in what was.
    """

    frame: str
    env: Env
    since: int
    cut: bool = False
    leaving: str | None = None
    alone: bool = True
    soft: bool = False

    def at(self, since: int) -> Here:
        return replace(self, since=max(since, self.since))

    def but(self, *, cut: bool) -> Here:
        return replace(self, cut=self.cut or cut)


Structure = Callable[["Walk", Node, Here], Outcome]


@dataclass(slots=True)
class Walk:
    """Follows a plan. `structures` knows how, for each kind of node that holds blocks."""

    instance: Instance
    structures: Mapping[type[Node], Structure]
    visited: set[str] = field(default_factory=set[str])
    undone: int = 0
    undo_errors: list[Trouble] = field(default_factory=list[Trouble])
    _ids: dict[int, frozenset[str]] = field(default_factory=dict[int, frozenset[str]])

    def say(self, problem: str) -> Broken:
        return Broken(problem)

    # The history

    def record(self, path: str, *kinds: Kind) -> Entry | None:
        """The only entry of these kinds under a path."""
        found = self.instance.history.all(path, *kinds)
        if len(found) > 1:
            raise self.say(f"`{path}` is {' and '.join(entry.kind for entry in found)}")
        return found[0] if found else None

    def decision(self, path: str) -> Entry | None:
        """The decision about the structure at a path: the first, if another came when it was forgotten."""
        found = self.instance.history.all(f"{path}/decision", "decided")
        if any(entry.number for entry in found):
            raise self.say(f"`{path}` was decided twice")
        return found[0] if found else None

    def touched(self, block: Block, frame: str) -> bool:
        """Whether anything of a block is recorded."""
        touched = self.instance.history.touched
        return any((frame, id) in touched for id in self.instance.places.ids(block))

    def touched_id(self, frame: str, id: str) -> bool:
        """Whether anything of a node is recorded."""
        return (frame, id) in self.instance.history.touched

    def item_end(self, path: str, number: int) -> Entry | None:
        """The end of an item of the map at a path."""
        found = [entry for entry in self.instance.history.all(path, "item") if entry.number == number]
        if len(found) > 1:
            raise self.say(f"item {number} of `{path}` has ended twice")
        return found[0] if found else None

    def item_begun(self, path: str, number: int) -> bool:
        """Whether anything of an item is recorded."""
        frame = f"{path}[{number}]/"
        return frame in self.instance.history.frames or self.item_end(path, number) is not None

    def holds(self, block: Block, path: str | None) -> bool:
        """Whether the node of a path is in a block."""
        if path is None:
            return False
        ids = self._ids.get(id(block))
        if ids is None:
            ids = self._ids[id(block)] = frozenset(node.id for node in nodes_in(block))
        return where(path).node in ids

    # Blocks

    def block(self, block: Block, here: Here) -> Outcome:
        """Follow a block."""
        outs: dict[str, Outcome] = {}
        chain = self._chain(block, here.leaving)
        branches = _branches(block)
        for node in block.nodes:
            before = [outs[id] for id in node.after]
            if isinstance(node, JoinNode):
                outs[node.id] = self._join(node, before, here)
            elif before and not before[0].done:
                outs[node.id] = before[0].passed_on()
            else:
                inner = here.at(max((out.at for out in before), default=0))
                inner = replace(inner, alone=here.alone and node.id not in branches)
                outs[node.id] = self.node(node, inner.but(cut=chain is not None and node.id not in chain))
        at = max(out.at for out in outs.values())
        commit = max(out.commit for out in outs.values())
        left = next((out for out in outs.values() if out.end is End.LEFT), None)
        undos: list[Undo] = []
        for id, out in outs.items():
            off = left is not None and chain is not None and id not in chain
            undos += beside(out.undos) if off else out.undos
        return replace(left or outs[block.result], at=at, commit=commit, undos=tuple(undos))

    def _chain(self, block: Block, leaving: str | None) -> set[str] | None:
        """The nodes that lead to a break, if it is in this block."""
        if leaving is None or not self.holds(block, leaving):
            return None
        target = where(leaving).node
        after = {node.id: node.after for node in block.nodes}
        for node in block.nodes:
            if node.id == target or any(
                inner.id == target for inner in nodes_in(Block(nodes=(node,), result=""))
            ):
                chain = {node.id}
                stack = list(after[node.id])
                while stack:
                    id = stack.pop()
                    chain.add(id)
                    stack += after[id]
                return chain
        raise AssertionError(leaving)

    def _join(self, node: JoinNode, before: list[Outcome], here: Here) -> Outcome:
        at = max(out.at for out in before)
        for end in (End.LEFT, End.ERROR, End.STOPPED):
            for out in before:
                if out.end is end:
                    return replace(out.passed_on(), at=at)
        given: Given = [out.given for out in before if out.given is not None]
        here.env.put(node.id, given, soft=here.cut or here.soft)
        return Outcome(end=End.DONE, at=at, given=given)

    def node(self, node: Node, here: Here) -> Outcome:
        """Follow a node."""
        path = here.frame + node.id
        match node:
            case SqlNode():
                out = self.step(path, node, here, node.body.parameters)
            case HttpNode():
                out = self._http(path, node, here)
            case ValueNode():
                out = self._value(node, here)
            case BreakNode():
                return self._break(path, node, here)
            case _:
                out = self.structures[type(node)](self, node, here)
        failed = isinstance(node, SqlNode | HttpNode | CallNode) and out.error is not None
        if failed and out.end is End.DONE:
            assert out.error is not None
            here.env.put(node.id, None, error=out.error, soft=here.cut or here.soft)
            return replace(out, error=None)
        if out.done:
            here.env.put(node.id, out.given, soft=here.cut or here.soft)
        return out

    # Steps

    def step(
        self,
        path: str,
        node: Node,
        here: Here,
        parameters: Iterable[Parameter] = (),
    ) -> Outcome:
        """Follow an activation."""
        self.visited.add(path)
        for entry in self.instance.history.all(path, "started"):
            if entry.at <= here.since:
                raise self.say(f"`{path}` did not wait for what it comes after")
        entry = self.record(path, "completed", "failed")
        if entry is None:
            if not here.cut:
                raise self.say(f"`{path}` has no record")
            return Outcome(end=End.STOPPED, at=here.since)
        if entry.at <= here.since:
            raise self.say(f"`{path}` is recorded before what it comes after")
        if entry.kind == "failed":
            return self._failed(path, node, here, entry)
        self._seen(path, here, entry, parameters)
        result = entry.result
        assert isinstance(result, Rows | Value)
        return Outcome(end=End.DONE, at=entry.at, commit=entry.at, given=result)

    def _failed(self, path: str, node: Node, here: Here, entry: Entry) -> Outcome:
        error = entry.error
        assert error is not None
        problem = plausible(self.instance, path, node, error)
        if problem is not None:
            raise self.say(f"`{path}` failed with {error}: {problem}")
        trouble = Trouble(step=error.step, sqlstate=error.sqlstate, message=error.message)
        goes_on = isinstance(node, SqlNode | HttpNode | CallNode) and node.policy.on_error is OnError.CONTINUE
        return Outcome(
            end=End.DONE if goes_on else End.ERROR,
            at=entry.at,
            commit=entry.at,
            given=NULL if goes_on else None,
            error=trouble,
        )

    def _seen(self, path: str, here: Here, entry: Entry, parameters: Iterable[Parameter]) -> None:
        """A statement has seen what its references stand for."""
        missing = plain(MISSING)
        for parameter in parameters:
            if is_error(parameter):
                key = parameter.key.removesuffix("!") + "!"
                fits = here.env.allows_error(parameter, entry.seen.get(key))
            else:
                key = parameter.key if parameter.use is Use.VALUE else rows_source(parameter.key)
                seen = entry.seen.get(key, entry.seen.get(parameter.key, missing))
                fits = here.env.allows(parameter, seen)
            if not fits:
                allowed = [
                    plain(MISSING if k is None else k.given or MISSING) for k in here.env.found(parameter)
                ]
                raise self.say(f"`{path}` has seen {entry.seen} of {parameter}, not one of {allowed}")

    def _http(self, path: str, node: HttpNode, here: Here) -> Outcome:
        if isinstance(node.request, SqlBody):
            out = self.step(f"{path}/request", node, here, node.request.parameters)
            if not out.done or out.error is not None:
                return out
            return self.step(f"{path}/response", node, here.at(out.at)).behind(out)
        return self.step(f"{path}/response", node, here)

    def _value(self, node: ValueNode, here: Here) -> Outcome:
        parameter = node.parameter
        known = here.env.first(parameter)
        if is_error(parameter):
            error = None if known is None else known.error
            text = None if error is None else _error_field(error, parameter.column)
            given = NULL if text is None else Rows(columns=("v",), types=(25,), cells=(text,), row_count=1)
            return Outcome(end=End.DONE, at=here.since, given=given)
        given = None if known is None else known.given
        found = look(node.id, parameter, MISSING if given is None else given)
        if isinstance(found, Trouble):
            return Outcome(end=End.ERROR, at=here.since, error=found)
        return Outcome(end=End.DONE, at=here.since, given=found)

    def _break(self, path: str, node: BreakNode, here: Here) -> Outcome:
        given: Given
        out = Outcome(end=End.LEFT, at=here.since)
        if isinstance(node.value, SqlBody):
            out = self.step(path, node, here, node.value.parameters)
            if not out.done:
                return out
            assert isinstance(out.given, Rows)
            cell = out.given.cells[0]
            given = Rows(columns=("v",), types=(out.given.types[0],), cells=(cell,), row_count=1)
        else:
            given = Value(json=node.value)
        if here.leaving != path:
            if here.cut:
                return replace(out, end=End.STOPPED, given=None)
            if here.leaving is not None or not here.alone:
                raise self.say(f"`{path}` leaves its loop, and that is not decided")
        return replace(out, end=End.LEFT, given=given)

    # Undoing

    def undo(self, undos: Iterable[Undo], since: int) -> int:
        """All of these have been undone at one border, the last committed first; the end of that."""
        ran: list[tuple[Undo, int]] = []
        for undo in sorted(undos, key=lambda undo: undo.commit, reverse=True):
            begun = max([since, *(at for other, at in ran if other.after(undo))])
            here = Here(frame=undo.frame, env=Env(undo.env), since=begun)
            out = self.block(undo.node.undo, here)
            self.undone += 1
            if out.end is End.ERROR:
                assert out.error is not None
                self.undo_errors.append(out.error)
            ran.append((undo, out.at))
        return max([since, *(at for _, at in ran)])

    def breaks(self, path: str) -> str | None:
        """The path of the break that was decided to end the loop at a path."""
        entry = self.decision(path)
        return None if entry is None or entry.text is None else left_at(entry.text)


def _branches(block: Block) -> set[str]:
    """The nodes of a block that stand in a branch of a join."""
    after = {node.id: node.after for node in block.nodes}
    found: set[str] = set()
    for node in block.nodes:
        if isinstance(node, JoinNode):
            starts = [_ancestors(id, after) for id in node.after]
            found |= {id for one in starts for id in one if not all(id in other for other in starts)}
    return found


def _ancestors(id: str, after: Mapping[str, tuple[str, ...]]) -> set[str]:
    found = {id}
    stack = list(after[id])
    while stack:
        other = stack.pop()
        if other not in found:
            found.add(other)
            stack += after[other]
    return found


def _error_field(error: Trouble, column: str | None) -> str | None:
    if column == "sqlstate":
        return error.sqlstate
    return error.message
