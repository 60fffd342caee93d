"""References are judged as PostgreSQL judges a parameter in their place."""

from __future__ import annotations

from typing import LiteralString, cast

import psycopg
import pytest

from dfc.compiler.ast import Text
from dfc.compiler.plan import Use
from dfc.compiler.sql import Analysis, Reference, analyse

_SETUP = """
CREATE TABLE t (id int, a int);
CREATE PROCEDURE p(x int) LANGUAGE plpgsql AS 'BEGIN PERFORM x; END';
CREATE FUNCTION run(q text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE q USING 1; END';
"""

TAKEN = (
    "SELECT $x",
    "SELECT $x + 1, f.a FROM t f WHERE id = $x LIMIT $x OFFSET $x",
    "SELECT id FROM t FETCH FIRST $x ROWS ONLY",
    "SELECT (ARRAY[1, 2])[$x], CASE $x WHEN $x THEN 1 END, $x::text AS label, $x label",
    "SELECT count(*) OVER (ORDER BY id ROWS $x PRECEDING) FROM t TABLESAMPLE bernoulli ($x)",
    "SELECT EXTRACT(year FROM now()) = $x, 1 IN ($x, $x), $x BETWEEN $x AND $x, - $x",
    "VALUES ($x), ($x)",
    "INSERT INTO t VALUES ($x, $x) RETURNING $x",
    "UPDATE t SET a = $x, id = DEFAULT WHERE id = $x",
    "UPDATE t SET (a, id) = ($x, $x)",
    "DELETE FROM t WHERE id = $x",
    "MERGE INTO t USING (SELECT $x AS id) s ON s.id = t.id WHEN MATCHED AND t.id = $x THEN DELETE",
    "WITH c AS (SELECT $x AS id) SELECT * FROM c",
    "CREATE TABLE n AS SELECT $x AS a",
    "SELECT $x AS a INTO n",
    "EXPLAIN SELECT $x",
    "EXPLAIN ANALYZE INSERT INTO t VALUES ($x)",
    "CALL p($x)",
    "DECLARE c CURSOR FOR SELECT $x",
)
"""PostgreSQL takes parameters here."""

REFUSED = (
    "SELECT * FROM $x",
    "SELECT interval $x",
    "SELECT date $x",
    "SELECT int4 $x",
    "SELECT EXTRACT($x FROM now())",
    "SELECT 1 AS $x",
    "SELECT a COLLATE $x FROM t",
    "SELECT 1 IN $x",
    "SELECT '1'::$x",
    "UPDATE t SET $x = 1",
    "INSERT INTO $x VALUES (1)",
    "DELETE FROM t WHERE CURRENT OF $x",
    "SELECT * FROM t FOR UPDATE OF $x",
    "SELECT 1 $x",
    "SELECT json_value('1', '$' RETURNING $x)",
)
"""PostgreSQL takes none here, though libpg_query does in some of them."""

UTILITY = (
    "VACUUM (ANALYZE) $x",
    "SET work_mem = $x",
    "NOTIFY c, $x",
    "COMMENT ON TABLE t IS $x",
    "CREATE TABLE n (a int DEFAULT $x)",
    "ALTER ROLE r PASSWORD $x",
    "CREATE MATERIALIZED VIEW n AS SELECT $x AS a",
    "CREATE VIEW n AS SELECT $x AS a",
    "COPY (SELECT $x) TO '/dev/null'",
    "PREPARE q AS SELECT $x",
    "TRUNCATE $x",
)


def _analyse(sql: str) -> Analysis:
    return analyse(Text(value=sql))


def _codes(sql: str) -> list[str]:
    return [problem.code for problem in _analyse(sql).problems]


