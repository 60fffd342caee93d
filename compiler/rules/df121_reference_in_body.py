"""DF121: a known `$name` in the body of DO, CREATE FUNCTION or CREATE PROCEDURE, where nothing is replaced.

References in the code around a body are reported by the analysis of the statement, under the same code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.facts import Facts
from dfc.compiler.sql.commands import SUBROUTINES

# A name that a `$` follows is the tag of a dollar quote.
_REFERENCE = re.compile(r"(?<![\w$])\$([A-Za-z_][A-Za-z_0-9]*+)(?!\$)")


def reference_in_body(facts: Facts) -> Iterator[Diagnostic]:
    """Look for names of the workflow in the text of each such statement."""
    for unit, analysis in facts.analyses.items():
        if analysis.kind not in SUBROUTINES or analysis.problems:
            continue
        for found in _REFERENCE.finditer(analysis.sql):
            if found[1] in facts.scope.known:
                yield error(
                    "DF121",
                    f"nothing is replaced in the body of {analysis.kind.upper()}",
                    facts.locate(unit, *found.span()),
                    label="this stays as it is",
                    help="pass it as an argument",
                )
