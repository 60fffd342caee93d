"""Lints that are not shown: silenced by `-- dfc: disable=<codes> reason` before a statement, or too many."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dfc.compiler.diagnostics import Diagnostic, Severity
from dfc.compiler.span import Span
from dfc.grammar.lexer import Kind, scan

SAME_CODE_MAX = 1_000
"""So many lints of one code are shown of a file."""

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
    starts = [span.start for span in statements]

    def heard(problem: Diagnostic) -> bool:
        index = bisect_right(starts, problem.span.start) - 1
        return (
            index < 0
            or problem.code not in silenced.get(index, ())
            or (problem.span.start >= statements[index].end)
        )

    return tuple(problem for problem in problems if problem.severity is Severity.ERROR or heard(problem))


def not_too_many(problems: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The problems in their order without the lints of a code behind so many: the next one says the rest."""
    counts = Counter(problem.code for problem in problems if problem.severity is not Severity.ERROR)
    if not any(count > SAME_CODE_MAX for count in counts.values()):
        return tuple(problems)
    seen: Counter[str] = Counter()
    found: list[Diagnostic] = []
    for problem in problems:
        if problem.severity is not Severity.ERROR:
            seen[problem.code] += 1
            if seen[problem.code] > SAME_CODE_MAX + 1:
                continue
            if seen[problem.code] == SAME_CODE_MAX + 1 < counts[problem.code]:
                problem = _rest(problem, counts[problem.code] - SAME_CODE_MAX)
        found.append(problem)
    return tuple(found)


def _rest(problem: Diagnostic, count: int) -> Diagnostic:
    message = f"{problem.code} from here on {count} times more in this file, which are not shown"
    help = f"correct the first {SAME_CODE_MAX}, or silence it with `-- {_MARK}{problem.code}`"
    return replace(problem, message=message, label="", notes=(), help=help, fix=None)


def _silenced(text: str, statements: Sequence[Span]) -> Mapping[int, set[str]]:
    """The codes that are silenced in a statement, by its place in the sequence."""
    starts = [span.start for span in statements]
    found: dict[int, set[str]] = {}
    for lexeme in scan(text):
        match = _DISABLE.match(text, lexeme.start, lexeme.end) if lexeme.kind is Kind.COMMENT else None
        if match is None:
            continue
        index = bisect_left(starts, lexeme.end)
        if index < len(statements):
            found.setdefault(index, set()).update(re.findall(r"DF\d{3}", match[1]))
    return found
