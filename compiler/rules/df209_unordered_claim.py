"""DF209: a query takes some rows of those that wait, and does not say which."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.sql.careless import claims_in_no_order


def unordered_claim(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every statement with a limit."""
    for unit, analysis in facts.analyses.items():
        if analysis.problems:
            continue
        for claim in claims_in_no_order(analysis.sql):
            yield lint(
                "DF209",
                "this claims rows with a limit and in no order",
                facts.locate(unit, claim.start, claim.end),
                label="any rows will do, so that some may wait for ever",
                help="write `ORDER BY` in front of the limit, with the oldest or most urgent first",
            )
