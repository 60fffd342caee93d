"""Writes compiler/schema/builtins.json: what PostgreSQL has before anybody creates anything.

Functions, operators, types and casts of schema pg_catalog, of the newest server (what is resolved) and the
names of older ones too (what is no unknown name). `python -m tests.compiler_schema.builtins` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from tests.postgres import FAST, Server

FILE = Path(__file__).parents[2] / "compiler" / "schema" / "builtins.json"
NEWEST = "18"
OLDER = ("16",)

TYPES: LiteralString = """
    SELECT t.typname, format_type(t.oid, NULL), t.typcategory, t.typispreferred, t.typtype,
        (SELECT e.typname FROM pg_type e WHERE e.typarray = t.oid)
    FROM pg_type t
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typrelid = 0
        AND (t.typelem = 0 OR t.typcategory <> 'A' OR NOT EXISTS (
            SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typrelid <> 0))
    ORDER BY 1"""
CASTS: LiteralString = """
    SELECT s.typname, t.typname, c.castcontext
    FROM pg_cast c JOIN pg_type s ON s.oid = c.castsource JOIN pg_type t ON t.oid = c.casttarget
    ORDER BY 1, 2"""
FUNCTIONS: LiteralString = """
    SELECT p.proname, p.prokind, p.proretset, p.pronargdefaults, p.provariadic <> 0, r.typname,
        ARRAY(SELECT t.typname FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, place)
            JOIN pg_type t ON t.oid = a.type ORDER BY place),
        ARRAY(SELECT p.proargnames[place] || ' ' || t.typname
            FROM unnest(p.proallargtypes, p.proargmodes) WITH ORDINALITY AS a (type, mode, place)
            JOIN pg_type t ON t.oid = a.type WHERE mode IN ('o', 'b', 't') ORDER BY place)
    FROM pg_proc p JOIN pg_type r ON r.oid = p.prorettype
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
    ORDER BY 1, 7"""
OPERATORS: LiteralString = """
    SELECT o.oprname, coalesce(l.typname, ''), r.typname, t.typname
    FROM pg_operator o LEFT JOIN pg_type l ON l.oid = o.oprleft JOIN pg_type r ON r.oid = o.oprright
    JOIN pg_type t ON t.oid = o.oprresult
    WHERE o.oprnamespace = 'pg_catalog'::regnamespace
    ORDER BY 1, 2, 3"""
NAMES: LiteralString = "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"


def grouped(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[list[Any]]]:
    """The rows by their first column, without it."""
    found: dict[str, list[list[Any]]] = {}
    for name, *rest in rows:
        found.setdefault(name, []).append(rest)
    return found


@contextmanager
def connected(version: str) -> Generator[psycopg.Connection]:
    """A connection to a server of this version that is gone afterwards."""
    server = Server(version, FAST)
    server.start()
    try:
        with psycopg.connect(server.url()) as connection:
            yield connection
    finally:
        server.remove()


def collect() -> dict[str, Any]:
    """What the servers have."""
    with connected(NEWEST) as connection:
        found: dict[str, Any] = {
            "types": {name: rest for name, *rest in connection.execute(TYPES).fetchall()},
            "casts": connection.execute(CASTS).fetchall(),
            "functions": grouped(connection.execute(FUNCTIONS).fetchall()),
            "operators": grouped(connection.execute(OPERATORS).fetchall()),
        }
    older: set[str] = set()
    for version in OLDER:
        with connected(version) as connection:
            older |= {name for (name,) in connection.execute(NAMES).fetchall()}
    found["older"] = sorted(older - found["functions"].keys())
    return found


def written(found: dict[str, Any]) -> str:
    """JSON with one line for each name."""
    parts: list[str] = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines = [f"{json.dumps(name)}: {json.dumps(rest)}" for name, rest in value.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            parts.append(f'"{key}": {{\n' + ",\n".join(lines) + "\n}")
        else:
            lines = [json.dumps(each) for each in value]
            parts.append(f'"{key}": [\n' + ",\n".join(lines) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written(collect()), encoding="utf-8")
