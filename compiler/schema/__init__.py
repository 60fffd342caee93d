"""SQL against a schema that is known from DDL alone: `read_schema` and `SchemaDescriber`."""

from __future__ import annotations

from dfc.compiler.schema.catalog import Catalog
from dfc.compiler.schema.describer import SchemaDescriber
from dfc.compiler.schema.reader import Read, SchemaSource, Skipped, read_schema

__all__ = ["Catalog", "Read", "SchemaDescriber", "SchemaSource", "Skipped", "read_schema"]
