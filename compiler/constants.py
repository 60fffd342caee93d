"""Constants: what can be computed while compiling (LANGUAGE.md section 1), by PostgreSQL's rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from dfc.compiler.ast import Text
from dfc.compiler.json_text import (
    Json,
    JsonArray,
    JsonFault,
    JsonNumber,
    JsonObject,
    numeric_text,
    quote_json,
    read_json,
    write_jsonb,
)
from dfc.compiler.span import Span
from dfc.compiler.strings import quoted
from dfc.compiler.values import (
    Array,
    Document,
    Faulty,
    Null,
    Number,
    String,
    Submission,
    Tree,
    Truth,
    Typed,
    Value,
    described,
)

INT4_MAX = 2**31 - 1


class ConstantFault(ValueError):
    """A constant that cannot be computed. `code` is DF165 where PostgreSQL itself might be able to."""

    def __init__(self, code: str, message: str, span: Span, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.help = help


TEXT_TYPES = frozenset({"text", "varchar", "character varying"})
INTEGER_TYPES = {
    "int": 2**31,
    "integer": 2**31,
    "int4": 2**31,
    "smallint": 2**15,
    "int2": 2**15,
    "bigint": 2**63,
    "int8": 2**63,
}
BOOLEAN_TYPES = frozenset({"bool", "boolean"})
NUMERIC_TYPES = frozenset({"numeric", "decimal"})
JSON_TYPES = frozenset({"json", "jsonb"})
OPAQUE_TYPES = frozenset(
    {
        "interval",
        "timestamptz",
        "timestamp with time zone",
        "timestamp",
        "timestamp without time zone",
        "date",
    }
)
KNOWN_TYPES = (
    TEXT_TYPES | INTEGER_TYPES.keys() | BOOLEAN_TYPES | NUMERIC_TYPES | JSON_TYPES | OPAQUE_TYPES | {"text[]"}
)

_DECIMAL = re.compile(
    r"[ \t\n\r\f\v]*+([+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)[ \t\n\r\f\v]*+"
)
_RADIX = re.compile(r"([+-]?)(0[xXoObB][0-9A-Fa-f_]+)")
_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
_FALSE = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")


def number_of(literal: str) -> str | None:
    """A number literal in plain digits (`0x1F` is `31`, `1_000` is `1000`); None for another text."""
    radix = _RADIX.fullmatch(literal)
    try:
        if radix is not None:
            if len(literal) > 1000:
                return None
            return radix[1].replace("+", "") + str(int(radix[2].replace("_", ""), 0))
        decimal = _DECIMAL.fullmatch(literal)
        if decimal is None:
            return None
        return numeric_text(decimal[1].replace("_", "").removeprefix("+"))
    except ValueError:
        return None


def integer_of(digits: str) -> int | None:
    """The integer that a number in plain digits is; None when it has a fraction or is absurdly long."""
    if "." in digits or len(digits) > 40:
        return None
    return int(digits)


def truth_of(text: str) -> bool | None:
    """What PostgreSQL's boolean input makes of a text; None when it refuses it."""
    word = text.strip(" \t\n\r\f\v").lower()
    return True if word in _TRUE else False if word in _FALSE else None


def document(written: str, binary: bool, span: Span) -> Document:
    """A text as json or jsonb. Raises ConstantFault when it is none."""
    try:
        value = read_json(written)
        text = write_jsonb(value) if binary else written
    except JsonFault as fault:
        name = "jsonb" if binary else "json"
        help = """write JSON, for example `'{"a": 1}'`"""
        raise ConstantFault("DF159", f"this text is not {name}: {fault}", span, help) from None
    return Document(value=value, written=text, binary=binary, span=span)


_ELEMENT = re.compile(
    r"[ \t\n\r\f\v]*+(?:\"(?P<quoted>(?:[^\"\\]|\\.)*+)\"|(?P<bare>[^{}\",\\\s]++(?: ++[^{}\",\\\s]++)*+))"
    r"[ \t\n\r\f\v]*+(?P<end>[,}])",
    re.DOTALL,
)


