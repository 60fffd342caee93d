"""Diagnostics as text for people, and as JSON for the compiler process."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from dfc.compiler.diagnostics import Diagnostic, Fix, Severity
from dfc.compiler.source import Source
from dfc.compiler.span import Span

LINE_COLUMNS_MAX = 120
TAB_COLUMNS = 4
_COLUMNS_BEFORE_CARET = 40
_MARKS_MAX = 1_000
"""Characters on either side of the caret that are looked at: accents take no column, and may be many."""

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.LINT: "\x1b[1;33m", Severity.NOTE: "\x1b[1;36m"}


def render(problems: Iterable[Diagnostic], source: Source, color: bool = False) -> str:
    """The problems in the order of the source, each with its line and a caret, an empty line between them."""
    ordered = sorted(problems, key=lambda problem: (problem.span.start, problem.span.end, problem.code))
    return "\n".join(_one(problem, source, _Paint(color)) for problem in ordered)


class _Paint:
    def __init__(self, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, style: str) -> str:
        return f"{style}{text}{_RESET}" if self._color and text else text


def _one(problem: Diagnostic, source: Source, paint: _Paint) -> str:
    span = _inside(problem.span, source)
    colour = _COLOURS[problem.severity]
    head = paint(f"{problem.severity.value}[{problem.code}]", colour) + paint(
        f": {clean(problem.message)}", _BOLD
    )
    placed = [(note.message, _inside(note.span, source)) for note in problem.notes if note.span is not None]
    numbers = [source.position(where.start)[0] for _, where in placed]
    width = max(
        len(str(number)) for number in (source.position(span.start)[0], _last_line(span, source), *numbers)
    )
    width += 1
    gutter = " " * width
    lines = [head, f"{gutter}{paint('-->', _BLUE)} {clean(source.name)}:{_place(span, source)}"]
    lines += _excerpt(span, problem.label, source, width, paint, colour)
    for message, where in placed:
        lines.append(f"{gutter} {paint('::', _BLUE)} {clean(source.name)}:{_place(where, source)}")
        lines += _excerpt(where, message, source, width, paint, _BLUE)
    lines += [
        f"{gutter} {paint('=', _BLUE)} note: {clean(n.message)}" for n in problem.notes if n.span is None
    ]
    if problem.help:
        lines.append(f"{gutter} {paint('=', _BLUE)} help: {clean(problem.help)}")
    return "\n".join(lines) + "\n"


def _inside(span: Span, source: Source) -> Span:
    length = len(source.text)
    start = min(max(span.start, 0), length)
    return Span(start, min(max(span.end, start), length))


def _last_line(span: Span, source: Source) -> int:
    return source.position(max(span.start, span.end - 1))[0]


def _place(span: Span, source: Source) -> str:
    line, column = source.position(span.start)
    return f"{line}:{column}"


def _excerpt(span: Span, label: str, source: Source, width: int, paint: _Paint, colour: str) -> list[str]:
    """The line that the span begins on with carets under it; of a span over several lines also the last."""
    number = source.position(span.start)[0]
    begin, end = source.line(number)
    last = _last_line(span, source)
    inside = end - span.start if last != number else span.end - span.start
    shown, before, carets = _window(source.text, begin, end, span.start, max(inside, 0))
    gutter = " " * width
    bar = paint("|", _BLUE)
    note = clean(label)
    if last != number:
        note = f"{note} (to line {last})" if note else f"to line {last}"
    marks = paint(f"{'^' * carets}{f' {note}' if note else ''}", colour)
    return [
        f"{paint(f'{number:>{width}}', _BLUE)} {bar} {shown}".rstrip(),
        f"{gutter} {bar} {' ' * before}{marks}",
    ]


def _window(text: str, begin: int, stop: int, start: int, length: int) -> tuple[str, int, int]:
    """The part of a line (`text[begin:stop]`) that is shown, the columns before the caret, and the carets.

    Never copies the line: it may be the whole of a big file, and have many problems.
    """
    start = min(start, stop)
    first = begin
    needed = min(start + min(length, LINE_COLUMNS_MAX) + 1, stop, begin + 2 * LINE_COLUMNS_MAX)
    if start - begin > _MARKS_MAX or _width(text[begin:needed]) > LINE_COLUMNS_MAX:
        first = start
        before = 0
        while first > max(begin, start - _MARKS_MAX) and before < _COLUMNS_BEFORE_CARET:
            first -= 1
            before += _columns(text[first])
    end = first
    columns = 0
    near = text[first : min(stop, first + LINE_COLUMNS_MAX)]
    if near.isascii() and "\t" not in near:
        columns = len(near)
        end = first + columns
    while end < stop and columns < LINE_COLUMNS_MAX:
        columns += _width(text[end])
        end += 1
        if end - start > _MARKS_MAX:
            break
    left, right = "..." if first > begin else "", "..." if end < stop else ""
    before = len(left) + _width(text[first:start])
    carets = max(1, _width(text[start : min(start + length, end)]))
    return f"{left}{_expanded(text[first:end])}{right}", before, carets


def _expanded(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " * TAB_COLUMNS if character == "\t" else _visible(character) for character in text)


def _visible(character: str) -> str:
    """A control character would move the cursor or colour the terminal: its picture instead.

    Terminals do not agree on how wide an emoji with a variation or a colour of its skin is: they go.
    """
    if character < " ":
        return chr(0x2400 + ord(character))
    if character in _VARIATIONS:
        return ""
    hidden = unicodedata.category(character) in _HIDDEN or character in _SKINS
    return "\ufffd" if hidden else character


_HIDDEN = ("Cc", "Cs", "Cf", "Zl", "Zp")
_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))
_SKINS = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_JOINING = frozenset(map(chr, (*range(0x1160, 0x1200), *range(0xD7B0, 0xD7FC))))
"""Vowels and ends of Korean syllables, which stand within the two columns of the first letter."""


def _width(text: str) -> int:
    """The columns that a terminal gives a text."""
    if text.isascii() and "\t" not in text:
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if character == "\t":
        return TAB_COLUMNS
    if unicodedata.category(character) in ("Mn", "Me") or character in _JOINING:
        return 0
    if character in _SKINS:
        return 1
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def clean(message: str) -> str:
    """One line, without control characters: messages quote hostile texts."""
    if message.isascii() and message.isprintable():
        return message
    return "".join(" " if character in "\n\t" else _visible(character) for character in message)


def to_json(problem: Diagnostic, source: Source) -> dict[str, Any]:
    """A diagnostic as the compiler process hands it on (docs/internals.md); lines and columns from 1."""
    span = _inside(problem.span, source)
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "message": problem.message,
        "span": [span.start, span.end],
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "label": problem.label,
        "notes": [
            {"message": n.message, "span": None if n.span is None else [n.span.start, n.span.end]}
            for n in problem.notes
        ],
        "help": problem.help,
        "fix": _fix(problem.fix, source),
    }


def _fix(fix: Fix | None, source: Source) -> dict[str, Any] | None:
    """None also where the source says what an edit is to replace in another way, for example in escapes."""
    if fix is None or any(source.text[e.span.start : e.span.end] != e.old for e in fix.edits):
        return None
    return {
        "safe": fix.safe,
        "edits": [{"span": [each.span.start, each.span.end], "text": each.text} for each in fix.edits],
    }
