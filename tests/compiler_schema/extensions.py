"""Writes compiler/schema/extensions.json: what PostgreSQL's own extensions and vector bring.

Types, functions, operators and casts of each, from the servers that have them; `@name` is a type of the
extension itself, or of one that it requires. `python -m tests.compiler_schema.extensions` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from dfc.compiler.plan_extensions import PLAIN_EXTENSIONS, WITHOUT_TABLES
from tests.compiler_schema.builtins import connected, grouped

FILE = Path(__file__).parents[2] / "compiler" / "schema" / "extensions.json"
SERVERS = {"15": None, "18": ("vector",)}
"""By version, which of a server's extensions are looked at (None: all). Debian's 15 comes with contrib."""
LEFT_OUT = PLAIN_EXTENSIONS | WITHOUT_TABLES

_NAMED: LiteralString = """
    CREATE FUNCTION pg_temp.named(type oid) RETURNS text LANGUAGE sql AS $$
        SELECT CASE WHEN t.typcategory = 'A' AND e.oid IS NOT NULL THEN own.mark || e.typname || '[]'
            ELSE own.mark || t.typname END
        FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid,
            LATERAL (
            SELECT CASE t.typnamespace WHEN 'pg_catalog'::regnamespace THEN '' ELSE '@' END) own (mark)
        WHERE t.oid = type
    $$"""
_MEMBERS: LiteralString = """
    SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = %(name)s
        AND d.classid = """
_TYPES: LiteralString = (
    """
    SELECT t.typname, t.typcategory, t.typispreferred, t.typtype FROM pg_type t
    WHERE t.typrelid = 0 AND t.typcategory <> 'A' AND t.oid IN ("""
    + _MEMBERS
    + "'pg_type'::regclass) ORDER BY 1"
)
_FUNCTIONS: LiteralString = (
    """
    SELECT p.proname, p.prokind, p.proretset, p.pronargdefaults, p.provariadic <> 0,
        pg_temp.named(p.prorettype),
        ARRAY(SELECT pg_temp.named(a.type)
            FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, place) ORDER BY place),
        ARRAY(SELECT p.proargnames[place] || ' ' || pg_temp.named(a.type)
            FROM unnest(p.proallargtypes, p.proargmodes) WITH ORDINALITY AS a (type, mode, place)
            WHERE mode IN ('o', 'b', 't') ORDER BY place)
    FROM pg_proc p
    WHERE 'internal'::regtype <> ALL (p.proargtypes) AND p.prorettype <> 'internal'::regtype AND p.oid IN ("""
    + _MEMBERS
    + "'pg_proc'::regclass) ORDER BY 1, 7"
)
_OPERATORS: LiteralString = (
    """
    SELECT o.oprname, coalesce(pg_temp.named(o.oprleft), ''), pg_temp.named(o.oprright),
        pg_temp.named(o.oprresult)
    FROM pg_operator o WHERE o.oid IN ("""
    + _MEMBERS
    + "'pg_operator'::regclass) ORDER BY 1, 2, 3"
)
_CASTS: LiteralString = (
    """
    SELECT pg_temp.named(c.castsource), pg_temp.named(c.casttarget), c.castcontext
    FROM pg_cast c WHERE c.oid IN ("""
    + _MEMBERS
    + "'pg_cast'::regclass) ORDER BY 1, 2"
)
_RELATIONS: LiteralString = (
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND oid IN ("
    + _MEMBERS
    + "'pg_class'::regclass) ORDER BY 1"
)

_REQUIRES: LiteralString = """
    SELECT v.requires FROM pg_available_extension_versions v
    JOIN pg_extension e ON e.extname = v.name AND e.extversion = v.version
    WHERE v.name = %(name)s AND v.requires IS NOT NULL"""


def brought(connection: psycopg.Connection, name: str) -> dict[str, Any]:
    """What an extension brings."""
    connection.execute(f'CREATE EXTENSION "{name}" CASCADE'.encode())
    asked = {"name": name}
    requires = connection.execute(_REQUIRES, asked).fetchone()
    return {
        "types": {type: rest for type, *rest in connection.execute(_TYPES, asked).fetchall()},
        "functions": grouped(connection.execute(_FUNCTIONS, asked).fetchall()),
        "operators": grouped(connection.execute(_OPERATORS, asked).fetchall()),
        "casts": [list(row) for row in connection.execute(_CASTS, asked).fetchall()],
        "requires": sorted(requires[0]) if requires is not None else [],
        "relations": [relation for (relation,) in connection.execute(_RELATIONS, asked).fetchall()],
    }


def collect() -> dict[str, dict[str, Any]]:
    """What the servers' extensions bring, by their names."""
    found: dict[str, dict[str, Any]] = {}
    for version, wanted in SERVERS.items():
        with connected(version) as connection:
            connection.execute(_NAMED)
            there = connection.execute("SELECT name FROM pg_available_extensions ORDER BY 1").fetchall()
            for name in wanted or [name for (name,) in there if name not in LEFT_OUT]:
                found[name] = brought(connection, name)
                connection.rollback()
                connection.execute(_NAMED)
    return found


def written(found: dict[str, dict[str, Any]]) -> str:
    """JSON with one line for each name in an extension."""
    parts: list[str] = []
    for name, kinds in sorted(found.items()):
        lines: list[str] = []
        for kind, value in kinds.items():
            if isinstance(value, dict):
                inner = ",\n".join(f"  {json.dumps(key)}: {json.dumps(rest)}" for key, rest in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                lines.append(f' "{kind}": {{\n{inner}\n }}' if inner else f' "{kind}": {{}}')
            else:
                lines.append(f' "{kind}": {json.dumps(value)}')
        parts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written(collect()), encoding="utf-8")
