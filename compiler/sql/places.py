"""What may stand in the place of each reference of a statement that takes no parameters.

PostgreSQL's own grammar is asked. With an expression in every place, its parser stops at the first reference
that cannot be one (an LALR parser stops at the first token that cannot go on); there a string, a name and a
number are tried, and what gets furthest counts, in this order: a name is one only where no expression and no
string could stand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from dfc.compiler.plan import Use
from dfc.compiler.sql import commands, native
from dfc.compiler.sql.references import (
    CONSTANTS,
    Place,
    Rendered,
    for_grammar,
    grammar_swaps,
    reference_at,
    swap,
)
from dfc.compiler.sql.tokens import Token
from dfc.grammar.lexer import Kind, Lexeme

PLACES_MAX = 200
"""In how many places of one statement something else than an expression is looked for."""
_PARSED_BYTES_MAX = 1_000_000
_TRIED = (Place.STRING, Place.NAME, Place.NUMBER)
_NAMELESS = commands.QUERIES | commands.SUBROUTINES | {"explain", ""}
WHOLE = 1 << 62


def places(sql: str, items: list[Token], comments: list[Lexeme], kind: str) -> dict[int, Place]:
    """The places of the references, by their offset; those that are not in it are expressions."""
    if kind in _NAMELESS:
        return {}
    offsets = [
        token.start
        for token in items
        if token.kind is Kind.REFERENCE and reference_at(sql, token.start, token.end).use is not Use.ROWS
    ]
    # Which setting is set is not left to a value: some of them change who the step is.
    names = kind not in ("set", "reset")
    tried_places = [place for place in _TRIED if names or place is not Place.NAME]
    found: dict[int, Place] = {}
    if not offsets:
        return found
    # Of all that is replaced for the grammar, one try changes one.
    swaps = grammar_swaps(sql, items, comments, found)
    numbers = {start: number for number, (start, _, _) in enumerate(swaps)}

    def reached(offset: int, place: Place) -> int:
        number = numbers[offset]
        start, end, _ = swaps[number]
        tried = (start, end, CONSTANTS[place])
        return _reach(swap(sql, [*swaps[:number], tried, *swaps[number + 1 :]]))

    stop = _reach(swap(sql, swaps))
    for _ in range(min(PLACES_MAX, _PARSED_BYTES_MAX // (len(sql) * len(_TRIED)))):
        last = bisect_right(offsets, stop) - 1
        if stop == WHOLE or last < 0 or offsets[last] in found:
            break
        tried = {place: reached(offsets[last], place) for place in tried_places}
        furthest = max(tried.values())
        if furthest <= stop:
            break
        best = [place for place in tried_places if tried[place] == furthest]
        either = best[0] is Place.STRING and Place.NUMBER in best
        found[offsets[last]] = Place.CONSTANT if either else best[0]
        number = numbers[offsets[last]]
        swaps[number] = (*swaps[number][:2], CONSTANTS[found[offsets[last]]])
        stop = furthest
    return found


def reach(
    sql: str,
    items: list[Token],
    comments: list[Lexeme],
    places: Mapping[int, Place],
    expressions: Iterable[tuple[int, int]] = (),
) -> int:
    """Where the parser stops, as an offset of `sql`, or WHOLE. Arguments as `for_grammar`'s."""
    return _reach(for_grammar(sql, items, comments, places, expressions))


def _reach(rendered: Rendered) -> int:
    verdict = native.statements(rendered.text)
    if not isinstance(verdict, native.Fault) or verdict.offset is None:
        return WHOLE
    return rendered.original(verdict.offset)