def array_of(written: str, span: Span) -> Array:
    """A text as an array of texts, `{a,"b c"}`. Raises ConstantFault when it is none, or has dimensions."""
    text = written.strip(" \t\n\r\f\v")
    if text[:1] == "{" and text[1:].strip(" \t\n\r\f\v") == "}":
        return Array(items=(), typed=True, span=span)
    items: list[Value] = []
    position = 1 if text.startswith("{") else len(text)
    while (element := _ELEMENT.match(text, position)) is not None:
        inside, bare = element["quoted"], element["bare"]
        value = re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL) if bare is None else bare
        null = bare is not None and bare.lower() == "null"
        items.append(Null(span=span) if null else String(text=Text(value=value, span=span), span=span))
        position = element.end()
        if element["end"] == "}":
            break
    if not items or position != len(text) or not text.endswith("}"):
        readable = text.startswith("{") and text.endswith("}")
        raise ConstantFault(
            "DF165" if readable else "DF159",
            "this text cannot be read as an array of texts" if readable else "this text is not an array",
            span,
            "write it as `ARRAY['a', 'b']`" if readable or not text else f"write `ARRAY[{quoted(text)}]`",
        )
    return Array(items=tuple(items), typed=True, span=span)


def cast(value: Value, type_name: str, span: Span) -> Value:
    """The constant as another type. Raises ConstantFault when that is not possible while compiling."""
    if isinstance(value, Faulty):
        return replace(value, span=span)
    if isinstance(value, Null):
        return Null(span=span)
    if isinstance(value, Tree | Submission):
        if type_name in TEXT_TYPES:
            return replace(value, span=span)
        raise ConstantFault(
            "DF159", f"{described(value)} cannot become `{type_name}`", span, "remove the cast"
        )
    if type_name in TEXT_TYPES:
        return _to_text(value, span)
    if type_name in INTEGER_TYPES:
        return _to_integer(value, type_name, span)
    if type_name in BOOLEAN_TYPES:
        return _to_boolean(value, type_name, span)
    if type_name in NUMERIC_TYPES and isinstance(value, String | Number):
        digits = value.digits if isinstance(value, Number) else number_of(value.text.value)
        if digits is None:
            raise _impossible(value, type_name, span)
        return Number(digits=digits, span=span)
    if type_name in JSON_TYPES and isinstance(value, String | Document):
        written = value.written if isinstance(value, Document) else value.text.value
        return document(written, type_name == "jsonb", span)
    if type_name in OPAQUE_TYPES and isinstance(value, String):
        return Typed(type=type_name, text=value.text.value, span=span)
    if isinstance(value, Typed) and value.type == type_name:
        return replace(value, span=span)
    if type_name == "text[]" and isinstance(value, Array | String):
        array = value if isinstance(value, Array) else array_of(value.text.value, span)
        return replace(array, typed=True, span=span)
    if type_name in KNOWN_TYPES:
        raise _impossible(value, type_name, span)
    raise ConstantFault(
        "DF165",
        f"a cast to `{type_name}` cannot be computed while compiling",
        span,
        help="write the constant without the cast, or as text, integer, numeric, boolean, interval or jsonb",
    )


def _impossible(value: Value, type_name: str, span: Span) -> ConstantFault:
    message = f"{described(value)} like this cannot become `{type_name}`"
    return ConstantFault(
        "DF159", message, span, f"write a constant that is a valid `{type_name}`, or remove the cast"
    )


def _to_text(value: Value, span: Span) -> String:
    match value:
        case String():
            return replace(value, typed=True, span=span)
        case Number():
            written = value.digits
        case Truth():
            written = "true" if value.value else "false"
        case Document():
            written = value.written
        case _:
            raise ConstantFault(
                "DF165",
                f"{described(value)} as text cannot be computed while compiling",
                span,
                "write the text itself, in quotes",
            )
    return String(text=Text(value=written, span=span), typed=True, span=span)


