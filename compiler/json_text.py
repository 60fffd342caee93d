"""JSON as PostgreSQL reads it, and as `jsonb` writes it. Strict, and without recursion in reading.

Python's own reader takes NaN and lone surrogates, and nests as deep as the stack allows; texts from the SQL
door and from files are hostile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

NESTING_MAX = 200
NUMERIC_DIGITS_MAX = 131_072
NUMERIC_SCALE_MAX = 16_383


class JsonFault(ValueError):
    """A text that is no JSON that PostgreSQL takes; `offset` counts code points."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(f"{message} at character {offset + 1}")
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class JsonNumber:
    """A number as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class JsonArray:
    """An array."""

    items: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object: keys and values in written order, repeated keys included."""

    pairs: tuple[tuple[str, Json], ...]


Json: TypeAlias = "bool | str | JsonNumber | JsonArray | JsonObject | None"

_TOKEN = re.compile(
    r'[ \t\n\r]*+(?:(?P<string>"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z_.]))"
    r"|(?P<word>true|false|null)(?![0-9A-Za-z_])"
    r"|(?P<mark>[\[\]{},:]))"
)
_SPACE = re.compile(r"[ \t\n\r]*+")
_ESCAPE = re.compile(r"\\(?:(?P<simple>[\"\\/bfnrt])|u(?P<code>[0-9A-Fa-f]{4}))?")
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(slots=True)
class _Open:
    """A container that is being read. `key` is the key that waits for its value."""

    is_object: bool
    items: list[Json]
    keys: list[str]
    key: str | None = None
    expect: str = "first"


def read_json(text: str, nesting_max: int = NESTING_MAX) -> Json:
    """The value that a JSON text writes. Raises JsonFault. Linear in the text."""
    stack: list[_Open] = []
    position = 0
    while True:
        token = _TOKEN.match(text, position)
        if token is None:
            raise JsonFault("invalid JSON", _SPACE.match(text, position).end())  # type: ignore[union-attr]
        start, position = token.start(token.lastgroup or 0), token.end()
        mark = token["mark"]
        top = stack[-1] if stack else None
        if top is not None and _punctuated(top, mark, token, text, start):
            continue
        if mark in ("[", "{"):
            if len(stack) == nesting_max:
                raise JsonFault(f"JSON nested over {nesting_max} levels", start)
            stack.append(_Open(is_object=mark == "{", items=[], keys=[]))
            continue
        if mark is None:
            value = _scalar(token, text, start)
        elif top is not None and mark == ("}" if top.is_object else "]") and top.expect in ("first", "comma"):
            stack.pop()
            value = _closed(top)
        else:
            raise JsonFault("invalid JSON", start)
        if not stack:
            rest = _SPACE.match(text, position)
            if rest is not None and rest.end() != len(text):
                raise JsonFault("text behind the JSON value", rest.end())
            return value
        stack[-1].items.append(value)
        stack[-1].expect = "comma"


def _punctuated(top: _Open, mark: str | None, token: re.Match[str], text: str, start: int) -> bool:
    """Take a comma, a key or a colon where one has to stand; whether that was all."""
    closing = mark == ("}" if top.is_object else "]")
    if top.expect == "comma":
        if closing:
            return False
        if mark != ",":
            raise JsonFault("expected `,`", start)
        top.expect = "key" if top.is_object else "value"
        return True
    if top.is_object and top.expect in ("first", "key"):
        if closing and top.expect == "first":
            return False
        if token["string"] is None:
            raise JsonFault("expected a key", start)
        top.keys.append(_string(token["string"], start))
        top.expect = "colon"
        return True
    if top.expect == "colon":
        if mark != ":":
            raise JsonFault("expected `:`", start)
        top.expect = "value"
        return True
    return False


def _closed(top: _Open) -> Json:
    if top.is_object:
        return JsonObject(tuple(zip(top.keys, top.items, strict=True)))
    return JsonArray(tuple(top.items))


def _scalar(token: re.Match[str], text: str, start: int) -> Json:
    if token["string"] is not None:
        return _string(token["string"], start)
    if token["number"] is not None:
        return JsonNumber(token["number"])
    return _WORDS[token["word"]]


def _string(written: str, offset: int) -> str:
    body = written[1:-1]
    if "\\" not in body:
        return body
    parts: list[str] = []
    position = 0
    while (at := body.find("\\", position)) != -1:
        parts.append(body[position:at])
        escape = _ESCAPE.match(body, at)
        assert escape is not None
        position = escape.end()
        if escape["simple"]:
            parts.append(_SIMPLE[escape["simple"]])
            continue
        if not escape["code"]:
            raise JsonFault("invalid escape", offset + 1 + at)
        code = int(escape["code"], 16)
        if 0xD800 <= code <= 0xDBFF:
            low = _ESCAPE.match(body, position)
            if low is not None and low["code"] and 0xDC00 <= int(low["code"], 16) <= 0xDFFF:
                code = 0x10000 + ((code - 0xD800) << 10) + int(low["code"], 16) - 0xDC00
                position = low.end()
        if code == 0 or 0xD800 <= code <= 0xDFFF:
            raise JsonFault("an escape that PostgreSQL cannot store", offset + 1 + at)
        parts.append(chr(code))
    parts.append(body[position:])
    return "".join(parts)


_QUOTED = re.compile(r'["\\\x00-\x1f]')
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote_json(value: str) -> str:
    """A JSON string as PostgreSQL's `to_json(text)` writes it."""
    return f'"{_QUOTED.sub(_quoted, value)}"'


def _quoted(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[0]) or f"\\u{ord(found[0]):04x}"


def write_jsonb(value: Json) -> str:
    """The text form of the value as `jsonb`: keys by length, then bytes; of a repeated key the last counts.

    Raises JsonFault when a number is outside PostgreSQL's `numeric`.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return quote_json(value)
        case JsonNumber():
            return numeric_text(value.text)
        case JsonArray():
            return f"[{', '.join(write_jsonb(item) for item in value.items)}]"
        case JsonObject():
            # A value that a later one replaces has to be valid too.
            last = {key: write_jsonb(item) for key, item in value.pairs}
            keys = sorted(last, key=lambda key: (len(key.encode()), key.encode()))
            return f"{{{', '.join(f'{quote_json(key)}: {last[key]}' for key in keys)}}}"


def numeric_text(written: str) -> str:
    """A decimal number as `numeric` writes it: `1.50e1` is `15.0`, `-0` is `0`. Raises JsonFault."""
    sign, rest = ("-", written[1:]) if written.startswith("-") else ("", written)
    mantissa, _, exponent = rest.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    if len(exponent) > 8:
        raise JsonFault("a number out of range", 0)
    shift = int(exponent or "0")
    scale = max(0, len(fraction) - shift)
    digits = whole + fraction
    point = len(whole) + shift
    significant = digits.lstrip("0")
    if not significant:
        sign, digits, point = "", "0", 1
    elif point - (len(digits) - len(significant)) > NUMERIC_DIGITS_MAX:
        raise JsonFault("a number out of range", 0)
    if scale > NUMERIC_SCALE_MAX:
        raise JsonFault("a number out of range", 0)
    before = digits[: max(point, 0)].ljust(point, "0").lstrip("0") or "0"
    after = ("0" * max(0, -point) + digits[max(point, 0) :])[:scale].ljust(scale, "0")
    return f"{sign}{before}.{after}" if scale else f"{sign}{before}"
