"""References in a statement: where they stand, what they want, and a text for PostgreSQL's grammar."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from dfc.compiler.plan import Use
from dfc.compiler.sql.tokens import Token
from dfc.grammar.lexer import Kind, Lexeme, reference

ROW_COUNT = "row_count"
_ERROR = "error."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`sql[start:end]` is a reference, as `plan.Parameter` wants it, without its source.

    `literal`: it stands in a literal, where it is a reference only if its name is known. `identifier`: it
    stands for the name of an object.
    """

    name: str
    column: str | None
    use: Use
    optional: bool
    start: int
    end: int
    aliased: bool = False
    literal: bool = False
    identifier: bool = False


class Place(Enum):
    """What PostgreSQL's grammar takes where a reference stands.

    An expression; the name of an object; or only a constant: a string, a number, or either.
    """

    EXPRESSION = "expression"
    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    CONSTANT = "constant"


# What may follow a row set in FROM and is no alias of it: all are words that PostgreSQL takes for no alias.
_NO_ALIAS = frozenset(
    {
        "from",
        "where",
        "group",
        "having",
        "window",
        "union",
        "intersect",
        "except",
        "order",
        "limit",
        "offset",
        "fetch",
        "for",
        "join",
        "cross",
        "natural",
        "inner",
        "left",
        "right",
        "full",
        "on",
        "using",
        "returning",
        "when",
        "tablesample",
        "into",
        "outer",
        "and",
        "or",
        "then",
        "with",
    }
)


def reference_at(sql: str, start: int, end: int) -> Reference:
    """The reference that is written at `sql[start:end]`."""
    parts = reference(sql, Lexeme(Kind.REFERENCE, start, end))
    column, use = parts.column, Use.VALUE
    if parts.rows:
        use = Use.ROWS
    elif column == ROW_COUNT:
        column, use = None, Use.ROW_COUNT
    elif column is not None and column.startswith(_ERROR):
        column, use = column.removeprefix(_ERROR), Use.ERROR
    return Reference(name=parts.name, column=column, use=use, optional=parts.optional, start=start, end=end)


def references(sql: str, items: list[Token], places: Mapping[int, Place]) -> tuple[Reference, ...]:
    """The references in code, in order. `places` are by the offset of the reference."""
    found: list[Reference] = []
    for index, token in enumerate(items):
        if token.kind is not Kind.REFERENCE:
            continue
        one = reference_at(sql, token.start, token.end)
        if one.use is Use.ROWS:
            one = replace(one, aliased=_aliased(items, index + 1))
        elif places.get(token.start) is Place.NAME:
            one = replace(one, identifier=True)
        found.append(one)
    return tuple(found)


