"""Literals that a type cannot be read from, for certain. Whatever could be one passes."""

from __future__ import annotations

import json
import re
from typing import Final

from dfc.compiler.schema.catalog import Catalog

_INTEGER: Final = re.compile(
    r"\s*[+-]?(?:[0-9]+(?:_[0-9]+)*|0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)\s*"
)
_NUMBER: Final = re.compile(
    r"\s*[+-]?(?:(?:[0-9_]+\.?[0-9_]*|\.[0-9_]+)(?:[eE][+-]?[0-9_]+)?|0[xX][0-9a-fA-F_.]+(?:[pP][+-]?[0-9]+)?"
    r"|0[oO][0-7_]+|0[bB][01_]+|nan|inf|infinity)\s*",
    re.IGNORECASE,
)
_BOOLEANS: Final = ("true", "false", "yes", "no", "on", "off", "1", "0")
_UUID: Final = re.compile(r"[0-9a-fA-F]{32}")
_WORDS: Final = re.compile(r"[A-Za-z]+")
_MOMENTS: Final = (
    "now",
    "today",
    "tomorrow",
    "yesterday",
    "epoch",
    "infinity",
    "allballs",
    "noon",
    "midnight",
)
_RANGES: Final = {"int2": 15, "int4": 31, "int8": 63}
_WITH_DIGITS: Final = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval"})
_JSON_LENGTH_MAX: Final = 100_000


def fault(text: str, type_name: str, catalog: Catalog) -> tuple[str, str] | None:
    """Message and SQLSTATE for a literal that its type's input function refuses."""
    base = catalog.base(type_name)
    if base is None:
        return None
    if base.endswith("[]"):
        wrong = not text.strip().startswith(("{", "["))
        return (f'malformed array literal: "{text}"', "22P02") if wrong else None
    own = catalog.types.get(base)
    if own is not None:
        wrong = own.kind == "enum" and text not in own.labels and not catalog.unsure.everything
        return (f'invalid input value for enum {own.name}: "{text}"', "22P02") if wrong else None
    if base == "json" or base == "jsonb":
        return None if _is_json(text) else ("invalid input syntax for type json", "22P02")
    if base in _RANGES and _INTEGER.fullmatch(text):
        shown = {"int2": "smallint", "int4": "integer", "int8": "bigint"}[base]
        if _too_big(text, _RANGES[base]):
            return f'value "{text}" is out of range for type {shown}', "22003"
        return None
    shown = _refused_as(text, base)
    if shown is None:
        return None
    state = "22007" if base in _WITH_DIGITS else "22P02"
    return f'invalid input syntax for type {shown}: "{text}"', state


def _too_big(text: str, bits: int) -> bool:
    try:
        number = int(text.strip(), 0) if not text.strip().lstrip("+-").startswith("0") else 0
    except ValueError:
        return False
    return not -(1 << bits) <= number < (1 << bits)


def _refused_as(text: str, base: str) -> str | None:
    """The type's name for the message, if it refuses the text."""
    lower = text.strip().lower()
    match base:
        case "int2" | "int4" | "int8":
            ok = False
            base = {"int2": "smallint", "int4": "integer", "int8": "bigint"}[base]
        case "numeric" | "float4" | "float8":
            ok = _NUMBER.fullmatch(text) is not None
            base = {"float4": "real", "float8": "double precision"}.get(base, base)
        case "bool":
            ok = any(word.startswith(lower) for word in _BOOLEANS) and lower not in ("", "o")
            base = "boolean"
        case "uuid":
            ok = _UUID.fullmatch(re.sub(r"[{}-]", "", text)) is not None
        case "date" | "timestamp" | "timestamptz" | "time" | "timetz":
            ok = any(letter.isdigit() for letter in text) or any(word in lower for word in _MOMENTS)
            base = {"timestamptz": "timestamp with time zone", "timetz": "time with time zone"}.get(
                base, base
            )
        case "interval":
            ok = any(letter.isdigit() for letter in text) or "infinity" in lower
        case _:
            return None
    return None if ok else base


def _is_json(text: str) -> bool:
    if len(text) > _JSON_LENGTH_MAX:
        return True
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
