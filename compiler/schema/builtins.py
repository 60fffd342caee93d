"""What PostgreSQL has before anybody creates anything: types, casts, functions, operators of `pg_catalog`.

`builtins.json` is written from a server by `python -m tests.compiler_schema.builtins`. Types go by the names
of `pg_type`; an array has the name of its elements with `[]`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

Named = Callable[[str], "str | None"]

RANGES: Final = {
    "int4range": "int4",
    "int8range": "int8",
    "numrange": "numeric",
    "tsrange": "timestamp",
    "tstzrange": "timestamptz",
    "daterange": "date",
}
"""What is in a range."""
MULTIRANGES: Final = {name.replace("range", "multirange"): name for name in RANGES}

_NEWER_NAMES: Final = """
    any_value array_reverse array_sample array_shuffle array_sort bytea casefold crc32 crc32c date_add
    date_subtract erf erfc gamma icu_unicode_version json_agg_strict json_object_agg_strict
    json_object_agg_unique json_object_agg_unique_strict jsonb_agg_strict jsonb_object_agg_strict
    jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_populate_record_valid lgamma random
    random_normal reverse system_user to_bin to_oct to_regtypemod unicode_assigned unicode_version
    uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 xmltext
"""
NEWER: Final = frozenset(_NEWER_NAMES.split())
"""Functions that PostgreSQL 15 does not have: there somebody may have made others of their names."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as its callers see it.

    `kind`: f(unction), p(rocedure), a(ggregate), w(indow). `defaults`: so many of the last arguments can be
    left out. `variadic`: the last one is an array of what is given. `outs`: the columns that it returns,
    where it says. `names`: those of its arguments, where they are known.
    """

    kind: str
    set: bool
    defaults: int
    variadic: bool
    returns: str | None
    arguments: tuple[str | None, ...]
    outs: tuple[tuple[str, str | None], ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Type:
    """A type: its name as `format_type` writes it, its category, and whether that prefers it."""

    shown: str
    category: str
    preferred: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Builtins:
    """All of it. `older`: names of functions that only older servers have."""

    types: dict[str, Type]
    casts: dict[tuple[str, str], str]
    functions: Mapping[str, tuple[Signature, ...]]
    operators: Mapping[str, tuple[Signature, ...]]
    older: frozenset[str]

    def knows(self, function: str) -> bool:
        """Whether some server has a function of this name."""
        return function in self.functions or function in self.older


class _Made(Mapping[str, tuple[Signature, ...]]):
    """Signatures by name, each made when it is asked for: of thousands a file needs a few."""

    def __init__(self, written: dict[str, list[list[Any]]], make: Callable[[list[Any]], Signature]) -> None:
        self._written = written
        self._make = make
        self._made: dict[str, tuple[Signature, ...]] = {}

    def __getitem__(self, name: str) -> tuple[Signature, ...]:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = tuple([self._make(each) for each in self._written[name]])
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._written

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)


@cache
def builtins() -> Builtins:
    """Read once, when it is asked for."""
    data: dict[str, Any] = json.loads((Path(__file__).parent / "builtins.json").read_text(encoding="utf-8"))
    names = {name: name if entry[4] is None else f"{entry[4]}[]" for name, entry in data["types"].items()}
    types = {
        names[name]: Type(shown, category, preferred, kind)
        for name, (shown, category, preferred, kind, _) in data["types"].items()
    }
    functions = _Made(data["functions"], lambda entry: function_of(entry, lambda type: names.get(type, type)))
    operators = _Made(data["operators"], lambda entry: operator_of(entry, lambda type: names.get(type, type)))
    casts = {(names.get(a, a), names.get(b, b)): context for a, b, context in data["casts"]}
    return Builtins(types, casts, functions, operators, frozenset(data["older"]))


def function_of(entry: Sequence[Any], named: Named) -> Signature:
    """A function as the files have it. `named` gives the name of a type."""
    kind, returns_set, defaults, variadic, returns, arguments, outs = entry
    columns = [each.rpartition(" ") for each in outs if each]
    return Signature(
        kind,
        returns_set,
        defaults,
        variadic,
        named(returns),
        tuple([named(each) for each in arguments]),
        tuple([(name, named(type)) for name, _, type in columns]),
    )


def operator_of(entry: Sequence[str], named: Named) -> Signature:
    """An operator as the files have it."""
    left, right, returns = entry
    arguments = (named(left), named(right)) if left else (named(right),)
    return Signature("f", False, 0, False, named(returns), arguments)
