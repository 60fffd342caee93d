"""DF207: a note on what runs beside other steps, and of which nobody knows what it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dfc.compiler.ast import FanOut, Join, Race
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
    branches: dict[int, set[int]] = {}
    unknown: list[tuple[int, Called]] = []
    for unit, analysis in facts.analyses.items():
        groups = _groups(facts, unit)
        if not groups or analysis.problems:
            continue
        calls = _unknown(analysis)
        if calls or analysis.tables.uses:
            for fork, number in groups:
                branches.setdefault(fork, set()).add(number)
        unknown += [(unit, call) for call in calls]
    told: set[str] = set()
    for unit, call in unknown:
        if call.name in told or not any(len(branches[fork]) > 1 for fork, _ in _groups(facts, unit)):
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


def _groups(facts: Facts, unit: int) -> list[tuple[int, int]]:
    """The groups around a unit, each with the number of its branch."""
    return [
        (branch.fork, branch.number)
        for branch, fork in facts.outline.around(facts.outline.units[unit].branch)
        if isinstance(fork.tree, Join | FanOut | Race)
    ]


def _unknown(analysis: Analysis) -> tuple[Called, ...]:
    """The functions that a statement calls, or the statement itself where it cannot be analysed."""
    found = analysis.tables
    if found.analysed:
        return found.calls
    if analysis.kind not in _RUNS and (analysis.kind not in QUERIES or analysis.http is not None):
        return ()
    first = analysis.sql.split("(", 1)[0].split() if analysis.kind == "call" else []
    name = first[1] if len(first) == 2 else analysis.kind.upper()
    return (Called(name=name, start=0, end=len(analysis.sql)),)
