"""DF208: an UPDATE or DELETE without WHERE, which changes every row."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.sql.careless import changes_of_all_rows


def every_row(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every statement, and at the queries of its WITH clause."""
    for unit, analysis in facts.analyses.items():
        if analysis.problems:
            continue
        for change in changes_of_all_rows(analysis.sql):
            deletes = change.verb == "delete"
            yield lint(
                "DF208",
                f"this {change.verb.upper()} has no WHERE",
                facts.locate(unit, change.start, change.end),
                label=f"{'deletes' if deletes else 'changes'} every row of `{change.table}`",
                help=f"say which rows; where all are meant write `WHERE true`{', or TRUNCATE' * deletes}",
            )
