"""Literals that a type cannot be read from, for certain. Whatever could be one passes."""

from __future__ import annotations

import json
import re
from typing import Final

from dfc.compiler.moments import moment_fault
from dfc.compiler.plan_names import name_of
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
_UNIT_WORDS: Final = """
    ago at c cent centuries century d day days dec decade decades decs h hour hours hr hrs infinity
    m microsecon mil millennia millennium millisecon mils min mins minute minutes mon mons month
    months ms msec msecond mseconds msecs on qtr quarter quarters s sec second seconds secs timezone
    timezone_h timezone_m us usec usecond useconds usecs w week weeks y year years yr yrs
"""
_UNITS: Final = frozenset(_UNIT_WORDS.split())
"""The words of an interval, as far as PostgreSQL reads them: ten letters."""
_UNIT_LETTERS_MAX: Final = 10
_UNIT: Final = re.compile(r"[A-Za-z_]+")
_OUTSIDE_ISO: Final = re.compile(r"[+-]?P[0-9PYMWDTHS.,:+-]*", re.IGNORECASE)
_NAME: Final = re.compile(
    r"""\s*(?:("(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*)\s*\.\s*)?("(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*)\s*"""
)
_MADE_NAME: Final = re.compile(r"_(?:pkey|key|idx|excl)[0-9]*$")
_RANGES: Final = {"int2": 15, "int4": 31, "int8": 63}
_WITH_DIGITS: Final = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval"})
_DATED: Final = frozenset({"date", "timestamp", "timestamptz"})
_JSON_LENGTH_MAX: Final = 100_000


def fault(text: str, type_name: str, catalog: Catalog) -> tuple[str, str] | None:
    """Message and SQLSTATE for a literal that its type's input function refuses."""
    if type_name == "regclass":
        name = absent_relation(text, catalog)
        return None if name is None else (f'relation "{name}" does not exist', "42P01")
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
    if shown is None and base in _DATED and moment_fault(text) == "is not a time":
        return f'date/time field value out of range: "{text}"', "22008"
    if shown is None:
        return None
    state = "22007" if base in _WITH_DIGITS else "22P02"
    return f'invalid input syntax for type {shown}: "{text}"', state


def absent_relation(text: str, catalog: Catalog) -> str | None:
    """The relation that a literal of type regclass names and that is not there, for certain."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    schema, name = [None if part is None else name_of(part) for part in found.groups()]
    if name is None or name in catalog.indexes or catalog.relation(schema, name) is not None:
        return None
    # Indexes that nobody has given a name are called after their table.
    if _MADE_NAME.search(name) and any(name.startswith(f"{table}_") for _, table in catalog.relations):
        return None
    return name if schema is None else f"{schema}.{name}"


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
            if ok and _OUTSIDE_ISO.fullmatch(lower) is None:
                ok = all(word[:_UNIT_LETTERS_MAX] in _UNITS or word == "e" for word in _UNIT.findall(lower))
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
