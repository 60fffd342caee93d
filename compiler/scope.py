"""Which result each `$name` stands for.

A name holds where its step has certainly completed: behind it in the chain; not in a branch that runs at
the same time; behind a group for the names of all its branches, in written order. One walk over the
outline with a dictionary and an undo log for each open branch answers every reference; where one has no
answer, the nesting of the two places says why.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dfc.compiler.ast import Unordered
from dfc.compiler.names import RESERVED, name_fault
from dfc.compiler.outline import OUTERMOST, Branch, Close, Enter, Leave, Name, Named, Outline, Run
from dfc.compiler.sql.analysis import Analysis, literals_of
from dfc.compiler.sql.references import Reference

_BEGINNING = re.compile(r"\A\w+")
_MARKS = re.compile(r"[\W_]+")


class Why(Enum):
    """Why a reference stands for nothing: OWN is a reference inside of the very step that gives the name."""

    UNKNOWN = auto()
    PARALLEL = auto()
    EARLY = auto()
    OWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A reference and the unit whose result it stands for."""

    reference: Reference
    source: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    """A reference of a unit that stands for nothing. `name` is the naming that does not hold there.

    For PARALLEL, `branch` is the branch of the naming that runs at the same time as the reference.
    """

    unit: int
    reference: Reference
    why: Why
    name: Name | None = None
    branch: Branch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The answers: links by unit, in the order of the text, and what could not be answered.

    References by reserved names are in neither: they are found with the analysis of the unit. `misnamed`
    are the names given that are none, which has been reported; empty for one that nobody can read.
    """

    links: Mapping[int, tuple[Link, ...]]
    loose: tuple[Loose, ...]
    known: frozenset[str]
    misnamed: frozenset[str] = frozenset()


NO_SCOPE = Scope(links={}, loose=(), known=frozenset())


def resolve(outline: Outline, analyses: Mapping[int, Analysis]) -> Scope:
    """Answer every reference in the SQL of the units. Linear but for the nesting depth."""
    places = _Places(outline)
    links: dict[int, tuple[Link, ...]] = {}
    loose: list[Loose] = []
    names = frozenset(name.text.value for name in outline.names)
    misnamed = frozenset(name for name in names if name_fault(name))
    known = names - misnamed
    for moment, event in enumerate(outline.events):
        match event:
            case Enter(branch=branch):
                places.enter(outline.branches[branch])
            case Leave(branch=branch):
                places.leave(outline.branches[branch])
            case Close(group=group):
                places.close(group)
            case Named(name=name):
                places.bind(outline.names[name].text.value, name)
            case Run(unit=unit):
                analysis = analyses.get(unit)
                if analysis is None:
                    continue
                found: list[Link] = []
                for reference in literals_of(analysis, known)[0]:
                    name = places.names.get(reference.name)
                    if name is not None:
                        found.append(Link(reference=reference, source=outline.names[name].unit))
                    elif reference.name not in RESERVED:
                        loose += places.explain(unit, moment, reference)
                if found:
                    links[unit] = tuple(found)
    return Scope(links=links, loose=tuple(loose), known=known, misnamed=misnamed)


class _Places:
    """The names that hold at one moment of the walk."""

    def __init__(self, outline: Outline) -> None:
        self.names: dict[str, int] = {}
        self._outline = outline
        self._undo: list[dict[str, int | None]] = []
        self._pending: dict[int, dict[str, int]] = {}
        self._by_text: dict[str, list[Name]] = {}
        for name in outline.names:
            self._by_text.setdefault(name.text.value, []).append(name)
        self._misnamed: dict[str, set[str]] = {}
        for text in filter(name_fault, self._by_text):
            for part in (text, *_BEGINNING.findall(text)):
                self._misnamed.setdefault(_alike(part), set()).add(text)

    def bind(self, text: str, name: int) -> None:
        """From here on `text` is the name with this index of the outline; noted for the end of the branch."""
        if self._undo:
            self._undo[-1].setdefault(text, self.names.get(text))
        self.names[text] = name

    def enter(self, branch: Branch) -> None:
        """Begin to note what the branch binds."""
        if not isinstance(branch.tree, Unordered):
            self._undo.append({})

    def leave(self, branch: Branch) -> None:
        """Take back the names of the branch, for its siblings; `close` gives them again."""
        if isinstance(branch.tree, Unordered):
            return
        pending = self._pending.setdefault(branch.group, {})
        for text, before in self._undo.pop().items():
            pending[text] = self.names[text]
            if before is None:
                del self.names[text]
            else:
                self.names[text] = before

    def close(self, group: int) -> None:
        """Give back the names of all branches of the group: they have certainly run."""
        for text, name in self._pending.pop(group, {}).items():
            self.bind(text, name)

    def explain(self, unit: int, moment: int, reference: Reference) -> list[Loose]:
        """Why `reference` at `moment` stands for nothing; empty inside a construct of a later version."""
        candidates = self._by_text.get(reference.name)
        if not candidates:
            alike = self._misnamed.get(_alike(reference.name), set()) | self._misnamed.get("", set())
            if any(text in self.names for text in alike):
                return []  # the name may be what a faulty one was to be
            return [Loose(unit=unit, reference=reference, why=Why.UNKNOWN)]
        here = self._outline.units[unit].branch
        while here != OUTERMOST:
            branch = self._outline.branches[here]
            if isinstance(branch.tree, Unordered):
                return []
            name = _first(candidates, branch.group_begin)
            if name is not None and name.moment >= branch.begin:
                name = _first(candidates, branch.end)
            if name is not None and name.moment < branch.group_end:
                return [Loose(unit=unit, reference=reference, why=Why.PARALLEL, name=name, branch=branch)]
            here = branch.parent
        name = _first(candidates, moment) or candidates[0]
        why = Why.OWN if name.first <= unit <= name.unit else Why.EARLY
        return [Loose(unit=unit, reference=reference, why=why, name=name)]


def _alike(name: str) -> str:
    """What a faulty name and the one that was meant have in common."""
    return _MARKS.sub("", name).casefold()


def _first(names: list[Name], moment: int) -> Name | None:
    """The first naming at `moment` or later."""
    place = bisect_left(names, moment, key=lambda name: name.moment)
    return names[place] if place < len(names) else None
