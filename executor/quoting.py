"""Text for SQL: literals, identifiers, names of objects, arrays, JSON. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, cast

NAME_BYTES_MAX: Final = 63
"""The longest name of PostgreSQL's; it would cut off a longer one, and so mean another object."""

_ESCAPES: Final = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""Escapes in JSON: a backslash and a pair of surrogates (the group), or what PostgreSQL does not take."""

_PART: Final = re.compile(r'\s*+"((?:[^"]|"")+)"\s*+|([^."]+)')


def quote_literal(value: str) -> str:
    """A string literal with this value, whatever standard_conforming_strings is."""
    quoted = value.replace("'", "''")
    return " E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else "'" + quoted + "'"


def quote_identifier(name: str) -> str:
    """A delimited identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_name(text: str) -> str:
    """The name of an object, each part quoted: `public.t` is `"public"."t"`, `"a.b"` one part.

    A part without quotes is taken as it is, in its case. Raises ValueError where the text is no name.
    """
    parts: list[str] = []
    position = 0
    while True:
        part = _PART.match(text, position)
        if part is None:
            raise ValueError(text)
        quoted: str | None = part[1]
        parts.append(quote_part(part[2] if quoted is None else quoted.replace('""', '"')))
        position = part.end()
        if position == len(text):
            return ".".join(parts)
        if text[position] != ".":
            raise ValueError(text)
        position += 1


def quote_part(name: str) -> str:
    """One identifier, quoted. Raises ValueError where it is none: empty or too long."""
    if not name or len(name.encode()) > NAME_BYTES_MAX:
        raise ValueError(name)
    return quote_identifier(name)


def array_literal(values: Sequence[str | None]) -> str:
    """The text form of a one-dimensional array."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Number(str):
    """A number of a JSON text as it is written there: every digit is kept."""

    __slots__ = ()


def read_json(text: str) -> object:
    """A JSON text as dicts, lists, texts, booleans, None, and `Number`.

    Raises ValueError where it is nested too deep to be read.
    """
    try:
        return json.loads(text, parse_float=Number, parse_int=Number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def storable(text: str) -> str:
    """A JSON text as PostgreSQL can store it and take it apart.

    NUL and half a surrogate pair become U+FFFD, or a question mark where they are no escapes.
    """
    if "\\u" in text:
        text = _ESCAPES.sub(lambda found: found[1] or r"\ufffd", text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def write_json(value: object) -> str:
    """The text of what `read_json` has read."""
    match value:
        case Number():
            return str(value)
        case dict():
            fields = cast(dict[str, object], value)
            return "{" + ", ".join(f"{_text(k)}: {write_json(v)}" for k, v in fields.items()) + "}"
        case list():
            return "[" + ", ".join(map(write_json, cast(list[object], value))) + "]"
        case _:
            return _text(value)


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair stays an escape: it could not even be sent.
        return json.dumps(value)
    return text
