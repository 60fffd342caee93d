"""Variables in a statement (`{name}`) that stand where PostgreSQL takes a value."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

from dfc.compiler.sql.tokens import Token, split_comments, tokens
from dfc.grammar.lexer import STRINGS, Kind

_WHOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SYSTEM: Final = "sys_"
_BEFORE: Final = frozenset(
    {"and", "between", "else", "ilike", "like", "limit", "not", "offset", "or", "return", "then", "when"}
)
"""Words that a value may follow and a name hardly does."""
_LISTS: Final = frozenset({"values", "in", "any", "coalesce"})


class Splice(NamedTuple):
    """`sql[start:end]` is a variable, in its braces."""

    start: int
    end: int
    name: str


def spliced_values(sql: str, variables: Container[str]) -> Iterator[Splice]:
    """The variables that stand for a value; in literals only known ones, as `'{red}'` is an array, too."""
    if "{" not in sql:
        return
    before: Token | None = None
    called: list[str] = []
    for token in tokens(sql, split_comments(sql)[0]):
        if token.kind in STRINGS:
            for found in _WHOLE.finditer(sql, token.start, token.end):
                if found[1] in variables:
                    yield Splice(*found.span(), found[1])
        elif sql[token.start] == "{" and before is not None and _takes_value(before, called):
            found = _WHOLE.match(sql, token.start)
            if found is not None and not found[1].startswith(_SYSTEM):
                yield Splice(*found.span(), found[1])
        elif token.word == "(":
            called.append("" if before is None else before.word)
        elif token.word == ")" and called:
            called.pop()
        before = token


def _takes_value(before: Token, called: list[str]) -> bool:
    """Whether a token is followed by a value rather than by a name; `called` stands before the brackets."""
    if before.kind is Kind.OPERATOR or before.word in _BEFORE:
        return True
    return before.word in ("(", ",") and bool(called) and called[-1] in _LISTS
