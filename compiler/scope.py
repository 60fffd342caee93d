"""Which results each `$name` may stand for, and whether one of them is certain to be there.

A name holds where its step has certainly completed: behind it in the chain; not in a branch that runs at
the same time; behind a group for the names of all its branches. Of parts that exclude each other, or may
not come to their end, the names hold weakly: only `$name?` may stand for them. Each open part keeps what it
gives; a reference asks the open parts from the inside out until one gives it for certain. What it passes
on its way out of a loop may be what the loop's round before left; that is known when the loop closes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from dfc.compiler.ast import (
    Atomic,
    Break,
    Compensate,
    FanOut,
    Hole,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Race,
    Retry,
    Timeout,
    Try,
    WaitFor,
)
from dfc.compiler.links import ERROR, INPUT, Link, Loose, Of, Source
from dfc.compiler.names import name_fault
from dfc.compiler.outline import Branch, Close, Enter, Fork, Leave, Named, Open, Outline, Role, Run
from dfc.compiler.sql.references import Reference
from dfc.compiler.unresolved import Unresolved

EXIT_CHECKS_MAX = 1_000_000
"""How often a loop asks whether a name is certain at one of its breaks, before it says no without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The answers: links by unit, in the order of the text, and what could not be answered.

    `known` are the names that a text may mean. `misnamed` are the names given that are none, which has been
    reported; empty for one that nobody can read.
    """

    links: Mapping[int, tuple[Link, ...]]
    loose: tuple[Loose, ...]
    known: frozenset[str]
    misnamed: frozenset[str] = frozenset()


NO_SCOPE = Scope(links={}, loose=(), known=frozenset())


def resolve(outline: Outline, references: Mapping[int, tuple[Reference, ...]]) -> Scope:
    """Answer every reference of the units. Linear but for the nesting depth and the answers' length."""
    walk = _Walk(outline, references)
    for moment, event in enumerate(outline.events):
        match event:
            case Open(fork=fork):
                walk.open(fork, moment)
            case Enter(branch=branch):
                walk.enter(outline.branches[branch])
            case Leave():
                walk.leave()
            case Close():
                walk.close()
            case Named(name=name):
                walk.name(name)
            case Run(unit=unit):
                walk.run(unit, moment)
            case _:
                assert_never(event)
    return _answers(outline, walk.asked)


def known_names(outline: Outline) -> frozenset[str]:
    """The names that a reference in a literal may have; any other word behind a `$` there is text."""
    names = {name.text.value for name in outline.names if not name_fault(name.text.value)}
    for fork in outline.forks:
        if isinstance(fork.tree, Map):
            names.add(fork.tree.name.value)
        elif isinstance(fork.tree, Try):
            names.add(ERROR)
    return frozenset(names | {INPUT})


def _answers(outline: Outline, asked: list[_Asked]) -> Scope:
    names = frozenset(name.text.value for name in outline.names)
    items = frozenset(fork.tree.name.value for fork in outline.forks if isinstance(fork.tree, Map))
    misnamed = frozenset(name for name in names if name_fault(name))
    unresolved = Unresolved(outline)
    links: dict[int, list[Link]] = {}
    loose: list[Loose] = []
    for ask in asked:
        sources = tuple(ask.sources)
        if len(sources) > 1:
            sources = tuple(sorted(set(sources), key=_written, reverse=True))
        holds = ask.beside is None and (ask.certain or (bool(sources) and ask.reference.optional))
        problem: Loose | None = None
        if not holds:
            problem = unresolved.explain(ask.unit, ask.moment, ask.reference, sources, ask.beside)
            if problem is not None:
                loose.append(problem)
        if holds or (sources and problem is None):
            links.setdefault(ask.unit, []).append(Link(reference=ask.reference, sources=sources))
    return Scope(
        links={unit: tuple(found) for unit, found in links.items()},
        loose=tuple(loose),
        known=(names - misnamed) | items,
        misnamed=misnamed,
    )


