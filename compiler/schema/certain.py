"""Statements against what PostgreSQL has, where anything else may be there, too.

Many statements of a file differ in numbers and in the numbers of names alone: what is in order is remembered
without these. What is refused is looked at each time, so that nothing is ever refused from memory.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from dfc.compiler.plan_describe import Refused, Statement
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_refusals import Problem, problem_of
from dfc.compiler.plan_statement import SqlBody
from dfc.compiler.schema.builtins import builtins
from dfc.compiler.schema.catalog import open_catalog
from dfc.compiler.schema.describer import SchemaDescriber

_REMEMBERED_MAX: Final = 4_096
_STRANGE: Final = re.compile(r"\\|--|/\*|\$[^A-Za-z_]|\bby\b", re.IGNORECASE)
"""Where numbers count, or more than a glance is needed to tell what is a literal."""
_NUMBERED: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w.])[0-9]{1,9}(?![\w.])|[A-Za-z_]+[0-9]\w*""", re.IGNORECASE
)
_in_order: Final[set[tuple[object, ...]]] = set()


def refusal(node: str, body: SqlBody, made: Made) -> Problem | None:
    """What PostgreSQL refuses in a statement, whatever there is in the database."""
    key = (_shape(body.sql), *[(each.use, each.type, each.identifier) for each in body.parameters])
    if key in _in_order:
        return None
    answer = _describer().describe(Statement(node=node, body=body))
    if not isinstance(answer, Refused):
        if len(_in_order) >= _REMEMBERED_MAX:
            _in_order.clear()
        _in_order.add(key)
        return None
    problem = problem_of(node, body.sql, answer, made)
    return None if problem is None or problem.severity != "error" else problem


@cache
def _describer() -> SchemaDescriber:
    return SchemaDescriber(open_catalog())


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
    known = builtins()
    return frozenset(name for name in (*known.types, *known.functions) if any(map(str.isdigit, name)))
