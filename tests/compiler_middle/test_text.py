"""From an offset in a string's value to its place in the source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler.ast import Piece, Text
from dfc.compiler.span import Span


def text(source: str) -> Text:
    """A quoted string with `''` inside, taken apart the slow way; a blank between any two of its pieces."""
    value, at = "", 1
    pieces: list[Piece] = []
    for part in source.split("|"):
        for character in part:
            written = 2 if character == "'" else 1
            pieces.append(Piece(value_start=len(value), length=1, source_start=at, source_end=at + written))
            value += character
            at += written
        at += 1
    return Text(value=value, span=Span(0, at), pieces=tuple(pieces))


def slow(given_text: Text, offset: int, ending: bool) -> int:
    for piece in given_text.pieces:
        inside = offset - piece.value_start
        if ending and inside == piece.length:
            return piece.source_end
        if not ending and 0 <= inside < piece.length:
            return piece.source_start + inside
    if ending and offset == 0 and given_text.pieces:
        return given_text.pieces[0].source_start
    return given_text.span.end if ending else given_text.span.start


@given(st.text("ab'|", max_size=12), st.data())
def test_locate(source: str, data: st.DataObject) -> None:
    made = text(source)
    start = data.draw(st.integers(0, len(made.value)))
    end = data.draw(st.integers(start, len(made.value)))
    first = slow(made, start, False)
    assert made.locate(start, end) == Span(first, max(first, slow(made, end, True)))


def test_a_long_run() -> None:
    made = Text(
        value="abcdef",
        span=Span(10, 30),
        pieces=(
            Piece(value_start=0, length=3, source_start=11, source_end=14),
            Piece(value_start=3, length=3, source_start=20, source_end=23),
        ),
    )
    assert made.locate(1, 2) == Span(12, 13)
    assert made.locate(2, 4) == Span(13, 21)
    assert made.locate(3, 3) == Span(20, 20)
    assert made.locate(0, 6) == Span(11, 23)
    assert Text(value="abc", span=Span(5, 9)).locate(1, 2) == Span(5, 9)
