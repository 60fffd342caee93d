"""The words of PostgreSQL's commands, by what they are good for in telling which command it is."""

from __future__ import annotations

SET_OPERATIONS = frozenset({"union", "intersect", "except"})
CLAUSES = frozenset(
    {"from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "into"}
)
DECORATIONS = frozenset(
    {
        "or",
        "replace",
        "temp",
        "temporary",
        "local",
        "global",
        "unlogged",
        "recursive",
        "unique",
        "constraint",
        "trusted",
        "procedural",
        "default",
    }
)
OBJECTS = frozenset(
    {
        "access method",
        "aggregate",
        "cast",
        "collation",
        "conversion",
        "database",
        "domain",
        "event trigger",
        "extension",
        "foreign data wrapper",
        "foreign table",
        "function",
        "group",
        "index",
        "language",
        "large object",
        "materialized view",
        "operator",
        "operator class",
        "operator family",
        "owned",
        "policy",
        "procedure",
        "publication",
        "role",
        "routine",
        "rule",
        "schema",
        "sequence",
        "server",
        "statistics",
        "subscription",
        "system",
        "table",
        "tablespace",
        "text search configuration",
        "text search dictionary",
        "text search parser",
        "text search template",
        "transform",
        "trigger",
        "type",
        "user",
        "user mapping",
        "view",
    }
)
TWO_WORDS = {
    "start": "start transaction",
    "lock": "lock table",
    "truncate": "truncate table",
    "refresh": "refresh materialized view",
    "declare": "declare cursor",
    "close": "close cursor",
    "import": "import foreign schema",
    "reassign": "reassign owned",
    "security": "security label",
    "end": "commit",
    "abort": "rollback",
    "analyse": "analyze",
}
ONE_WORD = frozenset(
    {
        "analyze",
        "begin",
        "call",
        "checkpoint",
        "cluster",
        "comment",
        "commit",
        "copy",
        "deallocate",
        "do",
        "execute",
        "explain",
        "fetch",
        "grant",
        "listen",
        "load",
        "move",
        "notify",
        "reindex",
        "release",
        "reset",
        "revoke",
        "rollback",
        "savepoint",
        "set",
        "show",
        "unlisten",
        "vacuum",
        "discard",
        "prepare",
    }
)
OUTSIDE = frozenset(
    {
        "vacuum",
        "create database",
        "drop database",
        "create tablespace",
        "drop tablespace",
        "alter system",
        "drop subscription",
        "discard all",
    }
)