def _written(source: Source) -> tuple[bool, int]:
    """Where a source stands in written order; the row of a map comes before all that runs for it."""
    return (source.of is Of.RESULT, source.unit)


@dataclass(slots=True)
class _Bound:
    """What a name stands for behind a part: sources in written order, of which one is surely there if
    `certain`. `every` are those that may have been the last where the part was left before its end.
    """

    sources: list[Source]
    certain: bool
    every: list[Source]


_Names = dict[str, _Bound]


@dataclass(slots=True)
class _Region:
    """A part that is open, or has been: what it gives. `ends`: control never comes out at its end."""

    branch: Branch | None
    fork: _Opened | None
    names: _Names = field(default_factory=dict[str, _Bound])
    ends: bool = False


@dataclass(slots=True)
class _Opened:
    """A fork that is open: the parts that have ended, and the references that wait for its end.

    For a loop, `exits` counts its breaks, and `kept` are the names that are certain at all of them.
    """

    fork: Fork
    done: list[_Region] = field(default_factory=list[_Region])
    waiting: list[_Asked] = field(default_factory=list["_Asked"])
    exits: int = 0
    kept: frozenset[str] = frozenset()
    checks: int = 0


@dataclass(slots=True)
class _Asked:
    """A reference, and what it may stand for so far. `beside`: a source that runs at the same time."""

    unit: int
    moment: int
    reference: Reference
    sources: list[Source]
    certain: bool
    beside: Source | None = None


class _Walk:
    """The open parts at one moment of the walk, the innermost last."""

    def __init__(self, outline: Outline, references: Mapping[int, tuple[Reference, ...]]) -> None:
        self.asked: list[_Asked] = []
        self._outline = outline
        self._references = references
        self._regions = [_Region(branch=None, fork=None)]
        self._opened: list[_Opened] = []

    # Events

    def open(self, fork: int, moment: int) -> None:
        """A fork begins; what a map runs for is asked here, in front of its body."""
        found = self._outline.forks[fork]
        self._opened.append(_Opened(found))
        if isinstance(found.tree, Map):
            self._ask(found.unit, moment)

    def enter(self, branch: Branch) -> None:
        """A part begins, with what the construct gives it."""
        opened = self._opened[-1]
        if branch.role is Role.UNORDERED:
            # Nothing is known of its order: what it names holds from here on.
            outer = self._regions[-1]
            self._regions.append(_Region(branch, opened, outer.names))
            return
        region = _Region(branch, opened)
        tree = opened.fork.tree
        if isinstance(tree, Map):
            region.names[tree.name.value] = _bound(Source(unit=opened.fork.unit, of=Of.ITEM))
        elif branch.role is Role.CATCH:
            region.names[ERROR] = _bound(Source(unit=opened.fork.unit, of=Of.ERROR))
        self._regions.append(region)

    def leave(self) -> None:
        """A part ends; what it has given goes to its fork."""
        region = self._regions.pop()
        assert region.branch is not None and region.fork is not None
        if region.branch.role is Role.UNORDERED:
            return
        if region.branch.role is Role.CATCH:
            region.names.pop(ERROR, None)
        region.fork.done.append(region)

    def close(self) -> None:
        """All parts of a fork have ended: what it gives to what comes behind it."""
        opened = self._opened.pop()
        if isinstance(opened.fork.tree, Loop):
            self._next_round(opened)
        names, ends = _together(opened)
        region = self._regions[-1]
        region.ends = region.ends or ends
        for text, bound in names.items():
            _bind(region.names, text, bound)

    def name(self, name: int) -> None:
        """From here on the name holds."""
        named = self._outline.names[name]
        source = Source(unit=named.unit, name=name)
        _bind(self._regions[-1].names, named.text.value, _bound(source))

    def run(self, unit: int, moment: int) -> None:
        """A unit runs: its references are asked; a break ends its part."""
        tree = self._outline.units[unit].tree
        if not isinstance(tree, Map):
            self._ask(unit, moment)
        if isinstance(tree, Break):
            self._regions[-1].ends = True
            self._break(self._outline.loop_of(unit))

    # References

    def _ask(self, unit: int, moment: int) -> None:
        for reference in self._references.get(unit, ()):
            asked = _Asked(unit, moment, reference, [], False)
            self._look(asked)
            self.asked.append(asked)

    def _look(self, asked: _Asked) -> None:
        """Ask the open parts, from the inside out, until one gives the name for certain."""
        name = asked.reference.name
        if name == INPUT:
            asked.sources.append(Source(unit=asked.unit, of=Of.INPUT))
            asked.certain = True
            return
        for region in reversed(self._regions):
            for names, weak in _visible(region):
                bound = names.get(name)
                if bound is None:
                    continue
                asked.sources += bound.every if weak else bound.sources
                if bound.certain and not weak:
                    asked.certain = True
                    return
            fork = region.fork
            if fork is not None and isinstance(fork.fork.tree, Loop):
                fork.waiting.append(asked)

    def _next_round(self, opened: _Opened) -> None:
        """What the loop's rounds leave is what their references may find there in the next one."""
        names = _one_after_the_other(opened.done)
        for asked in opened.waiting:
            bound = names.get(asked.reference.name)
            if bound is None:
                continue
            known = set(asked.sources)
            for source in bound.sources:
                if source in known:
                    continue
                asked.sources.append(source)
                if asked.beside is None and beside(self._outline, source.unit, asked.unit) is not None:
                    asked.beside = source

    def _break(self, loop: int | None) -> None:
        """What is certain at every break of a loop is certain behind it."""
        inner: list[_Region] = []
        for region in reversed(self._regions):
            inner.append(region)
            if region.fork is None:
                return  # there is no such loop, which is reported
            if isinstance(region.fork.fork.tree, Map):
                inner.clear()
            if region.fork.fork.unit == loop and isinstance(region.fork.fork.tree, Loop):
                break
        opened = inner[-1].fork
        assert opened is not None
        opened.exits += 1
        if opened.exits == 1:
            opened.kept = frozenset(_certain(inner))
            return
        opened.checks += len(opened.kept)
        asked = inner if opened.checks <= EXIT_CHECKS_MAX else inner[-1:]
        opened.kept = frozenset([text for text in opened.kept if _is_certain(asked, text)])


