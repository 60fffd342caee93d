"""What a string literal means: its value, and where in the source each part of the value stands.

The rules are PostgreSQL's with standard_conforming_strings on and UTF-8 (`scan.l`, and `parser.c` for the
escapes of `U&'...'`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dfc.compiler.ast import Piece
from dfc.compiler.span import Span
from dfc.grammar.lexer import Kind, Lexeme


class StringFault(ValueError):
    """A literal that PostgreSQL refuses; `span` is the escape at fault."""

    def __init__(self, message: str, span: Span, help: str) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.help = help


_SIMPLE_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SEGMENT = re.compile(r"'([^']*+(?:''[^']*+)*+)'")
_ESCAPE_SEGMENT = re.compile(r"'([^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+)'", re.DOTALL)
_GAP = re.compile(r"(?:[ \t\n\r\f\v]++|--[^\n\r]*+)*+")
_BYTE_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2}))")
_UNICODE_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")
_STOP = re.compile(r"['\\]")


@dataclass(slots=True)
class _Value:
    """A value under construction. `bytes_` are escapes of bytes over 127 that do not make a character yet."""

    parts: list[str] = field(default_factory=list[str])
    pieces: list[Piece] = field(default_factory=list[Piece])
    length: int = 0
    bytes_: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    def add(self, value: str, start: int, end: int) -> None:
        """Append characters that stand in the source from `start` to `end`."""
        if not value:
            return
        self.flush()
        self.parts.append(value)
        self.pieces.append(
            Piece(value_start=self.length, length=len(value), source_start=start, source_end=end)
        )
        self.length += len(value)

    def add_code_point(self, code: int, start: int, end: int) -> None:
        """Append the character of an escape. Raises StringFault where PostgreSQL cannot store it."""
        if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise StringFault(
                "this escape is no Unicode character that PostgreSQL can store",
                Span(start, end),
                "write the code point of a character, from 1 to 10FFFF and outside of D800 to DFFF",
            )
        self.add(chr(code), start, end)

    def add_byte(self, byte: int, start: int, end: int) -> None:
        """Append the byte of an escape; one over 127 waits for `flush`. Raises StringFault for NUL."""
        if byte == 0:
            raise StringFault("a text cannot have the character NUL", Span(start, end), "remove the escape")
        if byte < 0x80:
            self.add(chr(byte), start, end)
        else:
            self.bytes_.append((byte, start, end))

    def flush(self) -> None:
        """Turn byte escapes that stand in a row into characters."""
        pending, self.bytes_ = self.bytes_, []
        if not pending:
            return
        try:
            decoded = bytes(byte for byte, _, _ in pending).decode()
        except UnicodeDecodeError as fault:
            where = Span(pending[fault.start][1], pending[fault.end - 1][2])
            raise StringFault("these escapes are no UTF-8", where, "write the character itself") from None
        at = 0
        for character in decoded:
            width = len(character.encode())
            self.add(character, pending[at][1], pending[at + width - 1][2])
            at += width


def string_value(text: str, lexeme: Lexeme, escape: str = "\\") -> tuple[str, tuple[Piece, ...]]:
    """The value of a literal of one of the kinds in `dfc.grammar.lexer.STRINGS`, and its pieces.

    `escape` is the character of an `UESCAPE` clause behind a `U&'...'`. Raises StringFault for an escape that
    PostgreSQL refuses, ValueError for a lexeme of another kind. Takes time linear in the literal.
    """
    value = _Value()
    match lexeme.kind:
        case Kind.DOLLAR_STRING:
            width = text.index("$", lexeme.start + 1) + 1 - lexeme.start
            start, end = lexeme.start + width, lexeme.end - width
            value.add(text[start:end], start, end)
        case Kind.STRING:
            for start, end in _segments(text, lexeme, _SEGMENT):
                _plain(value, text, start, end)
        case Kind.ESCAPE_STRING:
            for start, end in _segments(text, lexeme, _ESCAPE_SEGMENT):
                _escaped(value, text, start, end)
        case Kind.UNICODE_STRING:
            _unicode(value, text, list(_segments(text, lexeme, _SEGMENT)), escape)
        case _:
            raise ValueError(f"a lexeme of kind {lexeme.kind} has no text value")
    value.flush()
    return "".join(value.parts), tuple(value.pieces)


def _segments(text: str, lexeme: Lexeme, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    """The insides of the quotes of a literal and its continuations."""
    found: list[tuple[int, int]] = []
    position = text.index("'", lexeme.start)
    while position < lexeme.end:
        segment = pattern.match(text, position, lexeme.end)
        assert segment is not None  # the lexer has matched the same pattern
        found.append(segment.span(1))
        gap = _GAP.match(text, segment.end(), lexeme.end)
        position = gap.end() if gap is not None else segment.end()
    return found


def _plain(value: _Value, text: str, start: int, end: int) -> None:
    while (quote := text.find("'", start, end)) != -1:
        value.add(text[start:quote], start, quote)
        value.add("'", quote, quote + 2)
        start = quote + 2
    value.add(text[start:end], start, end)


def _escaped(value: _Value, text: str, start: int, end: int) -> None:
    while (stop := _STOP.search(text, start, end)) is not None:
        at = stop.start()
        value.add(text[start:at], start, at)
        start = _one_escape(value, text, at, end)
    value.add(text[start:end], start, end)


def _one_escape(value: _Value, text: str, at: int, end: int) -> int:
    """Decode what begins at a quote or backslash of an E'...' literal; where the next character stands."""
    if text[at] == "'":
        value.add("'", at, at + 2)
        return at + 2
    if (byte := _BYTE_ESCAPE.match(text, at, end)) is not None:
        number = int(byte[1], 8) & 0xFF if byte[1] else int(byte[2], 16)
        value.add_byte(number, at, byte.end())
        return byte.end()
    letter = text[at + 1]
    if letter not in "uU":
        value.add(_SIMPLE_ESCAPES.get(letter, letter), at, at + 2)
        return at + 2
    first = _UNICODE_ESCAPE.match(text, at, end)
    if first is None:
        where = Span(at, min(at + 2, end))
        raise StringFault(
            "a Unicode escape is \\uXXXX or \\UXXXXXXXX", where, "write a backslash itself as `\\\\`"
        )
    code, after = int(first[1] or first[2], 16), first.end()
    if 0xD800 <= code <= 0xDBFF:
        second = _UNICODE_ESCAPE.match(text, after, end)
        low = int(second[1] or second[2], 16) if second is not None else 0
        if second is not None and 0xDC00 <= low <= 0xDFFF:
            code, after = _pair(code, low), second.end()
    value.add_code_point(code, at, after)
    return after


def _pair(high: int, low: int) -> int:
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)


def is_unicode_escape_character(character: str) -> bool:
    """Whether PostgreSQL takes the character in an UESCAPE clause."""
    return len(character) == 1 and character not in "0123456789abcdefABCDEF+'\" \t\n\r\f\v"


def _unicode(value: _Value, text: str, segments: list[tuple[int, int]], escape: str) -> None:
    """Decode U&'...': the segments are one text before the escapes are looked at."""
    characters: list[tuple[str, int, int]] = []
    raw = _Value()
    for start, end in segments:
        _plain(raw, text, start, end)
    for piece, part in zip(raw.pieces, raw.parts, strict=True):
        if piece.length == 1:
            characters.append((part, piece.source_start, piece.source_end))
        else:
            at = piece.source_start
            characters.extend((character, at + i, at + i + 1) for i, character in enumerate(part))
    joined = "".join(raw.parts)
    code_escape = re.compile(rf"{re.escape(escape)}(?:([0-9A-Fa-f]{{4}})|\+([0-9A-Fa-f]{{6}}))")
    at = 0
    while at < len(joined):
        stop = joined.find(escape, at)
        stop = len(joined) if stop == -1 else stop
        _add_run(value, characters[at:stop])
        if stop == len(joined):
            return
        at = stop
        where = Span(characters[at][1], characters[at][2])
        if joined.startswith(escape, at + 1):
            value.add(escape, where.start, characters[at + 1][2])
            at += 2
            continue
        first = code_escape.match(joined, at)
        if first is None:
            raise StringFault(
                f"a Unicode escape is {escape}XXXX or {escape}+XXXXXX",
                where,
                f"write the escape character itself as `{escape}{escape}`",
            )
        code, after = int(first[1] or first[2], 16), first.end()
        if 0xD800 <= code <= 0xDBFF:
            second = code_escape.match(joined, after)
            low = int(second[1] or second[2], 16) if second is not None else 0
            if second is not None and 0xDC00 <= low <= 0xDFFF:
                code, after = _pair(code, low), second.end()
        value.add_code_point(code, where.start, characters[after - 1][2])
        at = after


def _add_run(value: _Value, run: list[tuple[str, int, int]]) -> None:
    """Add plain characters, those that stand side by side in the source as one piece."""
    first = 0
    for index in range(1, len(run) + 1):
        broken = index == len(run) or run[index][1] != run[index - 1][2] or run[index][2] - run[index][1] > 1
        if broken or run[index - 1][2] - run[index - 1][1] > 1:
            value.add("".join(c for c, _, _ in run[first:index]), run[first][1], run[index - 1][2])
            first = index


def quoted(value: str) -> str:
    """A literal with this value, whatever standard_conforming_strings is."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in doubled else f"'{doubled}'"
