"""The tree laid out flat, once, in written order: what runs, what opens and closes, what gets a name.

Every later pass is a loop over this. No pass recurses, so that nesting costs memory and not stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from dfc.compiler.ast import (
    Atomic,
    Bind,
    Break,
    CallWorkflow,
    Chain,
    Compensate,
    Constant,
    Expression,
    FanOut,
    Hole,
    Http,
    If,
    IfRows,
    Join,
    Leaf,
    Loop,
    Map,
    Race,
    Ref,
    Retry,
    Sleep,
    Sql,
    Step,
    Structured,
    Text,
    Timeout,
    Try,
    WaitFor,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.span import NOWHERE, Span

OUTERMOST = -1

Group = Join | FanOut
Forked = Group | Structured | Hole
"""What has parts; also what has none in this workflow, but might."""


class Role(StrEnum):
    """What a part is to the construct around it."""

    BRANCH = "branch"
    ARM = "arm"
    CONDITION = "condition"
    THEN = "then"
    ELSE = "else"
    BODY = "body"
    WHILE = "while"
    CATCH = "catch"
    FINALLY = "finally"
    UNDO = "undo"
    UNORDERED = "unordered"


FLAT = frozenset({Role.BRANCH, Role.UNORDERED})
"""Parts whose nodes stand among those around them, instead of in a block of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What becomes a node of the plan: a leaf of the tree, or what has parts (as the join at their end).

    `after` are the units directly before it in its block, by index; for a group the last ones of its
    branches. `branch` is the innermost branch it stands in, or OUTERMOST. `fork` is its index among the
    forks, None for a leaf.
    """

    tree: Leaf | Forked
    after: tuple[int, ...]
    branch: int
    fork: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A construct with parts, by the index of its own unit, which stands behind them.

    `begin` and `end` are moments: indexes into `Outline.events`. `parent` is the branch that it stands in,
    `branches` are its own.
    """

    tree: Forked
    unit: int
    parent: int
    begin: int
    end: int
    branches: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A part of a fork (by index), between two moments. `last` is the unit whose result is the part's.

    `parent` is the branch that the fork stands in, or OUTERMOST.
    """

    fork: int
    number: int
    role: Role
    parent: int
    begin: int
    end: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name given to the result of a unit, by `df.step` (`step`) or by `|=>`, at a moment.

    Its body are the units from `first` to `unit`.
    """

    text: Text
    first: int
    unit: int
    moment: int
    tree: Step | Bind

    @property
    def step(self) -> bool:
        """Whether it is the name of a step."""
        return isinstance(self.tree, Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A unit, by index; one with parts after they have ended."""

    unit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """From here on the name (by index) holds."""

    name: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A fork (by index) begins."""

    fork: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """A branch (by index) begins."""

    branch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """A branch (by index) ends."""

    branch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """All branches of a fork have ended; its own unit comes next."""

    fork: int


Event = Run | Named | Open | Enter | Leave | Close


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A workflow, flat. `units` are in written order, what has parts behind them; the last is the result.

    `levels` is the deepest nesting of the tree, and `deepest` where that is.
    """

    units: tuple[Unit, ...]
    forks: tuple[Fork, ...]
    branches: tuple[Branch, ...]
    names: tuple[Name, ...]
    events: tuple[Event, ...]
    levels: int
    deepest: Span

    def around(self, branch: int) -> Iterator[tuple[Branch, Fork]]:
        """A branch and those around it, from the inside out, each with its fork."""
        while branch != OUTERMOST:
            found = self.branches[branch]
            yield found, self.forks[found.fork]
            branch = found.parent

    def loop_of(self, unit: int) -> int | None:
        """The unit of the loop that a break at `unit` leaves; None where there is none.

        It can leave no `finally` part and no undo: what these unwind to is settled before they run.
        """
        for branch, fork in self.around(self.units[unit].branch):
            if isinstance(fork.tree, Loop):
                return fork.unit
            if branch.role in (Role.FINALLY, Role.UNDO):
                return None
        return None


def parts_of(tree: Forked) -> tuple[tuple[Role, Expression], ...]:
    """The parts of a construct in the order in which they are written."""
    match tree:
        case Join(branches=inner) | FanOut(branches=inner):
            return tuple([(Role.ARM if tree.cancels else Role.BRANCH, part) for part in inner])
        case Race():
            return tuple([(Role.ARM, part) for part in arms_of(tree)])
        case If():
            first = (Role.CONDITION, tree.condition)
            last = () if tree.otherwise is None else ((Role.ELSE, tree.otherwise),)
            return (first, (Role.THEN, tree.then), *last)
        case IfRows():
            last = () if tree.otherwise is None else ((Role.ELSE, tree.otherwise),)
            return ((Role.CONDITION, _row_count(tree.name)), (Role.THEN, tree.then), *last)
        case Loop():
            last = () if tree.condition is None else ((Role.WHILE, tree.condition),)
            return ((Role.BODY, tree.body), *last)
        case Map():
            known = isinstance(tree.items, Sql | Ref)
            first = () if known else ((Role.UNORDERED, tree.items),)
            return (*first, (Role.BODY, tree.body))
        case Atomic() | Retry():
            return ((Role.BODY, tree.body),)
        case Timeout():
            last = () if tree.otherwise is None else ((Role.ELSE, tree.otherwise),)
            return ((Role.BODY, tree.body), *last)
        case Try():
            last = () if tree.final is None else ((Role.FINALLY, tree.final),)
            return ((Role.BODY, tree.body), (Role.CATCH, tree.catch), *last)
        case Compensate():
            return ((Role.BODY, tree.body), (Role.UNDO, tree.undo))
        case WaitFor(timeout=None):
            return ((Role.BODY, tree.query),)
        case WaitFor():
            return ((Role.BODY, replace(tree, timeout=None)), (Role.ELSE, _timed_out(tree)))
        case Hole(children=inner):
            return tuple([(Role.UNORDERED, part) for part in inner])
        case _:
            assert_never(tree)


def arms_of(race: Race) -> list[Expression]:
    """The arms of a race, with those of races that are an arm themselves: `a | b | c` has one winner.

    An arm that is one statement then wins in its own transaction, however the operators group.
    """
    arms: list[Expression] = []
    todo: list[Expression] = [race]
    while todo:
        arm = todo.pop()
        if isinstance(arm, Race):
            todo += reversed(arm.arms)
        else:
            arms.append(arm)
    return arms


def _is_written_once(tree: Forked) -> bool:
    """Whether a construct and its first part are one in what was written."""
    return isinstance(tree, Hole) or (isinstance(tree, WaitFor) and tree.timeout is not None)


def _timed_out(tree: WaitFor) -> Constant:
    """What a `df.wait_for` gives when its time is up. As a condition it is false."""
    return Constant(value='{"timed_out": true}', span=tree.span)


def _row_count(name: Text) -> Ref:
    """The condition of `df.if_rows`: how many rows the named result has."""
    text = Text(value=f"${name.value}.row_count", span=name.span)
    return Ref(text=text, span=name.span)


def outline(tree: Expression) -> Outline:
    """Lay a tree out flat. Linear; needs no stack of the interpreter."""
    building = _Building()
    building.todo.append(_Visit(tree, 1))
    while building.todo:
        building.do(building.todo.pop())
    return building.done()


@dataclass(slots=True)
class _Fork:
    """A fork under way. `lasts` are the last units of the branches that have ended."""

    tree: Forked
    number: int
    begin: int
    entry: int | None
    parent: int
    end: int = 0
    unit: int = 0
    lasts: list[int] = field(default_factory=list[int])
    branches: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class _Part:
    """A branch under way."""

    fork: _Fork
    number: int
    role: Role
    begin: int
    end: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class _Visit:
    tree: Expression
    level: int


@dataclass(frozen=True, slots=True)
class _Give:
    naming: Step | Bind
    first: int


@dataclass(frozen=True, slots=True)
class _Begin:
    fork: _Fork
    number: int
    role: Role


@dataclass(frozen=True, slots=True)
class _End:
    fork: _Fork


@dataclass(frozen=True, slots=True)
class _Finish:
    fork: _Fork


_Task = _Visit | _Give | _Begin | _End | _Finish


class _Building:
    """The outline so far, and the stack of what is still to do. `previous` is the unit that ran last."""

    def __init__(self) -> None:
        self.todo: list[_Task] = []
        self.units: list[Unit] = []
        self.forks: list[_Fork] = []
        self.parts: list[_Part] = []
        self.names: list[Name] = []
        self.events: list[Event] = []
        self.previous: int | None = None
        self.branch = OUTERMOST
        self.levels = 0
        self.deepest: Span = NOWHERE

    def do(self, task: _Task) -> None:
        """Perform one task: append what it says to the outline, and its own parts to `todo`."""
        match task:
            case _Visit():
                self.visit(task.tree, task.level)
            case _Give(naming, first):
                assert self.previous is not None, "a name stands behind the body it names"
                moment = len(self.events)
                self.events.append(Named(name=len(self.names)))
                self.names.append(
                    Name(text=naming.name, first=first, unit=self.previous, moment=moment, tree=naming)
                )
            case _Begin(fork, number, role):
                self.previous = fork.entry if role in FLAT else None
                self.branch = len(self.parts)
                fork.branches.append(self.branch)
                self.parts.append(_Part(fork, number, role, len(self.events)))
                self.events.append(Enter(branch=self.branch))
            case _End(fork):
                assert self.previous is not None, "a branch holds at least one leaf"
                part = self.parts[self.branch]
                fork.lasts.append(self.previous)
                part.end, part.last = len(self.events), self.previous
                self.events.append(Leave(branch=self.branch))
                self.branch = fork.parent
            case _Finish(fork):
                fork.end, fork.unit = len(self.events), len(self.units)
                self.events.append(Close(fork=fork.number))
                self.previous = fork.entry
                waits = isinstance(fork.tree, Join | FanOut) and not fork.tree.cancels
                self.run(fork.tree, tuple(fork.lasts) if waits else self.before(), fork.number)
            case _:
                assert_never(task)

    def visit(self, tree: Expression, level: int) -> None:
        """Append a leaf as a unit, or push the tasks of an inner node, the first one on top of `todo`."""
        if level > self.levels:
            self.levels, self.deepest = level, tree.span
        match tree:
            case Sql() | Ref() | Http() | Break() | Constant():
                self.run(tree, self.before())
            case Sleep() | WaitUntil() | WaitSchedule() | WaitSignal() | CallWorkflow() | WaitInstance():
                self.run(tree, self.before())
            case Step() | Bind():
                self.todo += (_Give(tree, len(self.units)), _Visit(tree.body, level + 1))
            case Chain(items=items):
                self.todo += [_Visit(item, level + 1) for item in reversed(items)]
            case _:
                self.fork(tree, level if _is_written_once(tree) else level + 1)

    def fork(self, tree: Forked, below: int) -> None:
        """Begin a construct with parts, and push the tasks of those."""
        fork = _Fork(tree, len(self.forks), len(self.events), self.previous, self.branch)
        self.forks.append(fork)
        self.events.append(Open(fork=fork.number))
        self.todo.append(_Finish(fork))
        inner = parts_of(tree)
        for number in range(len(inner) - 1, -1, -1):
            role, part = inner[number]
            self.todo += (_End(fork), _Visit(part, below), _Begin(fork, number, role))

    def before(self) -> tuple[int, ...]:
        """What a unit that comes now runs after."""
        return () if self.previous is None else (self.previous,)

    def run(self, tree: Leaf | Forked, after: tuple[int, ...], fork: int | None = None) -> None:
        """Append a unit, which becomes the previous one."""
        self.previous = len(self.units)
        self.units.append(Unit(tree=tree, after=after, branch=self.branch, fork=fork))
        self.events.append(Run(unit=self.previous))

    def done(self) -> Outline:
        """The finished outline; nothing may be left in `todo`."""
        forks = [
            Fork(
                tree=fork.tree,
                unit=fork.unit,
                parent=fork.parent,
                begin=fork.begin,
                end=fork.end,
                branches=tuple(fork.branches),
            )
            for fork in self.forks
        ]
        branches = [
            Branch(
                fork=part.fork.number,
                number=part.number,
                role=part.role,
                parent=part.fork.parent,
                begin=part.begin,
                end=part.end,
                last=part.last,
            )
            for part in self.parts
        ]
        return Outline(
            units=tuple(self.units),
            forks=tuple(forks),
            branches=tuple(branches),
            names=tuple(self.names),
            events=tuple(self.events),
            levels=self.levels,
            deepest=self.deepest,
        )
