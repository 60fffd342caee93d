"""Tables read and written."""

from __future__ import annotations

import pytest

from dfc.compiler.ast import Text
from dfc.compiler.sql import analyse, tables


@pytest.mark.parametrize(
    ("sql", "reads", "writes"),
    [
        ("SELECT 1", "", ""),
        ("SELECT * FROM t, Other.T AS x", "t other.t", ""),
        ("TABLE t", "t", ""),
        ('SELECT * FROM "T", "t", "a b"."c.d"', '"T" t "a␣b"."c.d"', ""),
        ("SELECT (SELECT max(a) FROM u) FROM t WHERE EXISTS (TABLE w)", "t u w", ""),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", "t", ""),
        ("WITH RECURSIVE t AS (SELECT 1 UNION SELECT * FROM t) SELECT * FROM t", "", ""),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b, public.a", "public.a", ""),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM b", "b", ""),
        ('WITH "A" AS (SELECT 1) SELECT * FROM a, "A"', "a", ""),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a", "a", ""),
        ("INSERT INTO f (a) SELECT a FROM s", "s", "f"),
        ("INSERT INTO f SELECT * FROM f", "f", "f"),
        ("INSERT INTO a.f VALUES ((SELECT 1 FROM q)) ON CONFLICT DO NOTHING RETURNING *", "q", "a.f"),
        ("UPDATE t SET a = (SELECT 1 FROM u) FROM w WHERE t.id = w.id", "u w", "t"),
        ("DELETE FROM staging s USING staging t WHERE s.id = t.id", "staging", "staging"),
        ("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", "u", "t"),
        ("WITH d AS (DELETE FROM q RETURNING *) INSERT INTO done SELECT * FROM d", "", "q done"),
        ("CREATE TABLE n AS SELECT * FROM t", "t", "n"),
        ("SELECT a INTO n FROM t", "t", "n"),
        ("CREATE TABLE n (a int)", "", "n"),
        ("TRUNCATE a, b", "", "a b"),
        ("DROP TABLE IF EXISTS a, c.b", "", "a c.b"),
        ("ALTER TABLE a ADD b int", "", "a"),
        ("CREATE INDEX i ON t (a)", "", "t"),
        ("SELECT * FROM $rows.*, $other.* x, t WHERE a = $v", "t", ""),
        ("SELECT * FROM generate_series(1, 2) g, f(3)", "", ""),
    ],
)
def test_tables(sql: str, reads: str, writes: str) -> None:
    found = analyse(Text(value=sql))
    assert found.problems == ()
    assert found.tables.analysed
    assert found.reads == {name.replace("␣", " ") for name in reads.split()}
    assert found.writes == {name.replace("␣", " ") for name in writes.split()}


@pytest.mark.parametrize(
    "sql",
    [
        "VACUUM t",
        "DO 'BEGIN END'",
        "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
        "SELECT " + "NOT " * 3_000 + "true",
        "SELECT a" + "[1]" * 5_000,
        "SELECT * FROM FROM",
    ],
)
def test_not_analysed(sql: str) -> None:
    found = analyse(Text(value=sql))
    assert (found.tables.analysed, found.reads, found.writes) == (False, frozenset(), frozenset())


def test_many_common_tables_are_looked_up_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    folded = 0
    real = tables.fold

    def counted(text: str) -> str:
        nonlocal folded
        folded += 1
        return real(text)

    monkeypatch.setattr(tables, "fold", counted)
    count = 300
    queries = ["c0 AS (SELECT a FROM t)", *(f"c{n} AS (SELECT a FROM c{n - 1})" for n in range(1, count))]
    found = analyse(Text(value=f"WITH {', '.join(queries)} SELECT * FROM c{count - 1}"))
    assert found.reads == {"t"}
    assert folded < 5 * count
