"""`-- dfc: disable=<codes> reason`: a comment that silences lints and notes of the statement behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dfc.compiler.diagnostics import Diagnostic, Severity
from dfc.compiler.span import Span
from dfc.grammar.lexer import Kind, scan

_MARK = "dfc: disable="
_DISABLE = re.compile(r"--\s*dfc: disable=(DF\d{3}(?:,\s*DF\d{3})*)")


def without_silenced(
    text: str, statements: Sequence[Span], problems: Iterable[Diagnostic]
) -> tuple[Diagnostic, ...]:
    """The problems without the lints and notes that a comment in front of their statement names.

    Errors cannot be silenced. `statements` are in the order of the source.
    """
    if _MARK not in text:
        return tuple(problems)
    silenced = _silenced(text, statements)
    return tuple(
        problem
        for problem in problems
        if problem.severity is Severity.ERROR
        or not any(
            problem.code == code and where.start <= problem.span.start < where.end for code, where in silenced
        )
    )


def _silenced(text: str, statements: Sequence[Span]) -> list[tuple[str, Span]]:
    found: list[tuple[str, Span]] = []
    for lexeme in scan(text):
        match = _DISABLE.match(text, lexeme.start, lexeme.end) if lexeme.kind is Kind.COMMENT else None
        if match is None:
            continue
        where = next((span for span in statements if span.start >= lexeme.end), None)
        if where is not None:
            found += [(code, where) for code in re.findall(r"DF\d{3}", match[1])]
    return found
