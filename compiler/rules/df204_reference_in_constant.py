"""DF204: a known `$name` in a literal where PostgreSQL takes nothing but a constant, so that it stays."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts


def reference_in_constant(facts: Facts) -> Iterator[Diagnostic]:
    """Look at the literals in whose place no expression can stand."""
    for unit, analysis in facts.analyses.items():
        for reference in analysis.fixed:
            if reference.name in facts.scope.known:
                written = facts.text(unit).value[reference.start : reference.end]
                yield lint(
                    "DF204",
                    f"PostgreSQL takes only a constant here, so `{written}` stays as it is",
                    facts.locate(unit, reference.start, reference.end),
                    label="text, not a reference",
                    help="use a function that takes a value, like `date_part` for `EXTRACT`",
                )