def _bound(source: Source) -> _Bound:
    return _Bound([source], True, [source])


def _bind(names: _Names, text: str, bound: _Bound) -> None:
    """What comes later, if it is certain, counts alone; else it is one more that may."""
    known = names.get(text)
    if known is None:
        names[text] = _Bound(list(bound.sources), bound.certain, list(bound.every))
        return
    if bound.certain:
        known.sources.clear()
        known.certain = True
    known.sources += bound.sources
    known.every += bound.every


def _visible(region: _Region) -> Iterator[tuple[_Names, bool]]:
    """What a part sees: its own names, then those of earlier parts of its fork; whether weakly."""
    yield region.names, False
    if (
        region.fork is None
        or region.branch is None
        or isinstance(region.fork.fork.tree, Join | FanOut | Race)
    ):
        return
    done = region.fork.done
    match region.branch.role:
        case Role.THEN:
            yield done[0].names, False
        case Role.ELSE:
            # Of a time limit, what it stopped; of an if, the condition.
            yield done[0].names, isinstance(region.fork.fork.tree, Timeout)
        case Role.WHILE | Role.UNDO:
            yield done[0].names, False
        case Role.CATCH | Role.FINALLY:
            for before in reversed(done):
                yield before.names, True
        case _:
            return


def _certain(regions: list[_Region]) -> Iterator[str]:
    for region in regions:
        for names, weak in _visible(region):
            yield from [text for text, bound in names.items() if bound.certain and not weak]