def _to_integer(value: Value, type_name: str, span: Span) -> Number:
    match value:
        case Truth():
            return Number(digits="1" if value.value else "0", span=span)
        case Number():
            digits = _rounded(value.digits)
        case String():
            number = number_of(value.text.value)
            digits = number if number is not None and "." not in number else None
        case _:
            digits = None
    whole = None if digits is None else integer_of(digits)
    limit = INTEGER_TYPES[type_name]
    if whole is None or not -limit <= whole < limit:
        raise _impossible(value, type_name, span)
    return Number(digits=str(whole), span=span)


def _rounded(digits: str) -> str:
    """numeric to integer: halves away from zero."""
    whole, _, fraction = digits.partition(".")
    if not fraction or fraction[0] < "5" or len(whole) > 40:
        return whole
    return str(int(whole) + (-1 if digits.startswith("-") else 1))


def _to_boolean(value: Value, type_name: str, span: Span) -> Truth:
    match value:
        case Truth():
            return replace(value, span=span)
        case Number() if "." not in value.digits:
            return Truth(value=value.digits.strip("-0") != "", span=span)
        case String():
            truth = truth_of(value.text.value)
        case _:
            truth = None
    if truth is None:
        raise _impossible(value, type_name, span)
    return Truth(value=truth, span=span)


def negated(value: Value, span: Span) -> Value:
    """The number with the other sign. Raises ConstantFault for anything else."""
    match value:
        case Number(digits=digits):
            zero = not digits.strip("-0.")
            flipped = digits[1:] if digits.startswith("-") else digits if zero else f"-{digits}"
            return Number(digits=flipped, span=span)
        case Null() | Faulty():
            return replace(value, span=span)
        case _:
            raise ConstantFault("DF159", f"{described(value)} has no sign", span, "remove the sign")


def build_json(function: str, values: Sequence[Value], span: Span) -> Document:
    """What `jsonb_build_object(...)` and its kin give. Raises ConstantFault as PostgreSQL would."""
    binary = function.startswith("jsonb")
    if function.endswith("array"):
        items = tuple(_json_of(value) for value in values)
        built: Json = JsonArray(items)
        written = f"[{', '.join(_json_text(item) for item in items)}]"
    else:
        if len(values) % 2:
            message = f"`{function}` needs a value for each key"
            raise ConstantFault("DF162", message, span, "write keys and values in turn")
        keys = [_key(value) for value in values[::2]]
        members = [_json_of(value) for value in values[1::2]]
        built = JsonObject(tuple(zip(keys, members, strict=True)))
        inside = ", ".join(f"{quote_json(k)} : {_json_text(m)}" for k, m in zip(keys, members, strict=True))
        written = f"{{{inside}}}"
    return Document(value=built, written=write_jsonb(built) if binary else written, binary=binary, span=span)


def _json_text(value: Json) -> str:
    return write_jsonb(value)


def _key(value: Value) -> str:
    match value:
        case String():
            return value.text.value
        case Number():
            return value.digits
        case Truth():
            return "true" if value.value else "false"
        case _:
            raise ConstantFault(
                "DF159", f"{described(value)} cannot be a key", value.span, "write the key in quotes"
            )


def _json_of(value: Value) -> Json:
    match value:
        case String():
            return value.text.value
        case Number():
            return JsonNumber(value.digits)
        case Truth():
            return value.value
        case Null():
            return None
        case Document():
            return value.value
        case Array():
            return JsonArray(tuple(_json_of(item) for item in value.items))
        case _:
            message = f"{described(value)} cannot stand in JSON"
            raise ConstantFault(
                "DF165", message, value.span, "write a string, number, boolean, array or object"
            )
