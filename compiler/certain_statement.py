"""Statements against what PostgreSQL has, where anything else may be there, too.

Many statements of a file differ in numbers and in the numbers of names alone: what is in order is remembered
without these. What is refused is looked at each time, so that nothing is ever refused from memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from dfc.compiler.plan_describe import Refused, Statement
from dfc.compiler.plan_statement import Use

if TYPE_CHECKING:
    from dfc.compiler.schema import SchemaDescriber

LOOKED_AT_MAX: Final = 50_000
"""Code points. What is longer is data, and would take longer than to compile it."""
_REMEMBERED_MAX: Final = 4_096
_STRANGE: Final = re.compile(r"\\|--|/\*|\$[^A-Za-z_]|\bby\b", re.IGNORECASE)
"""Where numbers count, or more than a glance is needed to tell what is a literal."""
_NUMBERED: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w.])[0-9]{1,9}(?![\w.])|[A-Za-z_]+[0-9]\w*""", re.IGNORECASE
)
remembered: Final[set[tuple[object, ...]]] = set()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What PostgreSQL refuses. `certain`: whatever there is in the database; otherwise it is likely."""

    refused: Refused
    certain: bool


def refusal(statement: Statement) -> Refusal | None:
    """What PostgreSQL refuses in a statement without knowing what is in the database."""
    if len(statement.body.sql) > LOOKED_AT_MAX:
        return None
    key = _key(statement)
    if key in remembered:
        return None
    # What is likely holds all that is certain.
    answer = _describer(likely=True).describe(statement)
    if isinstance(answer, Refused):
        certain = _describer(likely=False).describe(statement)
        return Refusal(certain, True) if isinstance(certain, Refused) else Refusal(answer, False)
    if len(remembered) >= _REMEMBERED_MAX:
        remembered.clear()
    remembered.add(key)
    return None


def _key(statement: Statement) -> tuple[object, ...]:
    """What the answer depends on."""
    body = statement.body
    rows = [statement.sources.get(each.key) for each in body.parameters if each.use is Use.ROWS]
    sql = body.sql if any(rows) else _shape(body.sql)
    return sql, *[(each.use, each.type, each.identifier) for each in body.parameters], *rows


@cache
def _describer(*, likely: bool) -> SchemaDescriber:
    # Who does not look closely never needs what is loaded here.
    from dfc.compiler.schema import SchemaDescriber
    from dfc.compiler.schema.catalog import open_catalog

    return SchemaDescriber(open_catalog(likely=likely))


def _shape(sql: str) -> str:
    """The statement without what its numbers are."""
    if _STRANGE.search(sql) is not None:
        return sql
    kept = _kept()
    names: dict[str, str] = {}

    def plain(found: re.Match[str]) -> str:
        text = found[0]
        if text[0] in "'\"" or text.lower() in kept or text.lower().startswith("column"):
            return text
        return "0" if text[0].isdigit() else names.setdefault(text, f"~{len(names)}")

    return _NUMBERED.sub(plain, sql)


@cache
def _kept() -> frozenset[str]:
    """Names with numbers that mean something to PostgreSQL."""
    from dfc.compiler.schema.builtins import builtins

    known = builtins()
    return frozenset(name for name in (*known.types, *known.functions) if any(map(str.isdigit, name)))
