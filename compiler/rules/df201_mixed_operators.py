"""DF201: operators of several kinds in a row, without parentheses that show how they group."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.diagnostics import Diagnostic, Edit, Fix, lint
from dfc.compiler.facts import Facts
from dfc.compiler.span import Span


def mixed_operators(facts: Facts) -> Iterator[Diagnostic]:
    """The parser has seen them; the tree no longer knows which parentheses were written."""
    for mixed in facts.mixed:
        yield lint(
            "DF201",
            f"`{mixed.sign}` takes everything on its left as one operand",
            mixed.at,
            label="all operators bind alike, from the left",
            help=f"write the parentheses; as it stands this is `{mixed.grouping}`",
            fix=Fix(edits=tuple(_inserted(at, sign) for at, sign in mixed.parentheses)),
        )


def _inserted(at: int, sign: str) -> Edit:
    return Edit(span=Span(at, at), old="", text=sign)
