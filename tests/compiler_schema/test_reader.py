"""DDL to a catalog: what pg_dump writes is what was made, and what is not understood is noted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from dfc.compiler.plan_describe import Refused
from dfc.compiler.schema import Catalog, SchemaSource, read_schema, types
from dfc.compiler.schema.catalog import Column, Relation
from tests.compiler_schema.conftest import DATABASE
from tests.compiler_schema.support import Oracle, catalog, described
from tests.growth import assert_linear
from tests.postgres import Server, programs


def read(*texts: str) -> Catalog:
    """The catalog of texts that are understood."""
    found = read_schema([SchemaSource(name=f"{number}.sql", text=text) for number, text in enumerate(texts)])
    assert found.skipped == ()
    return found.catalog


def columns(known: Catalog, schema: str, name: str) -> list[str]:
    """Names of columns."""
    found = known.relation(schema, name)
    assert isinstance(found, Relation)
    assert found.columns is not None
    return [column.name for column in found.columns]


def test_a_dump_of_pg_dump_says_the_same(server: Server, oracle: Oracle, known: Catalog) -> None:
    done = subprocess.run(
        [programs("18") / "pg_dump", "--schema-only", server.url(DATABASE)],
        check=True,
        capture_output=True,
        text=True,
    )
    dumped = read(done.stdout)
    assert dumped.relations.keys() == known.relations.keys()
    for key, relation in known.relations.items():
        assert _plain(dumped.relations[key]) == _plain(relation), key
    assert dumped.types == known.types
    assert {name: [each.signature for each in found] for name, found in dumped.functions.items()} == {
        name: [each.signature for each in found] for name, found in known.functions.items()
    }
    assert not dumped.unsure.everything
    assert dumped.search_path == ("public",)


def test_the_catalog_is_that_of_the_server(oracle: Oracle, known: Catalog) -> None:
    expected = oracle.relations()
    assert known.relations.keys() == expected.keys()
    for key, columns in expected.items():
        relation = known.relations[key]
        assert relation.columns is not None
        assert [(each.name, types.shown(each.type, known)) for each in relation.columns] == columns, key


def _plain(relation: Relation) -> list[Column] | None:
    return None if relation.columns is None else [replace(column, written="") for column in relation.columns]


@pytest.mark.parametrize(
    ("ddl", "expected"),
    [
        ("CREATE TABLE t (a int, b text)", ["a", "b"]),
        ("CREATE TABLE IF NOT EXISTS t (a int); CREATE TABLE IF NOT EXISTS t (b int)", ["a"]),
        ('CREATE TABLE "t" ("A b" int, "c""d" text)', ["A b", 'c"d']),
        ("CREATE TABLE p (a int); CREATE TABLE t (b int) INHERITS (p)", ["a", "b"]),
        ("CREATE TABLE p (a int); CREATE TABLE t () INHERITS (p); ALTER TABLE p ADD b int", ["a", "b"]),
        ("CREATE TABLE p (a int); CREATE TABLE t (x int, LIKE p INCLUDING ALL, y int)", ["x", "a", "y"]),
        ("CREATE TYPE r AS (a int, b text); CREATE TABLE t OF r (PRIMARY KEY (a))", ["a", "b"]),
        ("CREATE TABLE t (a int, b int); ALTER TABLE t DROP COLUMN a", ["b"]),
        ("CREATE TABLE t (a int, b int); ALTER TABLE IF EXISTS ONLY t RENAME b TO c", ["a", "c"]),
        ("CREATE TABLE x (a int); ALTER TABLE x RENAME TO t", ["a"]),
        ("CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER TABLE s.t SET SCHEMA public", ["a"]),
        ("CREATE VIEW t AS SELECT 1 AS a, 2 AS b", ["a", "b"]),
        ("CREATE VIEW t (x) AS SELECT 1 AS a, 2 AS b", ["x", "b"]),
        ("CREATE MATERIALIZED VIEW t AS SELECT 1 AS a WITH NO DATA", ["a"]),
        ("CREATE TABLE t AS SELECT 1 AS a", ["a"]),
        ("SELECT 1 AS a INTO t", ["a"]),
        ("CREATE UNLOGGED TABLE t (a int) WITH (fillfactor = 70)", ["a"]),
        ("CREATE FOREIGN TABLE t (a int OPTIONS (x 'y')) SERVER s", ["a"]),
        ("CREATE TABLE public.t (a int); DROP TABLE t; CREATE TABLE t (b int)", ["b"]),
        ("/* ; */ CREATE TABLE t ( -- a; comment\n a int /* another /* nested */ */);", ["a"]),
        ("SET search_path TO public, s; CREATE TABLE t (a int)", ["a"]),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END; CREATE TABLE t (a int)", ["a"]),
        ("CREATE FUNCTION f() RETURNS int AS $_$ a; 'b $_$ LANGUAGE sql; CREATE TABLE t (a int)", ["a"]),
        ("\ufeffCREATE TABLE t (a int);\r\n\\restrict abc\r\n", ["a"]),
        ("\\connect x\nCREATE TABLE t (a int);\nCOPY t (a) FROM stdin;\n';\"\n\\.\nCOMMENT ON TABLE t IS 'x'", ["a"]),
        ("CREATE RULE r AS ON INSERT TO x DO ALSO (SELECT 1; SELECT 2); CREATE TABLE t (a int)", ["a"]),
    ],
)  # fmt: skip
def test_a_table_has_the_columns(ddl: str, expected: list[str]) -> None:
    assert columns(read(ddl), "public", "t") == expected


def test_files_are_read_one_after_the_other() -> None:
    known = read("CREATE SCHEMA a; SET search_path = a; CREATE TABLE t (x int);", "CREATE TABLE t (y int);")
    assert columns(known, "a", "t") == ["x"]
    assert columns(known, "public", "t") == ["y"]


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE (a int)",
        "CREATE TABLE t (a int); CREATE TABL u (b int)",
        "\\i other.sql\nCREATE TABLE t (a int);",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE x (a int)'; END $$",
        "SELECT add_tables()",
        "CREATE TABLE t (a int); 'unterminated",
    ],
)
def test_what_is_not_understood_is_noted_and_nothing_is_unknown_any_more(ddl: str) -> None:
    found = read_schema([SchemaSource(name="x.sql", text=ddl)])
    assert len(found.skipped) == 1
    assert not isinstance(described(found.catalog, "SELECT a FROM anything"), Refused)
    assert not isinstance(described(found.catalog, "SELECT anything(1)"), Refused)


def test_an_extension_may_bring_functions_and_types_and_some_bring_tables() -> None:
    known = read("CREATE EXTENSION postgis; CREATE SCHEMA app; CREATE TABLE app.t (a int, g geometry)")
    for sql in (
        "SELECT * FROM spatial_ref_sys",
        "SELECT st_asgeojson(g), g && g, 'x'::geography FROM app.t",
        "SELECT lenght('x')",
    ):
        assert not isinstance(described(known, sql), Refused), sql
    assert isinstance(described(known, "SELECT * FROM app.tt"), Refused)
    plain = read("CREATE EXTENSION pgcrypto; CREATE TABLE t (a int)")
    assert isinstance(described(plain, "SELECT * FROM tt"), Refused)


TEXTS: Final[tuple[Callable[[int], str], ...]] = (
    lambda n: "CREATE TABLE t (" * n,
    lambda n: "CREATE TABLE t (a int DEFAULT " + "(" * n + "1" + ")" * n + ");",
    lambda n: "/*" * n,
    lambda n: "CREATE VIEW v AS SELECT " + " || ".join(["'a'"] * n) + ";",
    lambda n: "CREATE VIEW v AS " + " UNION ALL ".join(["SELECT 1"] * n) + ";",
    lambda n: ";" * n,
    lambda n: "\\" + "\n\\" * n,
    lambda n: "COPY t FROM stdin;\n" * n,
    lambda n: "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC " + "SELECT 1; " * n,
    lambda n: "\x00\ud800'$$" * n,
    lambda n: "é" * n,
    lambda n: "".join(
        f"CREATE TABLE public.t{number} (\n    id bigint NOT NULL,\n    name text\n);\n"
        f"ALTER TABLE public.t{number} OWNER TO app;\nCOMMENT ON TABLE public.t{number} IS 'x';\n"
        for number in range(n)
    ),
)  # fmt: skip


@pytest.mark.parametrize("text_of", TEXTS, ids=range(len(TEXTS)))
def test_text_is_read_in_linear_time(text_of: Callable[[int], str]) -> None:
    assert_linear(lambda n: read_schema([SchemaSource(name="x.sql", text=text_of(n))]), 2_000)


def test_a_dump_of_two_thousand_tables_is_read() -> None:
    text = "".join(
        f"CREATE TABLE public.t{number} (\n    id bigint NOT NULL,\n    name text,\n    at timestamp with time zone\n);\n"
        for number in range(2_000)
    )
    assert len(read(text).relations) == 2_000


def test_the_schema_of_the_tests_is_understood() -> None:
    assert len(catalog().relations) > 10
