"""What a part of an expression is while it is being read: a constant, or a piece of the workflow.

`span` is the part as written, parentheses included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dfc.compiler.ast import Expression, Hole, Piece, Text, placeholder
from dfc.compiler.json_text import Json
from dfc.compiler.params import Params
from dfc.compiler.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class String:
    """A string constant. `typed`: a cast made it `text`, so that it no longer fits other types by itself."""

    text: Text
    typed: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number, in plain decimal digits with sign and point."""

    digits: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """TRUE or FALSE."""

    value: bool
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """NULL, of any type."""

    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A json or jsonb constant."""

    value: Json
    written: str
    binary: bool
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A constant of a type that nothing here looks into (interval, timestamptz, ...), as its text."""

    type: str
    text: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """ARRAY[...]. `typed`: a cast says what its elements are."""

    items: tuple[Value, ...]
    typed: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A finished piece of the workflow."""

    expression: Expression
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A call of df.start, df.define, df.schedule or df.setvar: a statement of its own, never a step.

    Without a `body` it is about the workflow that a name means, `workflow`. `label` is the name of what it
    defines or schedules; `options` are the texts of all other arguments, by name.
    """

    function: str
    body: Expression | None
    label: str | None
    options: tuple[tuple[str, str], ...] = ()
    params: Params | None = None
    on_failure: Expression | None = None
    workflow: str | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """Something whose problem has been reported. `rest` is what of it can be checked, as an expression."""

    rest: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False)


Value: TypeAlias = String | Number | Truth | Null | Document | Typed | Array | Tree | Submission | Faulty


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument of a call. `name` is None when it is positional."""

    value: Value
    name: str | None
    variadic: bool
    span: Span


def described(value: Value) -> str:
    """The value's kind, with its article, for a message."""
    match value:
        case String():
            return "a text"
        case Number():
            return "a number"
        case Truth():
            return "a boolean"
        case Null():
            return "NULL"
        case Document():
            return "a jsonb" if value.binary else "a json"
        case Typed():
            return f"an {value.type}" if value.type[0] in "aeiou" else f"a {value.type}"
        case Array():
            return "an array"
        case Tree():
            return "a workflow expression"
        case Submission():
            return f"the id that `df.{value.function}` returns"
        case Faulty():
            return "a faulty expression"


def expressions(values: Iterable[Value]) -> tuple[Expression, ...]:
    """The pieces of a workflow in values that cannot be used: what is wrong in them is still reported."""
    found: list[Expression] = []
    todo = list(values)[::-1]
    while todo:
        value = todo.pop()
        match value:
            case Tree(expression=expression):
                found.append(expression)
            case Submission():
                found += [part for part in (value.body, value.on_failure) if part is not None]
            case Faulty(rest=rest) if rest is not None and rest != Hole():
                found.append(rest)
            case Array(items=items):
                todo += reversed(items)
            case _:
                pass
    return tuple(found)


def faulty(values: Iterable[Value], span: Span) -> Faulty:
    """What values are together when a problem with them has been reported."""
    return Faulty(rest=placeholder(expressions(values), span), span=span)


def joined(parts: Sequence[String], span: Span) -> String:
    """Texts joined by `||`: one text, every part of which still knows where it stands."""
    pieces: list[Piece] = []
    length = 0
    for part in parts:
        pieces.extend(replace(piece, value_start=piece.value_start + length) for piece in part.text.pieces)
        length += len(part.text.value)
    value = "".join(part.text.value for part in parts)
    return String(text=Text(value=value, span=span, pieces=tuple(pieces)), typed=True, span=span)


def without_blanks_at_end(text: Text) -> Text:
    """The text as PostgreSQL casts it from `character`: tabs and line breaks stay."""
    value = text.value.rstrip(" ")
    pieces: list[Piece] = []
    for piece in text.pieces:
        length = min(piece.length, len(value) - piece.value_start)
        if length == piece.length:
            pieces.append(piece)
        elif length > 0:
            pieces.append(replace(piece, length=length, source_end=piece.source_start + length))
    return replace(text, value=value, pieces=tuple(pieces))