def _aliased(items: list[Token], index: int) -> bool:
    if index >= len(items):
        return False
    token = items[index]
    return token.kind is Kind.QUOTED_IDENT or (token.kind is Kind.IDENT and token.word not in _NO_ALIAS)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text in which runs of another one are replaced, and the way back for offsets."""

    text: str
    _starts: tuple[int, ...] = ()
    _runs: tuple[tuple[int, bool], ...] = ()

    def original(self, offset: int) -> int:
        """The offset in the first text; everything in a replacement stands where the replaced run began."""
        if not self._starts:
            return offset
        index = bisect_right(self._starts, offset) - 1
        start, replaced = self._runs[index]
        return start if replaced else start + offset - self._starts[index]


# CASE stands exactly where PostgreSQL takes a parameter. libpg_query takes `$1` itself in more places
# (`interval $1`), so `$1` serves only in front of a subscript or field, where CASE would want parentheses.
_VALUE = " CASE WHEN 1 THEN 1 END "
_SUBSCRIPTED = " $1 "
# A sub-select that is allowed in FROM and nowhere else.
_ROWS = " LATERAL (SELECT) "
_ROWS_BEHIND_LATERAL = " (SELECT) "


CONSTANTS = {Place.NAME: " _df ", Place.STRING: " '' ", Place.NUMBER: " 1 ", Place.CONSTANT: " '' "}


def for_grammar(
    sql: str,
    items: list[Token],
    comments: list[Lexeme],
    places: Mapping[int, Place],
    expressions: Iterable[tuple[int, int]] = (),
) -> Rendered:
    """The statement for PostgreSQL's grammar: references as expressions, names, constants or sub-selects,
    by their places, comments as spaces. `expressions` are runs that stand for an expression too.

    Comments go because PostgreSQL's scanner takes quadratic time for deeply nested ones, and because
    libpg_query's does not join adjacent literals with a comment between them.
    """
    return swap(sql, grammar_swaps(sql, items, comments, places, expressions))


def grammar_swaps(
    sql: str,
    items: list[Token],
    comments: list[Lexeme],
    places: Mapping[int, Place],
    expressions: Iterable[tuple[int, int]] = (),
) -> list[tuple[int, int, str]]:
    """What `for_grammar` replaces: (start, end, replacement), in ascending order."""
    blank = [(comment.start, comment.end) for comment in comments]
    for token in items:
        if token.kind in _JOINED and "--" in sql[token.start : token.end]:
            blank += _comments_between(sql, token)
    wholes = sorted(expressions)
    swaps = [(start, end, _VALUE) for start, end in wholes]
    swaps += [(start, end, " " * (end - start)) for start, end in blank if not _inside(wholes, start)]
    for index, token in enumerate(items):
        if token.kind is Kind.REFERENCE:
            place = places.get(token.start, Place.EXPRESSION)
            swaps.append((token.start, token.end, _placeholder(sql, items, index, place)))
        elif token.kind is Kind.PARAM and not _subscripted(items, index):
            swaps.append((token.start, token.end, _VALUE))
    swaps.sort()
    return swaps


def _inside(runs: list[tuple[int, int]], offset: int) -> bool:
    index = bisect_right(runs, offset, key=lambda run: run[0]) - 1
    return index >= 0 and offset < runs[index][1]


_JOINED = frozenset({Kind.STRING, Kind.ESCAPE_STRING, Kind.UNICODE_STRING, Kind.BIT_STRING})
_PLAIN_PART = re.compile(r"'[^']*+(?:''[^']*+)*+'")
_ESCAPED_PART = re.compile(r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'", re.DOTALL)
_GAP = re.compile(r"(?:\s|--[^\n\r]*+)*+")
_COMMENT = re.compile(r"--[^\n\r]*+")


def literal_parts(sql: str, token: Token) -> list[tuple[int, int]]:
    """The parts of a literal that goes on behind line breaks, their quotes included, a prefix not."""
    part = _ESCAPED_PART if token.kind is Kind.ESCAPE_STRING else _PLAIN_PART
    found: list[tuple[int, int]] = []
    position = sql.index("'", token.start)
    while position < token.end and (match := part.match(sql, position, token.end)) is not None:
        found.append(match.span())
        gap = _GAP.match(sql, match.end(), token.end)
        position = token.end if gap is None else gap.end()
    return found


def _comments_between(sql: str, token: Token) -> list[tuple[int, int]]:
    """The comments between the parts of a literal."""
    parts = literal_parts(sql, token)
    return [
        comment.span()
        for (_, before), (after, _) in pairwise(parts)
        for comment in _COMMENT.finditer(sql, before, after)
    ]


def _placeholder(sql: str, items: list[Token], index: int, place: Place) -> str:
    token = items[index]
    if reference(sql, Lexeme(token.kind, token.start, token.end)).rows:
        behind = index > 0 and items[index - 1].word == "lateral"
        return _ROWS_BEHIND_LATERAL if behind else _ROWS
    if place is not Place.EXPRESSION:
        return CONSTANTS[place]
    return _SUBSCRIPTED if _subscripted(items, index) else _VALUE


def _subscripted(items: list[Token], index: int) -> bool:
    return index + 1 < len(items) and items[index + 1].word in ("[", ".")


def swap(sql: str, swaps: list[tuple[int, int, str]]) -> Rendered:
    """Replace runs of a text, given as (start, end, replacement) in ascending order."""
    if not swaps:
        return Rendered(sql)
    parts: list[str] = []
    starts: list[int] = []
    runs: list[tuple[int, bool]] = []
    position = length = 0
    for start, end, text in swaps:
        for part, origin, replaced in ((sql[position:start], position, False), (text, start, True)):
            if part:
                parts.append(part)
                starts.append(length)
                runs.append((origin, replaced))
                length += len(part)
        position = end
    parts.append(sql[position:])
    starts.append(length)
    runs.append((position, False))
    return Rendered("".join(parts), tuple(starts), tuple(runs))