def _is_certain(regions: list[_Region], text: str) -> bool:
    for region in regions:
        for names, weak in _visible(region):
            bound = names.get(text)
            if bound is not None and bound.certain and not weak:
                return True
    return False


# What forks give


def _together(opened: _Opened) -> tuple[_Names, bool]:
    """What a fork gives behind it, and whether control never comes there."""
    done = opened.done
    tree = opened.fork.tree
    match tree:
        case Join() | FanOut():
            return _one_after_the_other(done), any(part.ends for part in done)
        case Race():
            return _one_of(done), all(part.ends for part in done)
        case If() | IfRows():
            condition, *branches = done
            if tree.otherwise is None:
                branches.append(_Region(branch=None, fork=None))
            ends = condition.ends or all(branch.ends for branch in branches)
            return _then(condition.names, _one_of(branches)), ends
        case Loop():
            return _behind_loop(opened), not opened.exits and (tree.condition is None or done[0].ends)
        case Atomic() | Retry() | Compensate():
            return done[0].names, done[0].ends
        case Timeout():
            if tree.otherwise is None:
                return done[0].names, done[0].ends
            return _one_of([done[0], _after_a_stop(*done)]), done[1].ends
        case Try():
            names = _one_of([done[0], _after_a_stop(done[0], done[1])])
            if tree.final is None:
                return names, done[0].ends and done[1].ends
            return _then(names, done[2].names), (done[0].ends and done[1].ends) or done[2].ends
        case Map() | WaitFor() | Hole():
            return {}, False
        case _:
            assert_never(tree)


def _then(first: _Names, second: _Names) -> _Names:
    names: _Names = {}
    for text, bound in (*first.items(), *second.items()):
        _bind(names, text, bound)
    return names


def _one_after_the_other(parts: list[_Region]) -> _Names:
    """Of parts that all come to their end."""
    names: _Names = {}
    for part in parts:
        for text, bound in part.names.items():
            _bind(names, text, bound)
    return names


def _one_of(parts: list[_Region]) -> _Names:
    """Of parts of which one comes to its end. One that never does says nothing about what is certain."""
    needed = sum(not part.ends for part in parts)
    names: _Names = {}
    counts: dict[str, int] = {}
    for part in parts:
        for text, bound in part.names.items():
            counts[text] = counts.get(text, 0) + (bound.certain and not part.ends)
            joined = names.setdefault(text, _Bound([], False, []))
            joined.sources += bound.sources
            joined.every += bound.every
    for text, bound in names.items():
        bound.certain = counts[text] == needed
    return names


def _after_a_stop(stopped: _Region, then: _Region) -> _Region:
    """A part that comes behind one that has not come to its end."""
    names: _Names = {}
    for text, bound in stopped.names.items():
        _bind(names, text, _Bound(bound.every, False, bound.every))
    for text, bound in then.names.items():
        _bind(names, text, bound)
    return _Region(branch=None, fork=None, names=names, ends=then.ends)


def _behind_loop(opened: _Opened) -> _Names:
    """What is certain at each way out of a loop: its breaks, and the end of a round."""
    names = _one_after_the_other(opened.done)
    tree = opened.fork.tree
    ends_by_itself = isinstance(tree, Loop) and tree.condition is not None and not opened.done[0].ends
    for text, bound in names.items():
        if opened.exits:
            bound.sources = list(bound.every)
            bound.certain = (bound.certain or not ends_by_itself) and text in opened.kept
    return names


def beside(outline: Outline, first: int, second: int) -> Branch | None:
    """The branch of `first` in the group whose other branch `second` stands in, at the same time."""
    ways = {branch.fork: branch for branch, _ in outline.around(outline.units[first].branch)}
    for branch, fork in outline.around(outline.units[second].branch):
        other = ways.get(branch.fork)
        if other is None:
            continue
        groups = isinstance(fork.tree, Join | FanOut | Race)
        return other if groups and other.number != branch.number else None
    return None
