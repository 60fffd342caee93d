"""The tokens of one statement, with what the other modules ask of them: folded words and bracket depth."""

from __future__ import annotations

import re
from typing import NamedTuple

from dfc.compiler.plan_names import fold, name_of
from dfc.grammar.lexer import Kind, Lexeme, scan

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_OPEN = frozenset("([")
_CLOSE = frozenset(")]")


class Token(NamedTuple):
    """One token: `sql[start:end]`.

    `word` is the text in lower case for an unquoted identifier or keyword, the text itself for operators and
    punctuation, and empty for everything else, so that a comparison with a keyword never meets a quoted name.
    `depth` counts the brackets around the token; a bracket has the depth of what is around it.
    """

    kind: Kind
    start: int
    end: int
    word: str
    depth: int


def quoted(name: str) -> str:
    """A name as PostgreSQL keeps it, in quotes where it cannot be written without."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def identifier(sql: str, token: Token) -> str | None:
    """The name an identifier token means, or None. `U&""` escapes are not decoded (None)."""
    match token.kind:
        case Kind.IDENT:
            return token.word
        case Kind.QUOTED_IDENT:
            text = sql[token.start : token.end]
            return name_of(text) if text.startswith('"') else None
        case _:
            return None


def split_comments(sql: str) -> tuple[list[Lexeme], list[Lexeme]]:
    """The lexemes of a text without its comments, and the comments."""
    code: list[Lexeme] = []
    comments: list[Lexeme] = []
    for lexeme in scan(sql):
        (comments if lexeme.kind is Kind.COMMENT else code).append(lexeme)
    return code, comments


def tokens(sql: str, code: list[Lexeme]) -> list[Token]:
    """The tokens for lexemes without comments."""
    result: list[Token] = []
    depth = 0
    for lexeme in code:
        kind = lexeme.kind
        word = ""
        level = depth
        if kind is Kind.IDENT:
            word = fold(sql[lexeme.start : lexeme.end])
        elif kind is Kind.PUNCTUATION or kind is Kind.OPERATOR:
            word = sql[lexeme.start : lexeme.end]
            if word in _OPEN:
                depth += 1
            elif word in _CLOSE:
                depth = level = max(0, depth - 1)
        result.append(Token(kind, lexeme.start, lexeme.end, word, level))
    return result


def closing(items: list[Token], opening: int) -> int:
    """The index of the bracket that closes the one at `opening`; `len(items)` when nothing does."""
    depth = items[opening].depth
    for index in range(opening + 1, len(items)):
        if items[index].depth == depth and items[index].word in _CLOSE:
            return index
    return len(items)
