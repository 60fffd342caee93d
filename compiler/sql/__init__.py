"""One SQL statement of a step. `analyse` is the entry; sqlglot and libpg_query stay in here."""

from __future__ import annotations

from dfc.compiler.sql.analysis import Analysis, HttpCall, analyse, illegal, literals_of
from dfc.compiler.sql.forbidden import STEP_SQL_BYTES_MAX
from dfc.compiler.sql.references import Reference, reference_at

__all__ = [
    "STEP_SQL_BYTES_MAX",
    "Analysis",
    "HttpCall",
    "Reference",
    "analyse",
    "illegal",
    "literals_of",
    "reference_at",
]
