"""The tree laid out flat, once, in written order: what runs, what opens and closes, what gets a name.

Every later pass is a loop over this. No pass recurses, so that nesting costs memory and not stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from dfc.compiler.ast import (
    Bind,
    Chain,
    Expression,
    FanOut,
    Hole,
    Http,
    Join,
    Later,
    Sql,
    Step,
    Text,
    Unordered,
)
from dfc.compiler.span import NOWHERE, Span

OUTERMOST = -1

Leaf = Sql | Http | Later | Hole
Group = Join | FanOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What becomes a node of the plan: a leaf of the tree, or a group (as the join at its end).

    `after` are the units directly before it, by index; for a group the last ones of its branches.
    `branch` is the innermost branch it stands in, or OUTERMOST.
    """

    tree: Leaf | Group
    after: tuple[int, ...]
    branch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch of a group, or a child of a construct that cannot be executed yet, or of a hole.

    `begin` and `end` are moments: indexes into `Outline.events`; `group_begin` and `group_end` enclose
    all branches of the group. `parent` is the branch that the group stands in, or OUTERMOST.
    """

    group: int
    number: int
    parent: int
    tree: Group | Unordered
    begin: int
    end: int
    group_begin: int
    group_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name given to the result of a unit, by `df.step` (`step`) or by `|=>`, at a moment.

    Its body are the units from `first` to `unit`.
    """

    text: Text
    first: int
    unit: int
    step: bool
    moment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A leaf, or the join of a group, by index of its unit."""

    unit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """From here on the name (by index) holds."""

    name: int


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
    """All branches of a group have ended; its own unit comes next."""

    group: int


Event = Run | Named | Enter | Leave | Close


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A workflow, flat. `units` are in written order, a group behind its branches; the last is the result.

    `levels` is the deepest nesting of the tree, and `deepest` where that is.
    """

    units: tuple[Unit, ...]
    branches: tuple[Branch, ...]
    names: tuple[Name, ...]
    events: tuple[Event, ...]
    levels: int
    deepest: Span


def outline(tree: Expression) -> Outline:
    """Lay a tree out flat. Linear; needs no stack of the interpreter."""
    building = _Building()
    building.todo.append(_Visit(tree, 1))
    while building.todo:
        building.do(building.todo.pop())
    return building.done()


@dataclass(slots=True)
class _Fork:
    """A group under way. `lasts` are the last units of the branches that have ended."""

    tree: Group | Unordered
    number: int
    begin: int
    entry: int | None
    parent: int
    end: int = 0
    lasts: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class _Arm:
    """A branch under way."""

    fork: _Fork
    number: int
    begin: int
    end: int = 0


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
        self.arms: list[_Arm] = []
        self.names: list[Name] = []
        self.events: list[Event] = []
        self.forks = 0
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
                step = isinstance(naming, Step)
                self.names.append(
                    Name(text=naming.name, first=first, unit=self.previous, step=step, moment=moment)
                )
            case _Begin(fork, number):
                self.previous = fork.entry
                self.branch = len(self.arms)
                self.arms.append(_Arm(fork, number, len(self.events)))
                self.events.append(Enter(branch=self.branch))
            case _End(fork):
                assert self.previous is not None, "a branch holds at least one leaf"
                fork.lasts.append(self.previous)
                self.arms[self.branch].end = len(self.events)
                self.events.append(Leave(branch=self.branch))
                self.branch = fork.parent
            case _Finish(fork):
                fork.end = len(self.events)
                self.events.append(Close(group=fork.number))
                self.previous = fork.entry
                unordered = isinstance(fork.tree, Unordered)
                self.run(fork.tree, self.before() if unordered else tuple(fork.lasts))
            case _:
                assert_never(task)

    def visit(self, tree: Expression, level: int) -> None:
        """Append a leaf as a unit, or push the tasks of an inner node, the first one on top of `todo`."""
        if level > self.levels:
            self.levels, self.deepest = level, tree.span
        match tree:
            case Sql() | Http():
                self.run(tree, self.before())
            case Step() | Bind():
                self.todo += (_Give(tree, len(self.units)), _Visit(tree.body, level + 1))
            case Chain(items=items):
                self.todo += [_Visit(item, level + 1) for item in reversed(items)]
            case Join(branches=inner) | FanOut(branches=inner) | Later(children=inner) | Hole(children=inner):
                below = level if isinstance(tree, Hole) else level + 1
                fork = _Fork(tree, self.forks, len(self.events), self.previous, self.branch)
                self.forks += 1
                self.todo.append(_Finish(fork))
                for number in range(len(inner) - 1, -1, -1):
                    self.todo += (_End(fork), _Visit(inner[number], below), _Begin(fork, number))
            case _:
                assert_never(tree)

    def before(self) -> tuple[int, ...]:
        """What a unit that comes now runs after."""
        return () if self.previous is None else (self.previous,)

    def run(self, tree: Leaf | Group, after: tuple[int, ...]) -> None:
        """Append a unit, which becomes the previous one."""
        self.previous = len(self.units)
        self.units.append(Unit(tree=tree, after=after, branch=self.branch))
        self.events.append(Run(unit=self.previous))

    def done(self) -> Outline:
        """The finished outline; nothing may be left in `todo`."""
        branches = [
            Branch(
                group=arm.fork.number,
                number=arm.number,
                parent=arm.fork.parent,
                tree=arm.fork.tree,
                begin=arm.begin,
                end=arm.end,
                group_begin=arm.fork.begin,
                group_end=arm.fork.end,
            )
            for arm in self.arms
        ]
        return Outline(
            units=tuple(self.units),
            branches=tuple(branches),
            names=tuple(self.names),
            events=tuple(self.events),
            levels=self.levels,
            deepest=self.deepest,
        )
