"""Pieces of a statement that is written for somebody: each knows where in the source its text stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dfc.compiler.ast import Piece, Text
from dfc.compiler.span import Span

_BACKSLASH_OR_QUOTE = re.compile(r"['\\]")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a statement, and where in the source its runs stand. `computed`: it is not constant."""

    value: str
    pieces: tuple[Piece, ...] = ()
    computed: bool = False

    def text(self, span: Span) -> Text:
        """The fragment as a text of its own."""
        return Text(value=self.value, span=span, pieces=self.pieces)


NULL = Fragment("NULL")


def joined(fragments: Iterable[Fragment]) -> Fragment:
    """The fragments one after the other."""
    values: list[str] = []
    pieces: list[Piece] = []
    length = 0
    computed = False
    for fragment in fragments:
        values.append(fragment.value)
        pieces += [_moved(piece, length) for piece in fragment.pieces]
        length += len(fragment.value)
        computed = computed or fragment.computed
    return Fragment("".join(values), tuple(pieces), computed)


def _moved(piece: Piece, by: int) -> Piece:
    return Piece(
        value_start=piece.value_start + by,
        length=piece.length,
        source_start=piece.source_start,
        source_end=piece.source_end,
    )


def listed(fragments: Sequence[Fragment]) -> Fragment:
    """The fragments with commas between them."""
    comma = Fragment(", ")
    return joined([part for fragment in fragments for part in (comma, fragment)][1:])


def called(function: str, argument: Fragment) -> Fragment:
    """A call with one argument."""
    return joined((Fragment(f"{function}("), argument, Fragment(")")))


def concatenated(elements: Sequence[Fragment]) -> Fragment:
    """Text expressions as one; NULL among several is nothing. Flat, however many there are."""
    if len(elements) == 1:
        return elements[0]
    whole = (Fragment("pg_catalog.array_to_string(ARRAY["), listed(elements), Fragment("], '')"))
    return replace(joined(whole), computed=True)


def copied(text: Text, start: int, end: int) -> Fragment:
    """A run of a text as it stands."""
    pieces: list[Piece] = []
    for piece in text.pieces:
        first, last = max(piece.value_start, start), min(piece.value_start + piece.length, end)
        if first >= last:
            continue
        cut = piece.value_start + piece.length - last
        pieces.append(
            Piece(
                value_start=first - start,
                length=last - first,
                source_start=piece.source_start + first - piece.value_start,
                source_end=piece.source_end - cut if cut else piece.source_end,
            )
        )
    return Fragment(text.value[start:end], tuple(pieces))


def literal(text: Text, start: int, end: int) -> Fragment:
    """A run of a text as a literal, whatever standard_conforming_strings is."""
    escaped = "\\" in text.value[start:end]
    parts = [Fragment("E'" if escaped else "'")]
    position = start
    for match in _BACKSLASH_OR_QUOTE.finditer(text.value, start, end):
        # The character itself ends the run; the second one has no place of its own.
        parts += (copied(text, position, match.end()), Fragment(match[0]))
        position = match.end()
    return joined((*parts, copied(text, position, end), Fragment("'")))
