"""Literals with references in them, taken apart; and values that have to be constants or names. Pure.

Nothing here is ever written without quotes but numbers, and what PostgreSQL has itself quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dfc.compiler.plan import Literal, Parameter
from dfc.executor.quoting import quote_literal, quote_name, quote_part
from dfc.executor.values import IS_NULL, NOT_A_NAME, Asker, Scalar

_BOOL: Final = 16
_BPCHAR: Final = 1042
_TEXTS: Final = frozenset({25, 705, 1043, 1042, 3802})
"""Types whose values may be a name with several parts."""
_REGCLASS: Final = frozenset({24, 2205, 3734, 3769, 4089, 4096, 4191})
"""Types of PostgreSQL's whose text is a name, quoted where that is needed."""
_QUOTED: Final = frozenset({2202, 2203, 2204, 2206})
"""Types whose text is a name that may have arguments (`f(integer)`) or several words (`double precision`)."""
_NUMBERS: Final = frozenset({20, 21, 23, 26, 700, 701, 1700})

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE)
_GAP: Final = r"(?:\s|--[^\n\r]*[\n\r]|/\*(?:[^*]|\*(?!/))*\*/)"
_UESCAPE: Final = re.compile(rf"{_GAP}*uescape{_GAP}*'([^'])'", re.IGNORECASE)
_BITS: Final = {"year": 2, "month": 1, "day": 3, "hour": 10, "minute": 11, "second": 12}
"""The fields of an interval in the order of their size, and the bits that stand for them in a type
modifier.
"""
_FIELD: Final = rf"({'|'.join(_BITS)})\b"
_FIELDS: Final = re.compile(
    rf"{_GAP}*{_FIELD}(?:{_GAP}+to{_GAP}+{_FIELD})?(?:(?<=second){_GAP}*\({_GAP}*([0-9]+){_GAP}*\))?",
    re.IGNORECASE,
)
_FULL_PRECISION: Final = 0xFFFF
_INTERVAL: Final = re.compile(r"interval\b", re.IGNORECASE)
_UNLIMITED: Final = {
    "bit": 'pg_catalog."bit"',
    "char": "pg_catalog.bpchar",
    "character": "pg_catalog.bpchar",
    "nchar": "pg_catalog.bpchar",
    "national char": "pg_catalog.bpchar",
    "national character": "pg_catalog.bpchar",
}
"""Types that have length 1 in a cast, and any length in front of a literal."""


def name(asker: Asker, parameter: Parameter, value: Scalar) -> str:
    """The name that a value is, quoted."""
    if value.text is None:
        hint = f"Let step `{parameter.source}` give a name, or run this step only where there is one."
        asker.fail(parameter, IS_NULL, "NULL is no name", hint)
    if value.oid in _QUOTED:
        return value.text
    try:
        if value.oid in _TEXTS or value.oid in _REGCLASS:
            return quote_name(value.text)
        return quote_part(value.text)
    except ValueError:
        hint = "Give `table` or `schema.table`, each part of at most 63 bytes; `quote_ident` quotes odd ones."
        asker.fail(parameter, NOT_A_NAME, f"{value.text[:80]!r} is no name of an object", hint)


