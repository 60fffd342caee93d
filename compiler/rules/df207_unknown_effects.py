"""DF207: a note on what runs beside other steps, and of which nobody knows what it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dfc.compiler.beside.touching import Touching, groups_beside
from dfc.compiler.diagnostics import Diagnostic, note
from dfc.compiler.facts import Facts
from dfc.compiler.sql.analysis import Analysis
from dfc.compiler.sql.commands import QUERIES
from dfc.compiler.sql.uses import Called

SHOWN_MAX: Final = 10
"""Notes for each workflow."""
_RUNS: Final = frozenset({"call", "do"})


def unknown_effects(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the statements in branches of which at least two do something with the database."""
    touching = Touching(facts)
    branches: dict[int, set[int]] = {}
    unknown: list[tuple[int, Called]] = []
    for unit, analysis in facts.analyses.items():
        groups = list(groups_beside(facts.outline, unit))
        if not groups or analysis.problems:
            continue
        calls = _unknown(touching, analysis)
        if calls or analysis.tables.uses or analysis.tables.calls:
            for branch in groups:
                branches.setdefault(branch.fork, set()).add(branch.number)
        unknown += [(unit, call) for call in calls]
    told: set[str] = set()
    for unit, call in unknown:
        groups = groups_beside(facts.outline, unit)
        if call.name in told or not any(len(branches[branch.fork]) > 1 for branch in groups):
            continue
        told.add(call.name)
        if len(told) > SHOWN_MAX:
            return
        yield note(
            "DF207",
            f"what `{call.name}` reads and writes is not known, and other branches run beside it",
            facts.locate_name(unit, call.start, call.end),
            help="see for yourself that the branches do not meet in a table",
        )


def _unknown(touching: Touching, analysis: Analysis) -> tuple[Called, ...]:
    """The functions that a statement calls, or the statement itself where it cannot be analysed."""
    if analysis.tables.analysed:
        return touching.unknown(analysis)
    if analysis.kind not in _RUNS and (analysis.kind not in QUERIES or analysis.http is not None):
        return ()
    return (Called(name=analysis.kind.upper(), start=0, end=len(analysis.sql)),)
