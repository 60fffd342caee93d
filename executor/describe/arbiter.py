"""ON CONFLICT: PostgreSQL looks for the key that it names only when the statement is planned."""

from __future__ import annotations

import re
from typing import Final

from dfc.compiler.plan import SqlBody
from dfc.compiler.plan_describe import Refused
from dfc.compiler.plan_names import name_of
from dfc.executor.describe.refusal import Catalog

_NAME: Final = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_INSERT: Final = re.compile(rf"\s*insert\s+into\s+({_NAME}(?:\s*\.\s*{_NAME})?)\s*", re.IGNORECASE)
_TARGET: Final = re.compile(
    rf"\bon\s+conflict\s*\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*do\s", re.IGNORECASE
)
_PART: Final = re.compile(_NAME)


def missing_arbiter(body: SqlBody, catalog: Catalog) -> Refused | None:
    """What PostgreSQL says of columns behind ON CONFLICT that are no key of the table.

    Only of a plain INSERT with one plain target: of all else nothing is said.
    """
    inserted = _INSERT.match(body.sql) if body.kind == "insert" else None
    targets = list(_TARGET.finditer(body.sql)) if inserted is not None else []
    if inserted is None or len(targets) != 1 or body.sql.lower().count("conflict") != 1:
        return None
    start, end = targets[0].span(1)
    if any(each.start < end and start < each.end for each in body.parameters):
        return None
    columns = frozenset(name_of(part[0]) for part in _PART.finditer(body.sql, start, end))
    keys = catalog.keys(inserted[1])
    if keys is None or any(not plain or columns == key for key, plain in keys):
        return None
    shown = ", ".join(f"`({', '.join(sorted(key))})`" for key, _ in keys)
    first = _PART.match(body.sql, start)
    return Refused(
        message="there is no unique or exclusion constraint matching the ON CONFLICT specification",
        sqlstate="42P10",
        start=start,
        end=end if first is None else first.end(),
        help=f"the keys of the table are {shown}" if keys else "give the table a unique constraint",
    )
