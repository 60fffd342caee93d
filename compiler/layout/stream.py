"""A statement as tokens with the comments around them, and which comment belongs to which token.

A comment on the line of the token before it, with nothing behind it, trails that token; any other one leads
the next. What is printed is read back as the same: so laying out twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dfc.compiler.syntax import terminal_of
from dfc.grammar.lexer import Kind, Lexeme, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A token or comment; how many line breaks there are between it and what stands before."""

    text: str
    type: str
    breaks: int = 0
    start: int = -1

    @property
    def comment(self) -> bool:
        """Whether it is a comment."""
        return self.type == COMMENT


COMMENT = "COMMENT"
OPENING = Item(text="(", type="LPAR")
CLOSING = Item(text=")", type="RPAR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Led:
    """A comment in front of a token: `own`, on a line of its own; `blank`, with a blank line above."""

    text: str
    own: bool
    blank: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token with its comments. `blank`: a blank line stands above it and what leads it.

    `ends`: nothing may stand behind its trailing comments on their line.
    """

    text: str
    type: str
    start: int = -1
    blank: bool = False
    leading: tuple[Led, ...] = ()
    trailing: tuple[str, ...] = ()
    ends: bool = False

    @property
    def bare(self) -> bool:
        """Whether it has no comments."""
        return not self.leading and not self.trailing


def items_of(text: str, lexemes: list[Lexeme]) -> list[Item]:
    """The tokens of a statement and the comments between them."""
    found: list[Item] = []
    position = lexemes[0].start
    for index, lexeme in enumerate(lexemes):
        for comment in scan(text, position, lexeme.start) if lexeme.start > position else ():
            if comment.kind is Kind.COMMENT:
                found.append(comment_item(text, position, comment))
                position = comment.end
        breaks = line_breaks(text, position, lexeme.start)
        written = text[lexeme.start : lexeme.end]
        type = terminal_of(text, lexemes, index) or ""
        found.append(Item(text=written, type=type, breaks=breaks, start=lexeme.start))
        position = lexeme.end
    return found


def comment_item(text: str, position: int, comment: Lexeme) -> Item:
    """The comment, where `position` is the end of what stands before it."""
    written = text[comment.start : comment.end]
    shown = written.rstrip(" \t\f\v") if written.startswith("--") else written
    return Item(text=shown, type=COMMENT, breaks=line_breaks(text, position, comment.start))


def line_breaks(text: str, start: int, end: int) -> int:
    """How many line ends the white space there has: none, one or several (which makes a blank line)."""
    between = text[start:end]
    feeds = between.count("\n")
    return feeds if feeds else between.count("\r")


_CLOSERS = frozenset({"RPAR", "RSQB", "COMMA"})
"""What stands right behind what it belongs to."""


def tokens_of(items: Sequence[Item]) -> list[Token]:
    """The tokens with the comments that belong to them. The last item is a token."""
    found: list[Token] = []
    for gap, item in _gaps(items):
        leading, trailing, ends = _owned(gap, item)
        if trailing and found:
            found[-1] = replace(found[-1], trailing=trailing, ends=ends)
        blank = (gap[len(trailing)].breaks if len(trailing) < len(gap) else item.breaks) > 1
        found.append(
            Token(
                text=item.text,
                type=item.type,
                start=item.start,
                blank=blank,
                leading=leading,
            )
        )
    return found


def _gaps(items: Sequence[Item]) -> Iterator[tuple[list[Item], Item]]:
    """Each token with the comments in front of it."""
    gap: list[Item] = []
    for item in items:
        if item.comment:
            gap.append(item)
        else:
            yield gap, item
            gap = []


def behind_commas(items: Sequence[Item]) -> list[Item]:
    """Comments between an argument and its comma stand behind the comma, but for one within a line."""
    found: list[Item] = []
    for gap, item in _gaps(items):
        if item.type != "COMMA" or not any(each.breaks for each in (*gap, item)):
            found += [*gap, item]
            continue
        if not gap:
            found.append(replace(item, breaks=0))
            continue
        found.append(replace(item, breaks=0))
        found += gap
        found.append(replace(item, type="", text=""))
    return _without_marks(found)


def _without_marks(items: list[Item]) -> list[Item]:
    """The empty items that stand for a comma which has gone before: their line breaks belong to the next."""
    found: list[Item] = []
    more = 0
    for item in items:
        if not item.type and not item.text:
            more = item.breaks
            continue
        found.append(replace(item, breaks=max(item.breaks, more)) if more else item)
        more = 0
    return found


def _owned(gap: list[Item], item: Item) -> tuple[tuple[Led, ...], tuple[str, ...], bool]:
    """What leads a token, what trails the one before it, and whether that has to end its line."""
    closes = item.type in _CLOSERS
    broken = [each.breaks > 0 for each in (*gap, item)]
    first = broken.index(True) if any(broken) else (len(gap) if closes else 0)
    trailing = tuple([each.text for each in gap[:first]])
    leading = tuple(
        [
            Led(text=each.text, own=closes or broken[index + 1], blank=each.breaks > 1)
            for index, each in enumerate(gap)
            if index >= first
        ]
    )
    # `'a' /* c */)` and `'a' /* c */` in front of a line with `)` are one thing to the layout.
    ends = not closes or bool(leading) or any(each.startswith("--") for each in trailing)
    return leading, trailing, ends


def starts_line(leading: Sequence[Led]) -> bool:
    """Whether the comments in front of a token need a line of their own."""
    return any(led.own for led in leading)
