"""Why a reference stands for nothing, or for nothing certain: the nesting of the two places says it."""

from __future__ import annotations

import re
from bisect import bisect_left

from dfc.compiler.ast import FanOut, Hole, Join, Map, Race
from dfc.compiler.links import Loose, Of, Source, Why
from dfc.compiler.names import RESERVED, name_fault
from dfc.compiler.outline import Branch, Name, Outline, Role
from dfc.compiler.sql.references import Reference

_BEGINNING = re.compile(r"\A\w+")
_MARKS = re.compile(r"[\W_]+")


class Unresolved:
    """Explains references. The names are indexed once."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._by_text: dict[str, list[Name]] = {}
        for name in outline.names:
            self._by_text.setdefault(name.text.value, []).append(name)
        self._misnamed: dict[str, set[str]] = {}
        for text in filter(name_fault, self._by_text):
            for part in (text, *_BEGINNING.findall(text)):
                self._misnamed.setdefault(_alike(part), set()).add(text)

    def explain(
        self,
        unit: int,
        moment: int,
        reference: Reference,
        sources: tuple[Source, ...],
        parallel: Source | None,
    ) -> Loose | None:
        """Why `reference` at `moment` does not hold; None where nothing can be said, or it is plain text.

        Inside a faulty part nothing is known of known names.
        """
        names = self._by_text.get(reference.name)
        if not names:
            return None if sources else self._unknown(unit, moment, reference)
        if self._is_unordered(unit):
            return None
        if sources:
            return self._uncertain(unit, reference, sources, parallel)
        found = self._parallel(names, unit)
        if found is not None:
            return Loose(unit=unit, reference=reference, why=Why.PARALLEL, name=found[0], branch=found[1])
        place = bisect_left(names, moment, key=lambda name: name.moment)
        if place == 0:
            name = names[0]
            own = name.first <= unit <= name.unit
            return Loose(unit=unit, reference=reference, why=Why.OWN if own else Why.EARLY, name=name)
        name = names[place - 1]
        branch = self._reason(name.unit, unit)
        excluded = branch is not None and branch.role in (Role.THEN, Role.ELSE)
        why = Why.EXCLUDED if excluded else Why.HIDDEN
        return Loose(unit=unit, reference=reference, why=why, name=name, branch=branch)

    def _unknown(self, unit: int, moment: int, reference: Reference) -> Loose | None:
        if reference.literal:
            return None
        name = reference.name
        if name in RESERVED and self._is_unordered(unit):
            return None
        alike = self._misnamed.get(_alike(name), set()) | self._misnamed.get("", set())
        if any(self._by_text[text][0].moment < moment for text in alike):
            return None  # the name may be what a faulty one was to be
        return Loose(unit=unit, reference=reference, why=Why.UNKNOWN)

    def _uncertain(
        self, unit: int, reference: Reference, sources: tuple[Source, ...], parallel: Source | None
    ) -> Loose:
        source = parallel or next(source for source in sources if source.of is Of.RESULT)
        name = self._outline.names[source.name]
        branch = self._reason(source.unit, unit)
        why = Why.MAYBE if parallel is None else Why.PARALLEL
        return Loose(unit=unit, reference=reference, why=why, name=name, branch=branch)

    def _is_unordered(self, unit: int) -> bool:
        around = self._outline.around(self._outline.units[unit].branch)
        return any(isinstance(fork.tree, Hole) for _, fork in around)

    def _parallel(self, names: list[Name], unit: int) -> tuple[Name, Branch] | None:
        """A naming in another branch of a group around the unit, and the unit's branch of the group."""
        for branch, fork in self._outline.around(self._outline.units[unit].branch):
            if not isinstance(fork.tree, Join | FanOut | Race):
                continue
            name = _first(names, fork.begin)
            if name is not None and name.moment >= branch.begin:
                name = _first(names, branch.end)
            if name is not None and name.moment < fork.end:
                return name, branch
        return None

    def _reason(self, named: int, unit: int) -> Branch | None:
        """The part around a naming that keeps its name from a unit, or from being certain there."""
        outer = {branch.begin for branch, _ in self._outline.around(self._outline.units[unit].branch)}
        reason: Branch | None = None
        hidden: Branch | None = None
        for branch, fork in self._outline.around(self._outline.units[named].branch):
            if branch.begin in outer:
                break
            if isinstance(fork.tree, Map) or branch.role is Role.UNDO:
                hidden = branch
            reason = branch
        return hidden or reason


def _alike(name: str) -> str:
    """What a faulty name and the one that was meant have in common."""
    return _MARKS.sub("", name).casefold()


def _first(names: list[Name], moment: int) -> Name | None:
    """The first naming at `moment` or later."""
    place = bisect_left(names, moment, key=lambda name: name.moment)
    return names[place] if place < len(names) else None
