"""DF202: branches that run at the same time write the same table, or one reads what another writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from dfc.compiler.beside.touching import Touching, groups_beside
from dfc.compiler.diagnostics import Diagnostic, Note, Severity
from dfc.compiler.facts import Facts
from dfc.compiler.span import Span
from dfc.compiler.sql.meetings import Access, Meeting, meeting, settled
from dfc.compiler.sql.uses import Effect, Use

SHOWN_MAX = 10
"""Conflicts that are shown for each table: a group of thousands of branches would fill the screen."""
COMPARED_MAX: Final = 32
"""With how many earlier accesses, no two of a kind, each one is compared."""


def parallel_conflict(facts: Facts) -> Iterator[Diagnostic]:
    """Index the accesses by table, then look at each group that has a table in several branches."""
    touching = Touching(facts)
    accesses: dict[str, list[Access]] = {}
    for unit in touching.units:
        # Outside of all groups nothing runs beside it, and finding the tables is the dear part.
        if any(True for _ in groups_beside(facts.outline, unit)):
            for access in touching.accesses(unit):
                accesses.setdefault(access.use.table, []).append(access)
    told: set[tuple[Span, Span]] = set()
    for table, found in sorted(accesses.items()):
        if len(found) > 1 and any(access.use.writes for access in found):
            keyless = table in touching.relations.keyless
            conflicts = [
                conflict
                for conflict in _conflicts(facts, found)
                if not (keyless and conflict.how is Meeting.ROWS_ADDED)
            ]
            # The same two places often meet in what is behind a table, too.
            conflicts = [
                conflict
                for conflict in conflicts
                if (touching.place(conflict.first), touching.place(conflict.second)) not in told
            ]
            conflicts.sort(key=lambda conflict: conflict.how is Meeting.ROWS_ADDED)
            shown = conflicts[:SHOWN_MAX]
            for conflict in shown:
                told.add((touching.place(conflict.first), touching.place(conflict.second)))
                more = len(conflicts) - len(shown) if conflict is shown[-1] else 0
                yield _report(touching, conflict, more)


@dataclass(frozen=True, slots=True)
class _Conflict:
    """Two accesses of a table, in written order, that meet."""

    table: str
    first: Access
    second: Access
    how: Meeting


@dataclass(slots=True)
class _Group:
    """The accesses of one table in the branches of one fork, with the numbers of these."""

    accesses: list[tuple[int, Access]] = field(default_factory=list[tuple[int, Access]])


def _conflicts(facts: Facts, accesses: list[Access]) -> Iterator[_Conflict]:
    """For each group, a conflict of every branch with one in front of it.

    Takes time by the number of accesses and the nesting, not by the number of pairs.
    """
    groups: dict[int, _Group] = {}
    for access in accesses:
        for branch in groups_beside(facts.outline, access.unit):
            groups.setdefault(branch.fork, _Group()).accesses.append((branch.number, access))
    for group in sorted(groups):
        yield from _within(groups[group])


def _within(group: _Group) -> Iterator[_Conflict]:
    """The conflicts in one group: for each branch the first with the most serious meaning."""
    earlier = _Earlier(group)
    worst: dict[int, _Conflict] = {}
    for branch, access in group.accesses:
        known = worst.get(branch)
        for other in (
            earlier.beside(branch, access) if known is None or known.how is not Meeting.ORDER else ()
        ):
            how = meeting(other, access)
            if how is None or (known is not None and how.value <= known.how.value):
                continue
            known = worst[branch] = _Conflict(access.use.table, other, access, how)
        earlier.add(branch, access)
    yield from worst.values()


class _Earlier:
    """The accesses so far, at most two of a kind, in buckets by the constant of the column most have."""

    def __init__(self, group: _Group) -> None:
        columns = Counter(column for _, access in group.accesses for column in _constants(access.use))
        self._column = columns.most_common(1)[0][0] if columns else ""
        self._kinds: dict[tuple[bool, Use], list[int]] = {}
        self._buckets: dict[str | None, list[tuple[int, Access]]] = {}
        self._all: list[tuple[int, Access]] = []

    def beside(self, branch: int, access: Access) -> Iterator[Access]:
        """What the access may meet: what is in no bucket or its own, all where it has none."""
        value = _constants(access.use).get(self._column)
        found = self._all if value is None else (*self._bucket(None), *self._bucket(value))
        return (other for number, other in found if number != branch)

    def add(self, branch: int, access: Access) -> None:
        """Keep an access, unless there are enough that are like it."""
        kind = (access.claims, _kind(access.use))
        branches = self._kinds.setdefault(kind, [])
        if branch in branches or len(branches) > 1:
            return
        branches.append(branch)
        bucket = self._buckets.setdefault(_constants(access.use).get(self._column), [])
        for kept in (bucket, self._all):
            if len(kept) < COMPARED_MAX:
                kept.append((branch, access))

    def _bucket(self, value: str | None) -> list[tuple[int, Access]]:
        return self._buckets.get(value, [])


def _constants(use: Use) -> dict[str, str]:
    """The columns that have one value in all rows of a use."""
    return {column: domain.values[0] for column, domain in settled(use).items() if len(domain.values) == 1}


def _kind(use: Use) -> Use:
    return replace(use, start=0, end=0)


def _report(touching: Touching, conflict: _Conflict, more: int) -> Diagnostic:
    """The conflict; `more` is how many others with this table are not shown."""
    rest = (Note(message=f"and {more:,} more with this table, not shown"),) if more else ()
    first, second = conflict.first, conflict.second
    message, help = _words(conflict)
    added = conflict.how is Meeting.ROWS_ADDED
    return Diagnostic(
        code="DF202",
        severity=Severity.NOTE if added else Severity.LINT,
        message=message,
        span=touching.place(second),
        label=_does(second),
        notes=(
            Note(message=f"at the same time as this, which {_does(first)}", span=touching.place(first)),
            *rest,
        ),
        help=help,
    )


def _words(conflict: _Conflict) -> tuple[str, str]:
    table, one, other = conflict.table, conflict.first.use, conflict.second.use
    chain = "chain the two with `~>`, or let each branch write a table of its own"
    match conflict.how:
        case Meeting.ROWS_ADDED:
            return (
                f"parallel branches insert into the same table `{table}`",
                "nothing is to be done unless both insert the same key, for which one waits, and then fails",
            )
        case Meeting.COLUMNS:
            return (
                f"parallel branches update different columns of the same table `{table}`",
                "for a row of both one waits for the other: set all in one UPDATE, or chain the two",
            )
        case Meeting.ORDER if one.writes and other.writes:
            return f"parallel branches write the same table `{table}`", chain
        case Meeting.ORDER:
            return f"one parallel branch reads the table `{table}`, which another writes", chain


def _does(access: Access) -> str:
    use = access.use
    through = f", through {use.through}" if use.through else ""
    if use.effect is Effect.UPDATE and use.changed is not None and len(use.changed) <= 3:
        return f"writes {', '.join([f'`{column}`' for column in sorted(use.changed)])} of it{through}"
    return f"{'writes' if use.writes else 'reads'} it{through}"
