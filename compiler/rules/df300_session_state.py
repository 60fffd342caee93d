"""DF300: a step that does nothing but change its session, of which nothing is left for the next step."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Atomic
from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.sql.session_state import left_in_session


def session_state(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every statement; within one transaction locks and temporary tables are of use."""
    for unit, analysis in facts.analyses.items():
        left = None if analysis.problems else left_in_session(analysis.sql, analysis.kind)
        if left is None:
            continue
        around = facts.outline.around(facts.outline.units[unit].branch)
        if left.shared and any(isinstance(fork.tree, Atomic) for _, fork in around):
            continue
        yield lint(
            "DF300",
            left.fact,
            facts.locate(unit, left.start, left.end),
            label="no other step sees this",
            help=left.help,
        )
