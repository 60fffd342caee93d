"""One SQL statement of a step. `analyse` is the only entry; sqlglot and libpg_query stay in here."""

from __future__ import annotations

from dfc.compiler.sql.analysis import STEP_SQL_BYTES_MAX, Analysis, HttpCall, analyse
from dfc.compiler.sql.references import LiteralReference, Reference

__all__ = ["STEP_SQL_BYTES_MAX", "Analysis", "HttpCall", "LiteralReference", "Reference", "analyse"]
