"""A text before its lines are broken: what fits stays on one line, anything else has a layout of its own.

Every part knows its one-line form, if that is short enough for any line at all, so that laying out takes time
linear in the text however deep it nests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

WIDTH = 100
"""No line is longer, but for what cannot be broken: a string, a comment."""
INDENT = 2
_INDENT_MAX = 60
"""Deep nesting would make the text quadratic; nobody reads it there."""
_LOOK_AHEAD_MAX = 12


@dataclass(frozen=True, slots=True)
class Text:
    """Characters as they are; line breaks in them are none of ours."""

    text: str


@dataclass(frozen=True, slots=True)
class Newline:
    """A line break. `blank`: with a blank line, where there is not one already."""

    blank: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """A blank between two texts of one line."""


@dataclass(frozen=True, slots=True)
class Trailing:
    """A comment behind what it is about; `ends`: nothing follows on its line."""

    text: str
    ends: bool = True


@dataclass(frozen=True, slots=True)
class Leading:
    """A comment in front of what it is about. It may end its line (`own`), or begin one (`begins`)."""

    text: str
    own: bool = True
    blank: bool = False
    begins: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Lines between two delimiters, each indented once more.

    Line breaks within one of them are none of ours.
    """

    opening: str
    lines: tuple[str, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Indent:
    """A part whose lines begin further to the right."""

    part: Document


@dataclass(frozen=True, slots=True)
class Either:
    """The one-line form where it fits, else the other."""

    flat: str
    part: Document


Document: TypeAlias = (
    "Text | Newline | Space | Trailing | Leading | Block | Indent | Either | tuple[Document, ...]"
)


class _Printer:
    """Puts a document on lines."""

    def __init__(self, line_end: str) -> None:
        self.line_end = line_end
        self.parts: list[str] = []
        self.column = 0
        self.fresh = True
        """Nothing stands on this line yet."""
        self._ended = False
        """What comes next belongs on a new line."""
        self._space = False
        self._bracket = False
        """What stands last is an opening bracket."""
        self._blank_line = True
        """The line above is blank, or there is none, or a bracket opens there."""

    def newline(self, *, blank: bool = False) -> None:
        """Begin a line, if this one has something on it."""
        self._space = self._ended = False
        if not self.fresh:
            self.parts.append(self.line_end)
            self._blank_line = self._bracket
        if blank and not self._blank_line:
            self.parts.append(self.line_end)
            self._blank_line = True
        self.fresh = True
        self.column = 0

    def write(self, text: str, indent: int, *, spaces: int = 0) -> None:
        """Put text on the line; `spaces` in front of it, unless it begins a line or is behind a bracket."""
        if self._ended:
            self.newline()
        if self.fresh:
            self.parts.append(" " * indent)
            self.column = indent
        elif self._space or spaces:
            gap = " " * (0 if self._bracket and spaces == 1 else max(spaces, 1))
            self.parts.append(gap)
            self.column += len(gap)
        self._space = self.fresh = self._blank_line = False
        self._bracket = text.endswith(("(", "[")) and not spaces
        self.parts.append(text)
        cut = text.rfind("\n")
        self.column = self.column + len(text) if cut == -1 else len(text) - cut - 1

    def space(self) -> None:
        """A blank before what comes next, if that is on the same line."""
        self._space = not self.fresh

    def end(self) -> None:
        """Let nothing more stand on this line."""
        self._ended = True

    @property
    def begins(self) -> bool:
        """Whether what comes next begins a line."""
        return self.fresh or self._ended

    def room(self, indent: int) -> int:
        """How many characters still fit on the line."""
        if self.begins:
            return WIDTH - indent
        return WIDTH - self.column - self._space


def printed(document: Document, line_end: str = "\n") -> str:
    """The text of a document, without a line end behind it."""
    printer = _Printer(line_end)
    stack: list[tuple[int, Document]] = [(0, document)]
    while stack:
        indent, part = stack.pop()
        shown = min(indent, _INDENT_MAX)
        match part:
            case tuple():
                stack.extend((indent, each) for each in reversed(part))
            case Text(text):
                printer.write(text, shown)
            case Newline(blank):
                printer.newline(blank=blank)
            case Space():
                printer.space()
            case Indent(inner):
                stack.append((indent + INDENT, inner))
            case Either(flat, inner):
                if len(flat) + _following(stack) <= printer.room(shown):
                    printer.write(flat.lstrip(" ") if printer.begins else flat, shown)
                else:
                    stack.append((indent, inner))
            case Trailing(text, ends):
                printer.write(text, shown, spaces=2 if text.startswith("--") else 1)
                if ends:
                    printer.end()
            case Leading():
                _leading(printer, part, shown)
            case Block(opening, lines, closing):
                printer.write(opening, shown)
                deeper = min(indent + INDENT, _INDENT_MAX)
                for line in lines:
                    printer.parts.append(line_end + (" " * deeper if line else "") + line)
                printer.parts.append(line_end + " " * shown + closing)
                printer.column = shown + len(closing)
            case _:
                assert_never(part)
    return "".join(printer.parts)


def _leading(printer: _Printer, comment: Leading, indent: int) -> None:
    if comment.own and comment.begins:
        printer.newline(blank=comment.blank)
    printer.write(comment.text, indent, spaces=1)
    if comment.own:
        printer.end()
    else:
        printer.space()


def _following(stack: list[tuple[int, Document]]) -> int:
    """The width of what has to stand right behind, on the same line: closing brackets and commas."""
    width = 0
    looked = 0
    todo: list[Document] = []
    for _, part in reversed(stack):
        todo.append(part)
        while todo and looked < _LOOK_AHEAD_MAX:
            looked += 1
            match todo.pop():
                case tuple() as parts:
                    todo.extend(reversed(parts[:_LOOK_AHEAD_MAX]))
                case Text(text):
                    width += len(text.partition("\n")[0])
                    if "\n" in text:
                        return width
                case Indent(inner):
                    todo.append(inner)
                case Space():
                    width += 1
                case _:
                    return width
        if looked >= _LOOK_AHEAD_MAX:
            break
    return width


def joined(parts: Iterable[str | None], between: str = "") -> str | None:
    """The one-line form of parts in a row; None when one has none, or all of them are too long for a line."""
    length = 0
    taken: list[str] = []
    for part in parts:
        if part is None:
            return None
        length += len(part) + len(between)
        if length > WIDTH + len(between):
            return None
        taken.append(part)
    return between.join(taken)
