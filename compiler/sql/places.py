"""What may stand in the place of each reference of a statement that takes no parameters.

PostgreSQL's own grammar is asked: the statement is parsed with an expression in the place, with a string, a
name, a number. What the parser takes longest counts, in this order, so that a name is one only where no
expression and no string could stand. An LALR parser stops at the first token that cannot go on, so that what
stands behind a place has no say in it.
"""

from __future__ import annotations

from dfc.compiler.plan import Use
from dfc.compiler.sql import commands, native
from dfc.compiler.sql.references import Place, for_grammar, reference_at
from dfc.compiler.sql.tokens import Token
from dfc.grammar.lexer import Kind, Lexeme

PLACES_MAX = 200
"""How many references of one statement are looked at; those behind them are taken for expressions."""
_PARSED_BYTES_MAX = 20_000_000
_TRIED = (Place.EXPRESSION, Place.STRING, Place.NAME, Place.NUMBER)
_NAMELESS = commands.QUERIES | commands.SUBROUTINES | {"explain", ""}


def places(sql: str, items: list[Token], comments: list[Lexeme], kind: str) -> dict[int, Place]:
    """The places of the references, by their offset; those that are not in it are expressions."""
    if kind in _NAMELESS:
        return {}
    found: dict[int, Place] = {}
    tries = min(PLACES_MAX, max(1, _PARSED_BYTES_MAX // (len(sql) * len(_TRIED) + 1)))
    for token in items:
        if token.kind is not Kind.REFERENCE or reference_at(sql, token.start, token.end).use is Use.ROWS:
            continue
        if tries == 0:
            break
        tries -= 1
        place = _place(sql, items, comments, found, token)
        if place is not Place.EXPRESSION:
            found[token.start] = place
    return found


def _place(
    sql: str, items: list[Token], comments: list[Lexeme], before: dict[int, Place], token: Token
) -> Place:
    reach = {place: _reach(sql, items, comments, {**before, token.start: place}) for place in _TRIED[:1]}
    # Nearly every place in a query is one of an expression: the other tries are spared.
    if reach[Place.EXPRESSION] < _WHOLE:
        for place in _TRIED[1:]:
            reach[place] = _reach(sql, items, comments, {**before, token.start: place})
    furthest = max(reach.values())
    if furthest <= token.start:
        return Place.EXPRESSION
    best = [place for place in _TRIED if reach.get(place) == furthest]
    if best[0] is Place.STRING and Place.NUMBER in best:
        return Place.CONSTANT
    return best[0]


_WHOLE = 1 << 62


def _reach(sql: str, items: list[Token], comments: list[Lexeme], places: dict[int, Place]) -> int:
    """Where the parser stops, as an offset of `sql`."""
    rendered = for_grammar(sql, items, comments, places)
    verdict = native.statements(rendered.text)
    if not isinstance(verdict, native.Fault) or verdict.offset is None:
        return _WHOLE
    return rendered.original(verdict.offset)
