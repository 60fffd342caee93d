"""The arguments of `df.http` in a statement that are literals: texts as in a request of its own."""

from __future__ import annotations

from dataclasses import dataclass

from dfc.compiler.ast import Piece, Text
from dfc.compiler.sql import commands
from dfc.compiler.sql.tokens import Token, closing, identifier, split_comments, tokens
from dfc.compiler.strings import StringFault, string_value
from dfc.grammar.lexer import Kind, Lexeme

_NAMES = ("url", "method", "body", "headers", "timeout_seconds")
_TEXTS = frozenset({Kind.STRING, Kind.ESCAPE_STRING})


@dataclass(frozen=True, slots=True)
class Argument:
    """A literal argument: `sql[start:end]`, and its value with its places in the source.

    `cast`: a cast of it follows.
    """

    name: str
    start: int
    end: int
    text: Text
    cast: bool


def literal_arguments(statement: Text) -> tuple[Argument, ...]:
    """The literals among the arguments of the `df.http` that is the whole select list of a statement."""
    sql = statement.value
    items = tokens(sql, split_comments(sql)[0])
    found = commands.http_call(sql, items, commands.classify(items))
    if found is None or identifier(sql, items[found[0].start + 2]) != "http":
        return ()
    opening = found[0].start + 3
    arguments: list[Argument] = []
    for position, part in enumerate(arguments_of(items, opening)):
        name = _NAMES[position] if position < len(_NAMES) else ""
        if len(part) > 1 and part[1].word in ("=>", ":="):
            name = identifier(sql, part[0]) or ""
            part = part[2:]
        cast = len(part) > 1 and part[1].word == "::"
        if not part or part[0].kind not in _TEXTS or (len(part) > 1 and not cast):
            continue
        token = part[0]
        try:
            value, pieces = string_value(sql, Lexeme(token.kind, token.start, token.end))
        except StringFault:
            continue
        arguments.append(Argument(name, token.start, token.end, _placed(statement, value, pieces), cast))
    return tuple(arguments)


def arguments_of(items: list[Token], opening: int) -> list[list[Token]]:
    """The tokens of each argument of a call."""
    depth = items[opening].depth + 1
    parts: list[list[Token]] = [[]]
    for token in items[opening + 1 : closing(items, opening)]:
        if token.word == "," and token.depth == depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _placed(statement: Text, value: str, pieces: tuple[Piece, ...]) -> Text:
    """The value of a literal, with places in the source of the statement instead of in the statement."""
    placed: list[Piece] = []
    for piece in pieces:
        span = statement.locate(piece.source_start, piece.source_end)
        if piece.length == 1 or span.end - span.start == piece.length:
            placed.append(
                Piece(
                    value_start=piece.value_start,
                    length=piece.length,
                    source_start=span.start,
                    source_end=span.end,
                )
            )
    return Text(value=value, span=statement.span, pieces=tuple(placed))
