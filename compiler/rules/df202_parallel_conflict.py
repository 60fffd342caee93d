"""DF202: branches that run at the same time write the same table, or one reads what another writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dfc.compiler.ast import FanOut, Join, Race
from dfc.compiler.diagnostics import Diagnostic, Note, lint
from dfc.compiler.facts import Facts
from dfc.compiler.outline import Branch, Fork
from dfc.compiler.span import Span

SHOWN_MAX = 10
"""Conflicts that are shown for each table: a group of thousands of branches would fill the screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    """A unit that touches a table."""

    unit: int
    writes: bool


def parallel_conflict(facts: Facts) -> Iterator[Diagnostic]:
    """Index the accesses by table, then look at each group that has a table in several branches."""
    accesses: dict[str, list[_Access]] = {}
    for unit, analysis in facts.analyses.items():
        # Outside of all groups nothing runs beside it, and finding the tables is the dear part.
        if not any(isinstance(fork.tree, Join | FanOut | Race) for _, fork in _around(facts, unit)):
            continue
        for table in sorted(analysis.reads | analysis.writes):
            accesses.setdefault(table, []).append(_Access(unit=unit, writes=table in analysis.writes))
    for table, found in accesses.items():
        if len(found) > 1 and any(access.writes for access in found):
            conflicts = list(_conflicts(facts, found))
            shown = conflicts[:SHOWN_MAX]
            for first, second in shown:
                more = len(conflicts) - len(shown) if (first, second) == shown[-1] else 0
                yield _report(facts, table, first, second, more)


def _conflicts(facts: Facts, accesses: list[_Access]) -> Iterator[tuple[_Access, _Access]]:
    """For each group, the first conflicting access of every branch behind the first with one.

    Takes time by the number of accesses and the nesting, not by the number of pairs.
    """
    groups: dict[int, dict[int, _Access]] = {}
    for access in accesses:
        for branch, fork in _around(facts, access.unit):
            if isinstance(fork.tree, Join | FanOut | Race):
                strongest = groups.setdefault(branch.fork, {})
                known = strongest.get(branch.number)
                if known is None or (access.writes and not known.writes):
                    strongest[branch.number] = access
    for group in sorted(groups):
        branches = [groups[group][number] for number in sorted(groups[group])]
        writer = next((access for access in branches if access.writes), None)
        if writer is None:
            continue
        for access in branches:
            if access is not writer:
                yield (writer, access) if writer.unit < access.unit else (access, writer)


def _around(facts: Facts, unit: int) -> Iterator[tuple[Branch, Fork]]:
    return facts.outline.around(facts.outline.units[unit].branch)


def _report(facts: Facts, table: str, first: _Access, second: _Access, more: int) -> Diagnostic:
    """The conflict; `more` is how many others with this table are not shown."""
    rest = (Note(message=f"and {more:,} more with this table, not shown"),) if more else ()
    if first.writes and second.writes:
        message = f"parallel branches write the same table `{table}`"
    else:
        message = f"one parallel branch reads the table `{table}`, which another writes"
    return lint(
        "DF202",
        message,
        _place(facts, second.unit),
        label="writes it" if second.writes else "reads it",
        notes=(
            Note(
                message="at the same time as this, which writes it"
                if first.writes
                else "at the same time as this, which reads it",
                span=_place(facts, first.unit),
            ),
            *rest,
        ),
        help="chain the two with `~>`, or let each branch write a table of its own",
    )


def _place(facts: Facts, unit: int) -> Span:
    return facts.locate(unit, 0, len(facts.analyses[unit].sql))
