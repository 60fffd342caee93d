"""Statements that are legal and seldom meant, told by their tokens."""

from __future__ import annotations

import pytest

from dfc.compiler.sql.careless import changes_of_all_rows, claims_in_no_order, set_clauses, skips_locked
from dfc.compiler.sql.pure import gives_only_rows
from dfc.compiler.sql.splices import spliced_values
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("DELETE FROM t", "t"),
        ("delete from only app.t as x", "app.t"),
        ('UPDATE "a b" SET c = 1', '"a b"'),
        ("UPDATE t SET a = (SELECT b FROM u WHERE u.id = t.id)", "t"),
        ("UPDATE t SET a = 'where'", "t"),
        ("UPDATE t SET a = 1 -- where", "t"),
        ("UPDATE t SET a = 1 FROM u", "t"),
        ("WITH d AS (DELETE FROM t RETURNING *) UPDATE u SET a = 1", "t u"),
        ("WITH d AS MATERIALIZED (DELETE FROM t RETURNING *) SELECT 1 WHERE true", "t"),
        ("UPDATE t SET a = 1 WHERE true", ""),
        ("UPDATE t SET a = (1) WHERE b", ""),
        ("DELETE FROM t WHERE CURRENT OF c", ""),
        ("WITH d AS (DELETE FROM t WHERE a RETURNING *) SELECT 1", ""),
        ("SELECT * FROM t FOR UPDATE", ""),
        ("SELECT * FROM t FOR NO KEY UPDATE", ""),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", ""),
        ("MERGE INTO t USING u ON a = b WHEN MATCHED THEN DELETE", ""),
        ("MERGE INTO t USING u ON a = b WHEN MATCHED THEN UPDATE SET a = 1", ""),
        ("CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE ON UPDATE SET NULL)", ""),
        ("CREATE TRIGGER x AFTER UPDATE OR DELETE ON t EXECUTE FUNCTION f()", ""),
        ("GRANT UPDATE, DELETE ON t TO r", ""),
        ("SELECT update, delete FROM t", ""),
    ],
)
def test_changes_of_all_rows(sql: str, tables: str) -> None:
    found = changes_of_all_rows(sql)
    assert [change.table for change in found] == ([tables] if '"' in tables else tables.split())
    assert all(sql[change.start : change.end].endswith(change.table) for change in found)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT id FROM q LIMIT 1 FOR UPDATE SKIP LOCKED", ["LIMIT 1"]),
        ("SELECT id FROM q FOR UPDATE SKIP LOCKED LIMIT 1", ["LIMIT 1"]),
        (
            "WITH c AS (SELECT id FROM q FETCH FIRST ROW ONLY FOR UPDATE SKIP LOCKED) SELECT 1",
            ["FETCH FIRST"],
        ),
        ("DELETE FROM q WHERE id IN (SELECT id FROM p LIMIT 5)", ["LIMIT 5"]),
        ("DELETE FROM q WHERE ctid = ANY (ARRAY(SELECT ctid FROM q LIMIT 5))", ["LIMIT 5"]),
        ("UPDATE a.q SET b = 1 WHERE id = (SELECT id FROM a.q WHERE c LIMIT 1)", ["LIMIT 1"]),
        ("UPDATE q SET b = 1 WHERE id = (SELECT id FROM other LIMIT 1)", []),
        ("UPDATE q SET b = 1 WHERE EXISTS (SELECT 1 FROM q LIMIT 1)", []),
        ("DELETE FROM q WHERE id IN (SELECT id FROM q ORDER BY id LIMIT 5)", []),
        ("DELETE FROM q WHERE id IN (SELECT max(id) FROM q GROUP BY a LIMIT 5)", []),
        ("DELETE FROM q WHERE id IN (SELECT id FROM q)", []),
        ("SELECT id FROM q ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED", []),
        ("SELECT id FROM q LIMIT 1 FOR UPDATE", []),
        ("SELECT id FROM q LIMIT ALL FOR UPDATE SKIP LOCKED", []),
        ("SELECT id FROM q LIMIT 10", []),
    ],
)
def test_claims_in_no_order(sql: str, found: list[str]) -> None:
    assert [sql[claim.start : claim.end] for claim in claims_in_no_order(sql)] == found


def test_set_clauses() -> None:
    sql = "WITH a AS (UPDATE t SET b = 1 WHERE c) UPDATE u SET d = (SELECT 1 FROM x), e = 2 FROM a"
    found = [sql[start:end].strip() for start, end in set_clauses(sql)]
    assert found == ["SET b = 1", "SET d = (SELECT 1 FROM x), e = 2"]
    assert set_clauses("UPDATE u SET d = 1") == [(9, 18)]
    assert set_clauses("SELECT setting FROM s") == []
    assert skips_locked("SELECT 1 FROM t FOR UPDATE SKIP  LOCKED") and not skips_locked("SELECT skip, locked")


@pytest.mark.parametrize(
    ("sql", "pure"),
    [
        ("SELECT sum(a), lower(b) FROM t WHERE c IN (1, 2) GROUP BY ROLLUP (b)", True),
        ("SELECT a FROM t JOIN u USING (id) WHERE b = ANY (ARRAY[1]) AND c::numeric(3) > 1", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x, generate_series(1, 2) AS g (n)", True),
        ("VALUES (1)", True),
        ("TABLE t", True),
        ("SELECT pg_catalog.lower('a')", True),
        ("SELECT app.lower('a')", False),
        ("SELECT pay(1)", False),
        ('SELECT "Pay"(1)', False),
        ("SELECT random()", False),
        ("SELECT nextval('s')", False),
        ("SELECT pg_advisory_xact_lock(1)", False),
        ("SELECT a FROM t FOR UPDATE", False),
        ("SELECT a FROM t FOR KEY SHARE", False),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", False),
        ("SELECT 1 / count(*) FROM t", False),
    ],
)
def test_queries_that_give_only_rows(sql: str, pure: bool) -> None:
    assert gives_only_rows(sql, "values" if sql.startswith("VALUES") else "select") == pure


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT * FROM {t} WHERE a = {a} AND b > {b} LIMIT {n}", "a b n"),
        ("INSERT INTO {t} ({c}) VALUES ({a}, {b})", "a b"),
        ("SELECT {c} FROM t ORDER BY {c}", ""),
        ("SELECT f({a})", ""),
        ("SELECT * FROM t WHERE a IN (1, {a}) AND b = '{known}' AND c = '{red}'", "a known"),
        ("SELECT '{sys_label}' WHERE a = {sys_instance_id}", ""),
        ('SELECT \'{"known": 1}\', "{known}" -- {known}', ""),
    ],
)
def test_spliced_values(sql: str, names: str) -> None:
    found = list(spliced_values(sql, {"known"}))
    assert [splice.name for splice in found] == names.split()
    assert all(sql[splice.start : splice.end] == f"{{{splice.name}}}" for splice in found)


@pytest.mark.parametrize(
    "part",
    [
        "SELECT 1 LIMIT 1 UNION ",
        "(SELECT id IN (SELECT ",
        "UPDATE t SET a = (",
        "= (SELECT a FROM t LIMIT 1 ",
        "{a}, ",
        "set a where ",
        "lower(",
    ],
)
def test_time_is_linear(part: str) -> None:
    def look(times: int) -> None:
        sql = "DELETE FROM t WHERE id IN (" + part * times
        changes_of_all_rows(sql)
        claims_in_no_order(sql)
        set_clauses(sql)
        gives_only_rows(sql, "select")
        list(spliced_values(sql, ()))

    assert_linear(look, 5_000)
