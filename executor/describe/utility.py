"""Utility statements: PostgreSQL looks into most of them only when they run."""

from __future__ import annotations

import re
from typing import Final

from dfc.compiler.plan import Form, SqlBody
from dfc.compiler.plan_describe import Refused
from dfc.executor.describe.refusal import UNKNOWN_RELATION, Catalog, names_at, near_relation
from dfc.executor.quoting import quote_part

_TRIED: Final = re.compile(r"(create|alter|drop|comment|grant|revoke|truncate|lock|analyze|cluster)\b")
_IN_A_TRANSACTION: Final = re.compile(r"((create|drop) index|cluster)\b")
"""What can be tried in a transaction, however a step runs it: without CONCURRENTLY."""
_CONCURRENTLY: Final = re.compile(r"(?<=index)(\s+)(concurrently)(?=\s)", re.IGNORECASE)
_NOT_TRIED: Final = re.compile(
    r"(create table as|create materialized view|alter system|grant role|revoke role)\b"
    r"|(create|alter|drop) (database|tablespace|subscription|extension|role|user|group|server|foreign|event)"
)
"""What runs queries, or is about more than the database."""

_RELATIONS: Final = r"(?:table|view|materialized\s+view|foreign\s+table|index|sequence)"
_OPTIONS: Final = r"(?:\s*\([^)]*\)|\s+(?:full|freeze|verbose|analyze|concurrently))*"
_NAMED: Final = re.compile(
    rf"""(?:truncate(?:\s+table)?(?:\s+only)?
    |drop\s+{_RELATIONS}(?:\s+concurrently)?
    |alter\s+{_RELATIONS}(?:\s+only)?
    |(?:vacuum|analyze){_OPTIONS}(?:\s+only)?
    |refresh\s+materialized\s+view(?:\s+concurrently)?
    |create\s+(?:unique\s+)?index(?:\s+concurrently)?(?:\s+if\s+not\s+exists)?(?:\s+[\w$]+)?\s+on(?:\s+only)?
    |lock(?:\s+table)?(?:\s+only)?
    |reindex{_OPTIONS}\s+(?:table|index)(?:\s+concurrently)?
    |cluster{_OPTIONS}
    |copy)\s+(?=[\w"])(?!if\s+exists\b)""",
    re.IGNORECASE | re.VERBOSE,
)

_WORDS: Final = frozenset(
    {"if", "concurrently", "only", "table", "binary", "verbose", "full", "freeze", "analyze", "skip_locked"}
)
"""What is no name in these places: the grammar has more of them than the pattern."""


def is_tried(body: SqlBody) -> bool:
    """Whether a statement can be run in a scratch database to see whether it would be refused."""
    tried = _TRIED.match(body.kind) and not _NOT_TRIED.match(body.kind)
    alone = body.form is Form.AUTOCOMMIT and _IN_A_TRANSACTION.match(body.kind) is None
    return bool(tried) and not alone and not body.parameters


def as_tried(body: SqlBody, text: str) -> str:
    """The statement in a form that a transaction takes, of the same length."""
    if body.form is not Form.AUTOCOMMIT:
        return text
    return _CONCURRENTLY.sub(lambda found: found[1] + " " * len(found[2]), text, count=1)


def is_nowhere(body: SqlBody, catalog: Catalog) -> bool:
    """Whether a utility statement names a relation without a schema that is in none."""
    missing = missing_relation(body, catalog)
    if missing is None or missing.start is None:
        return False
    written = body.sql[missing.start : missing.end]
    return not any(catalog.is_relation(f"{quote_part(schema)}.{written}") for schema in catalog.schemas())


def missing_relation(body: SqlBody, catalog: Catalog, *, by_path: bool = True) -> Refused | None:
    """The first relation that a utility statement names, where it does not exist.

    `by_path`: a name without a schema is looked up, too; not where the step has a search path of its own.
    """
    named = _NAMED.match(body.sql)
    parts = [] if named is None else names_at(body.sql, named.end())
    if (
        not parts
        or not (by_path or len(parts) > 1)
        or body.sql[parts[0][1] : parts[0][2]].lower() in _WORDS
        or any(parameter.start < parts[-1][2] + 1 for parameter in body.parameters)
    ):
        return None
    written = body.sql[parts[0][1] : parts[-1][2]]
    if catalog.is_relation(written):
        return None
    schema = parts[-2][0] if len(parts) > 1 else None
    if catalog.hidden(parts[-1][0], schema) is not None:
        return None
    wrong = parts[-1] if schema is None or schema in catalog.schemas() else parts[-2]
    return Refused(
        message=f'relation "{".".join(name for name, _, _ in parts)}" does not exist',
        sqlstate=UNKNOWN_RELATION,
        start=wrong[1],
        end=wrong[2],
        help=near_relation(wrong[0], schema, catalog) if wrong is parts[-1] else "",
        name=wrong[0],
    )