def text_of(value: Scalar) -> str:
    """What a cast to text gives."""
    text = value.text or ""
    if value.oid == _BOOL:
        return {"t": "true", "f": "false"}.get(text, text)
    return text.rstrip(" ") if value.oid == _BPCHAR else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A literal as it is written: `sql[start:end]` with the name of its type and what belongs to it behind.

    Its inside is `sql[first:last]`. `bare`: it is one reference, without quotes. `modifier`: which fields of
    an interval are meant, as PostgreSQL numbers them.
    """

    sql: str
    literal: Literal
    start: int
    end: int
    first: int
    last: int
    prefix: str
    escape: str
    type_name: str
    suffix: str
    bare: bool
    modifier: int | None

    @classmethod
    def of(cls, sql: str, literal: Literal) -> Raw:
        """Read a literal of a statement."""
        quote = sql.find("'", literal.start, literal.end)
        bare = quote == -1
        prefix = "" if bare else sql[literal.start : quote].upper()
        end, suffix = literal.end, ""
        escape = "\\" if prefix in ("E", "U&") else ""
        if prefix == "U&" and (clause := _UESCAPE.match(sql, end)) is not None:
            end, suffix, escape = clause.end(), f" UESCAPE '{clause[1]}'", clause[1]
        type_name = "" if bare or literal.type_start is None else sql[literal.type_start : literal.start]
        modifier = None
        if _INTERVAL.match(type_name) and (fields := _FIELDS.match(sql, end)) is not None:
            modifier = _modifier(fields)
            end = fields.end()
        return cls(
            sql=sql,
            literal=literal,
            start=literal.type_start if type_name and literal.type_start is not None else literal.start,
            end=end,
            first=quote + 1,
            last=literal.end - 1,
            prefix=prefix,
            escape=escape,
            type_name=type_name,
            suffix=suffix,
            bare=bare,
            modifier=modifier,
        )

    def without_references(self) -> str:
        """The literal itself, with `$name` for `$$name`."""
        return self._unescaped(self.literal.start, self.literal.end)

    def part(self, start: int, end: int) -> str:
        """A part of the inside as a literal of its own; empty where there is nothing."""
        text = self._unescaped(start, end)
        prefix = "" if self.prefix == "N" else self.prefix
        return f"{prefix}'{text}'{self.suffix}" if text else ""

    def typed(self, joined: str) -> str:
        """The joined parts, as text or as what the literal was to be."""
        if self.prefix == "N" and not self.type_name:
            return f"({joined})::pg_catalog.bpchar"
        if not self.type_name:
            return f"({joined})"
        if self.modifier is not None:
            # The fields say how the text is read (`interval '1' hour`); those of a cast only cut off.
            return f"pg_catalog.interval_in(pg_catalog.textout({joined}), 0, {self.modifier})"
        return f"CAST(({joined}) AS {_UNLIMITED.get(self.type_name.strip().lower(), self.type_name)})"

    def constant(self, asker: Asker, inside: Sequence[Parameter], values: Sequence[Scalar]) -> str:
        """The literal with the values in it: still a literal."""
        if self.bare:
            return self._alone(values[0])
        texts = [text_of(value) for value in values]
        prefix, escape = self.prefix, self.escape
        # With standard_conforming_strings off a backslash in a plain literal would be an escape.
        if prefix in ("", "N") and any("\\" in text for text in texts):
            prefix, escape = "E", "\\"
        parts: list[str] = []
        done = self.first
        for parameter, text in zip(inside, texts, strict=True):
            raw = self._unescaped(done, parameter.start)
            parts += (raw if prefix == self.prefix else raw.replace("\\", "\\\\"), _inside(text, escape))
            done = parameter.end
        raw = self._unescaped(done, self.last)
        parts.append(raw if prefix == self.prefix else raw.replace("\\", "\\\\"))
        return f"{' ' if prefix != self.prefix else ''}{prefix}'{''.join(parts)}'"

    def _alone(self, value: Scalar) -> str:
        if value.text is None:
            return "NULL"
        number = self.literal.type_start is not None and value.oid in _NUMBERS
        if number and _NUMBER.fullmatch(value.text):
            # A blank, so that no minus sign joins what stands in front.
            return f" {value.text}"
        return quote_literal(text_of(value))

    def _unescaped(self, start: int, end: int) -> str:
        """A run of the literal as written, but one `$` less for each `$$name`."""
        parts: list[str] = []
        for offset in self.literal.escapes:
            if start <= offset < end:
                parts.append(self.sql[start:offset])
                start = offset + 1
        return "".join((*parts, self.sql[start:end]))


def _modifier(fields: re.Match[str]) -> int:
    """The type modifier of an interval with these fields."""
    first = fields[1].lower()
    last = (fields[2] or first).lower()
    order = list(_BITS)
    bits = sum(1 << _BITS[name] for name in order[order.index(first) : order.index(last) + 1])
    return bits << 16 | (_FULL_PRECISION if fields[3] is None else int(fields[3]))


def _inside(text: str, escape: str) -> str:
    quoted = text.replace("'", "''")
    return quoted.replace(escape, escape * 2) if escape else quoted
