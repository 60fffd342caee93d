"""Extensions by what they bring."""

from __future__ import annotations

from typing import Final

PLAIN_EXTENSIONS: Final = frozenset({"plpgsql"})
"""Extensions that bring nothing that a statement could name."""
WITHOUT_TABLES: Final = PLAIN_EXTENSIONS | {
    "pgcrypto",
    "uuid-ossp",
    "citext",
    "hstore",
    "ltree",
    "pg_trgm",
    "btree_gin",
    "btree_gist",
    "unaccent",
    "intarray",
    "tablefunc",
    "fuzzystrmatch",
    "cube",
    "earthdistance",
    "vector",
    "isn",
    "seg",
    "dblink",
    "bloom",
}
"""Extensions with functions and types, and without a table or view."""
