"""The names of columns that are plain from the text are those that PostgreSQL gives them."""

from __future__ import annotations

import psycopg
import pytest

from dfc.compiler.ast import Text
from dfc.compiler.plan_describe import column_keys
from dfc.compiler.sql import analyse
from dfc.compiler.sql.written import written_columns

PLAIN = [
    'SELECT 1 AS a, 2 b, c.oid, c.relname AS "Name" FROM pg_class c',
    "SELECT count(*), max(oid), pg_catalog.lower('A'), coalesce(1, 2), now() FROM pg_class",
    "SELECT 1, 'x', 1 one, now() \"Now\", (1 + 2) three",
    "SELECT DISTINCT ON (relname, oid) relname, oid FROM pg_class",
    "SELECT DISTINCT relname FROM pg_class",
    "SELECT ALL relname FROM pg_class",
    "SELECT 1 AS from, 2 AS order, 3 AS limit, 4 AS returning",
    "SELECT 'a' IS DISTINCT FROM 'b' AS d, 1 AS e FROM pg_class",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY oid::int) AS m, 1 AS n FROM pg_class",
    "SELECT extract(year FROM now()) AS y, substring('abc' FROM 2) AS s",
    "SELECT extract(year FROM now()), substring('abc' FROM 2), overlay('a' PLACING 'b' FROM 1)",
    "SELECT row_number() OVER (PARTITION BY relkind ORDER BY oid) AS n, relname FROM pg_class",
    "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (SELECT 2 AS y) SELECT x, y AS z FROM a, b",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
    "SELECT 1 AS a UNION SELECT 2 AS b ORDER BY 1 LIMIT 1",
    "VALUES (1, 2, f_unknown), (3, 4, 5)",
    "VALUES (1, (2)), (3, 4)",
    "INSERT INTO w VALUES (1) RETURNING id, note AS n",
    "INSERT INTO w SELECT 1 AS id ON CONFLICT DO NOTHING RETURNING w.id",
    'UPDATE w SET id = 1 FROM pg_class c WHERE c.oid = 1 RETURNING w.id AS "from"',
    "WITH d AS (DELETE FROM w RETURNING id) SELECT d.id AS gone FROM d",
    "DELETE FROM w WHERE id = 1 RETURNING note",
    "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a",
    "SELECT 1 AS a /* , 2 AS b */, -- 3 AS c\n 4 AS d",
    "SELECT ARRAY[1, 2] AS a, (SELECT 1 AS inner_one) AS b, CASE WHEN true THEN 1 END AS c",
    "SELECT 1 AS " + "n" * 80,
    'SELECT \'x\' AS "a""b", 1 AS é, 2 AS "É"',
    "SELECT greatest(1, 2), nullif(1, 2), left('a', 1), jsonb_build_object('a', 1)",
]
NOT_PLAIN = [
    "SELECT * FROM w",
    "SELECT w.*, 1 AS a FROM w",
    "SELECT 1 + 1",
    "SELECT id::text FROM w",
    "SELECT CAST(id AS text) FROM w",
    "SELECT trim(note) FROM w",
    "SELECT date '2020-01-01'",
    "SELECT CASE WHEN true THEN id END FROM w",
    "SELECT current_date",
    "SELECT NOT true, NULL, true",
    "SELECT (w).id FROM w",
    "SELECT ARRAY[1]",
    "SELECT EXISTS (SELECT 1)",
    "SELECT (SELECT 1 AS inner_one)",
    "SELECT FROM w",
    "TABLE w",
    "(SELECT 1 AS a)",
    "DELETE FROM w RETURNING *",
    "EXPLAIN SELECT 1 AS a",
    "SHOW work_mem",
    "SELECT id ISNULL FROM w",
    'SELECT 1 AS U&"\\0061"',
]


@pytest.fixture(scope="module")
def table(shared_database: str) -> str:
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE w (id int PRIMARY KEY, note text)")
    return shared_database


def described(url: str, sql: str) -> tuple[str, ...]:
    with psycopg.connect(url) as connection:
        connection.pgconn.prepare(b"", sql.encode())
        result = connection.pgconn.describe_prepared(b"")
        assert not result.error_message, result.error_message
        return tuple((result.fname(at) or b"").decode() for at in range(result.nfields))


@pytest.mark.parametrize("sql", PLAIN)
def test_plain_names_are_those_of_postgresql(sql: str, table: str) -> None:
    found = written_columns(sql, analyse(Text(value=sql)).kind)
    assert found is not None
    if "f_unknown" not in sql:
        assert found == column_keys(described(table, sql))


@pytest.mark.parametrize("sql", NOT_PLAIN)
def test_nothing_is_said_of_others(sql: str, table: str) -> None:
    assert written_columns(sql, analyse(Text(value=sql)).kind) is None
    assert described(table, sql) or "FROM w" in sql


def test_no_text_is_too_odd() -> None:
    for sql in (
        "",
        "SELECT",
        "SELECT ,",
        "WITH",
        "VALUES",
        "VALUES (",
        "INSERT INTO t RETURNING",
        "SELECT DISTINCT ON (",
    ):
        for kind in ("select", "values", "insert"):
            assert written_columns(sql, kind) is None or sql == "VALUES ("