@pytest.fixture
def connection(bare_database: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(bare_database, autocommit=True)
    connection.execute(_SETUP)
    return connection


def _execute(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(cast(LiteralString, "SELECT run(%s)"), (sql.replace("$x", "$1"),))


def test_taken(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with connection:
        for sql in TAKEN:
            found = _analyse(sql)
            assert (sql, found.problems) == (sql, ())
            _execute(connection, found.sql)


def test_refused(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with connection:
        for sql in REFUSED:
            assert (sql, _codes(sql)) == (sql, ["DF130"])
            with pytest.raises(psycopg.errors.SyntaxError):
                _execute(connection, sql)


def test_utility(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with connection:
        for sql in UTILITY:
            assert (sql, set(_codes(sql))) == (sql, {"DF190"})
            if not sql.startswith("PREPARE"):  # its `$1` would be its own
                with pytest.raises(psycopg.Error):
                    _execute(connection, sql)


def _one(sql: str) -> Reference:
    found = _analyse(sql)
    assert found.problems == ()
    [reference] = found.references
    return reference


@pytest.mark.parametrize(
    ("written", "column", "use", "optional"),
    [
        ("$x", None, Use.VALUE, False),
        ("$x?", None, Use.VALUE, True),
        ("$x.col", "col", Use.VALUE, False),
        ("$x.col?", "col", Use.VALUE, True),
        ("$x.row_count", None, Use.ROW_COUNT, False),
        ("$größe.spalte_ü", "spalte_ü", Use.VALUE, False),
    ],
)
def test_values(written: str, column: str | None, use: Use, optional: bool) -> None:
    reference = _one(f"/* é */ SELECT 'é', {written}>5 -- $no\n")
    assert (reference.column, reference.use, reference.optional) == (column, use, optional)
    assert reference.name == written[1:].split(".")[0].removesuffix("?")
    assert "SELECT 'é', "[reference.start :] == "" and reference.end - reference.start == len(written)


@pytest.mark.parametrize(
    ("behind", "aliased"),
    [
        ("", False),
        (" x", True),
        (" AS x(a, b)", True),
        (' "where"', True),
        (" set", True),
        (" WHERE true", False),
        (" JOIN t ON true", False),
        (", t", False),
        (" CROSS JOIN t", False),
        (" NATURAL LEFT JOIN t", False),
        (" UNION SELECT 1", False),
        (" ORDER BY 1", False),
        (" FOR UPDATE", False),
        (" /* c */ q", True),
    ],
)
def test_row_sets(behind: str, aliased: bool) -> None:
    reference = _one(f"SELECT 1 FROM $rows.*{behind}")
    assert reference.use is Use.ROWS
    assert reference.aliased is aliased


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM t, LATERAL $r.* q",
        "INSERT INTO t SELECT * FROM $r.* ON CONFLICT DO NOTHING",
        "DELETE FROM t USING $r.* q WHERE q.id = t.id",
        "UPDATE t SET a = r.a FROM $r.*",
        "MERGE INTO t USING $r.* ON r.id = t.id WHEN MATCHED THEN DELETE",
        "SELECT (SELECT count(*) FROM $r?.*)",
        "SELECT * FROM (t JOIN $r.* ON true)",
    ],
)
def test_row_sets_stand_where_tables_do(sql: str) -> None:
    assert _one(sql).use is Use.ROWS


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT $r.*",
        "SELECT count($r.*)",
        "INSERT INTO $r.* VALUES (1)",
        "SELECT 1 FROM ONLY $r.*",
        "TABLE $r.*",
    ],
)
def test_row_sets_elsewhere(sql: str) -> None:
    [problem] = _analyse(sql).problems
    assert problem.code == "DF130"
    assert "is a table" in problem.message


def test_positional_parameters() -> None:
    assert _codes("SELECT $1, $2") == ["DF128", "DF128"]
    assert _codes("SELECT '$1', $$ $1 $$, $q$ $2 $q$ -- $3") == []
    assert _codes("PREPARE x AS SELECT $1") == []
    assert _codes("CREATE FUNCTION f(int) RETURNS int RETURN $1") == []


def test_bodies_are_not_touched() -> None:
    for sql in ("DO 'BEGIN PERFORM $x; END'", "DO $$ BEGIN PERFORM '$x'; END $$"):
        found = _analyse(sql)
        assert (found.problems, found.references, found.literal_references) == ((), (), ())
    found = _analyse("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT $x'")
    assert (found.problems, found.literal_references) == ((), ())
    assert _codes("CREATE FUNCTION f() RETURNS int RETURN $x") == ["DF121"]
    assert _codes("DO $x") == ["DF121"]


def test_literals() -> None:
    found = _analyse("SELECT 'a $x', E'\\'$y', '$$z', $$ $no $$, \"$no\", t_$no, '$1' -- $no")
    assert [reference.name for reference in found.literal_references] == ["x", "y", "z"]
    assert [found.sql[r.start : r.end] for r in found.literal_references] == ["$x", "$y", "$$z"]
    assert found.references == ()


def test_subscripts_and_fields_of_a_reference() -> None:
    assert _codes("SELECT $x[1], ($x).a, $x.b[2:3], $x ? 'key', $x?->'a'") == []
