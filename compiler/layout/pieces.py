"""Parts of a layout: each with its one-line form, if it has one, and its other form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dfc.compiler.layout.document import (
    WIDTH,
    Block,
    Document,
    Either,
    Leading,
    Newline,
    Space,
    Text,
    Trailing,
    joined,
)
from dfc.compiler.layout.parentheses import plain
from dfc.compiler.layout.stream import Token, starts_line
from dfc.compiler.names import is_identifier

_UPPER = frozenset({"NULL", "ARRAY", "CAST", "AS", "VARIADIC", "UESCAPE", "OPERATOR", "SELECT"})
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A part. `text` is what a single token or name says, `name` the name of an argument.

    `blank`: a blank line stands above it in the source; `led`: comments do. `last` is the width of its last
    line where that is sure, of a text of several lines.
    """

    flat: str | None
    part: Document
    kind: str = ""
    text: str = ""
    name: str = ""
    blank: bool = False
    led: bool = False
    is_name: bool = False
    last: int | None = None


NOTHING = Laid(flat="", part=())


def document(laid: Laid) -> Document:
    """A part in whichever form fits."""
    if laid.part == ():
        return ()
    return laid.part if laid.flat is None else Either(laid.flat, laid.part)


def glued(parts: Sequence[Laid], between: str) -> Laid:
    """Parts in a row that no line break separates."""
    if len(parts) == 1:
        return parts[0]
    flat = joined([part.flat for part in parts], between)
    pieces: list[Document] = []
    for index, part in enumerate(parts):
        if index and between:
            pieces.append(Space())
        pieces.append(document(part))
    return Laid(flat=flat, part=tuple(pieces), blank=parts[0].blank, led=parts[0].led, last=parts[-1].last)


def laid_token(token: Token, block: Block | None = None) -> Laid:
    """A token with its comments."""
    written = shown(token)
    pieces: list[Document] = []
    if starts_line(token.leading):
        pieces.append(Newline(token.blank))
    begins = True
    for led in token.leading:
        pieces.append(Leading(led.text, led.own, led.blank, begins))
        begins = led.own
    pieces.append(Text(written) if block is None else block)
    last = len(token.trailing) - 1
    pieces += [Trailing(text, token.ends and index == last) for index, text in enumerate(token.trailing)]
    value = plain(token.text) if token.type == "STRING" and len(token.text) < WIDTH else None
    return Laid(
        flat=None if block is not None else _flat(token, written),
        part=tuple(pieces) if len(pieces) > 1 else pieces[0],
        kind="string" if token.type == "STRING" else "",
        text=written,
        blank=token.blank,
        led=starts_line(token.leading),
        is_name=value is not None and is_identifier(value),
        last=_last_line(token, written, block),
    )


def _flat(token: Token, written: str) -> str | None:
    if starts_line(token.leading) or (token.trailing and token.ends):
        return None
    flat = joined([*(led.text for led in token.leading), written, *token.trailing], " ")
    return None if flat is None or "\n" in flat or "\r" in flat else flat


def _last_line(token: Token, written: str, block: Block | None) -> int | None:
    """The width of the last line of a text of several lines, which begins where it begins in the source."""
    if not token.bare:
        return None
    if block is not None:
        return len(block.closing)
    cut = written.rfind("\n")
    return None if cut == -1 else len(written) - cut - 1


def shown(token: Token) -> str:
    """A token as it is written: keywords in capitals, names that are folded anyway in small letters."""
    if token.type in _UPPER:
        return token.text.upper()
    if token.type in ("TRUE", "FALSE") or (
        token.type == "IDENT" and not token.text.startswith(('"', "u&", "U&"))
    ):
        return token.text.translate(_LOWER)
    return "=>" if token.type == "ARROW" else token.text


def closing(token: Token, laid: Laid) -> tuple[tuple[Document, ...], Document]:
    """A closing bracket on a line of its own: the comments in front of it, which belong to the lines above,
    and the bracket.
    """
    comments = tuple(Leading(led.text, own=True, blank=led.blank) for led in token.leading)
    if not comments:
        return (), document(laid)
    return comments, document(laid_token(replace(token, leading=())))
