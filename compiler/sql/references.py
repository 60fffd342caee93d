"""References in a statement: where they stand, what they want, and a text for PostgreSQL's grammar."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from dfc.compiler.plan import Use
from dfc.compiler.sql.tokens import Token
from dfc.grammar.lexer import Kind, Lexeme, reference, reference_of
from dfc.grammar.lexer import Reference as Parts

ROW_COUNT = "row_count"
ERROR = "error."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`sql[start:end]` is a reference, as `plan.Parameter` wants it, without its source.

    `literal`: it stands in a literal, and is a reference only where its name is known. `identifier`: it
    stands for the name of an object.
    """

    name: str
    column: str | None
    use: Use
    optional: bool
    start: int
    end: int
    aliased: bool
    literal: bool = False
    identifier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralReference:
    """`sql[start:end]` is `$name` or `$$name` in a literal: a reference only where the name is known."""

    name: str
    start: int
    end: int


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
_IN_LITERAL = re.compile(r"\$\$?([A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)")


def references(sql: str, items: list[Token]) -> tuple[Reference, ...]:
    """The references in code, in order."""
    found: list[Reference] = []
    for index, token in enumerate(items):
        if token.kind is not Kind.REFERENCE:
            continue
        parts = reference(sql, Lexeme(token.kind, token.start, token.end))
        aliased = parts.rows and _aliased(items, index + 1)
        found.append(_reference(parts, token.start, token.end, aliased))
    return tuple(found)


def lone_reference(text: str) -> Reference:
    """The reference that a text is. Raises ValueError when it is none."""
    return _reference(reference_of(text), 0, len(text), False)


def _reference(parts: Parts, start: int, end: int, aliased: bool) -> Reference:
    column, use = parts.column, Use.ROWS if parts.rows else Use.VALUE
    if column == ROW_COUNT:
        column, use = None, Use.ROW_COUNT
    elif column is not None and column.startswith(ERROR):
        column, use = column.removeprefix(ERROR), Use.ERROR
    return Reference(
        name=parts.name,
        column=column,
        use=use,
        optional=parts.optional,
        start=start,
        end=end,
        aliased=aliased,
    )


def _aliased(items: list[Token], index: int) -> bool:
    if index >= len(items):
        return False
    token = items[index]
    return token.kind is Kind.QUOTED_IDENT or (token.kind is Kind.IDENT and token.word not in _NO_ALIAS)


def literal_references(sql: str, items: list[Token]) -> tuple[LiteralReference, ...]:
    """What looks like a reference in plain and E'' literals, in order."""
    found: list[LiteralReference] = []
    for token in items:
        if token.kind is Kind.STRING or token.kind is Kind.ESCAPE_STRING:
            found.extend(
                LiteralReference(name=match[1], start=match.start(), end=match.end())
                for match in _IN_LITERAL.finditer(sql, token.start, token.end)
            )
    return tuple(found)


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


def for_grammar(sql: str, items: list[Token], comments: list[Lexeme]) -> Rendered:
    """The statement for PostgreSQL's grammar: references as expressions or sub-selects, comments as spaces.

    Comments go because PostgreSQL's scanner takes quadratic time for deeply nested ones, and because
    libpg_query's does not join adjacent literals with a comment between them.
    """
    blank = [(comment.start, comment.end) for comment in comments]
    for token in items:
        if token.kind in _JOINED and "--" in sql[token.start : token.end]:
            blank += _comments_between(sql, token)
    swaps = [(start, end, " " * (end - start)) for start, end in blank]
    for index, token in enumerate(items):
        if token.kind is Kind.REFERENCE:
            swaps.append((token.start, token.end, _placeholder(sql, items, index)))
    swaps.sort()
    return swap(sql, swaps)


_JOINED = frozenset({Kind.STRING, Kind.ESCAPE_STRING, Kind.UNICODE_STRING, Kind.BIT_STRING})
_PLAIN_PART = re.compile(r"'[^']*+(?:''[^']*+)*+'")
_ESCAPED_PART = re.compile(r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'", re.DOTALL)
_GAP = re.compile(r"(?:\s|--[^\n\r]*+)*+")
_COMMENT = re.compile(r"--[^\n\r]*+")


def _comments_between(sql: str, token: Token) -> list[tuple[int, int]]:
    """The comments between the parts of a literal that goes on behind a line break."""
    part = _ESCAPED_PART if token.kind is Kind.ESCAPE_STRING else _PLAIN_PART
    found: list[tuple[int, int]] = []
    position = sql.index("'", token.start)
    while position < token.end:
        match = part.match(sql, position, token.end)
        gap = None if match is None else _GAP.match(sql, match.end(), token.end)
        if gap is None:
            break
        found.extend(comment.span() for comment in _COMMENT.finditer(sql, gap.start(), gap.end()))
        position = gap.end()
    return found


def _placeholder(sql: str, items: list[Token], index: int) -> str:
    token = items[index]
    if reference(sql, Lexeme(token.kind, token.start, token.end)).rows:
        behind = index > 0 and items[index - 1].word == "lateral"
        return _ROWS_BEHIND_LATERAL if behind else _ROWS
    subscripted = index + 1 < len(items) and items[index + 1].word in ("[", ".")
    return _SUBSCRIPTED if subscripted else _VALUE


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
