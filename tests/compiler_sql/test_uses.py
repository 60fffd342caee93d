"""What statements do with their tables, and whether two of them meet."""

from __future__ import annotations

import pytest

from dfc.compiler.ast import Text
from dfc.compiler.beside.reading import relations
from dfc.compiler.sql import analyse
from dfc.compiler.sql.meetings import Access, Meeting, meeting
from dfc.compiler.sql.uses import Use


def uses(sql: str) -> tuple[Use, ...]:
    return analyse(Text(value=sql)).tables.uses


def how(first: str, second: str) -> Meeting | None:
    """The most serious way in which two statements meet in `t`."""
    met = [
        meeting(Access(unit=0, use=one), Access(unit=1, use=other))
        for one in uses(first)
        for other in uses(second)
        if one.table == other.table == "t"
    ]
    assert met
    return max((found for found in met if found is not None), key=lambda found: found.value, default=None)


ORDER, COLUMNS, ADDED = Meeting.ORDER, Meeting.COLUMNS, Meeting.ROWS_ADDED


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("SELECT * FROM t", "SELECT * FROM t", None),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t SELECT 2", ADDED),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t SELECT max(a) FROM t", ORDER),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", ORDER),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", ADDED),
        ("INSERT INTO t VALUES (1)", "TRUNCATE t", ORDER),
        ("INSERT INTO t (k) VALUES ('a')", "SELECT * FROM t WHERE k = 'b'", None),
        ("INSERT INTO t (k) VALUES ('a'), ('b')", "SELECT * FROM t WHERE k = 'b'", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 1", "UPDATE t SET a = 1 WHERE id = 2", None),
        ("UPDATE t SET a = 1 WHERE id = 1", "UPDATE t SET a = 1 WHERE id = 1.0", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 1", "UPDATE t SET a = 1 WHERE id = '01'", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 'x'", "UPDATE t SET a = 1 WHERE id = 'X'", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 't'", "UPDATE t SET a = 1 WHERE id = 'true'", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 1", "UPDATE t SET id = 1 WHERE id = 2", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 1 OR b", "UPDATE t SET a = 1 WHERE id = 2", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 1 AND b", "DELETE FROM t x WHERE (x.id = -1)", None),
        ("UPDATE t SET a = 1 FROM u WHERE id = 1", "UPDATE t SET a = 1 WHERE id = 2", ORDER),
        ("UPDATE t SET a = 1 FROM u WHERE t.id = 1", "UPDATE t SET a = 1 WHERE id = 2", None),
        ("UPDATE t SET a = 1 WHERE id = $x", "UPDATE t SET a = 1 WHERE id = $y", ORDER),
        ("UPDATE t SET a = 1 WHERE id = 1", "UPDATE t SET b = 1 WHERE id = 1", COLUMNS),
        ("UPDATE t SET a = 1 WHERE id = 1", "UPDATE t SET b = a WHERE id = 1", ORDER),
        ("UPDATE t SET a = 1 WHERE b = 1", "UPDATE t SET (b, c) = (1, 2)", ORDER),
        ("UPDATE t SET a = 1", "UPDATE t SET b = (SELECT count(a) FROM t)", ORDER),
        ("UPDATE t SET a = 1", "SELECT b FROM t", None),
        ("UPDATE t SET a = 1", "SELECT count(*) FROM t WHERE b", None),
        ("UPDATE t SET a = 1", "SELECT count(*) FROM t WHERE a", ORDER),
        ("UPDATE t SET a = 1", "SELECT * FROM t", ORDER),
        ("UPDATE t SET a = 1", "SELECT t FROM t", ORDER),
        ("UPDATE t SET a = 1", "SELECT to_jsonb(x) FROM t x", ORDER),
        ("UPDATE t SET a = 1", "SELECT b FROM t JOIN u USING (a)", ORDER),
        ("UPDATE t SET a = 1", "SELECT b FROM t NATURAL JOIN u", ORDER),
        ("UPDATE t SET a[1] = 1", "SELECT a FROM t", ORDER),
        ('UPDATE t SET "A" = 1', "SELECT a FROM t", None),
        ("UPDATE t SET a = 1", "SELECT u.a, t.b FROM t, u", None),
        ("DELETE FROM t WHERE a = 1", "SELECT b FROM t", ORDER),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "SELECT b FROM t", ORDER),
        (
            "WITH d AS (DELETE FROM t RETURNING *) SELECT 1",
            "WITH x AS (SELECT * FROM t) SELECT * FROM x",
            ORDER,
        ),
    ],
)
def test_meetings(first: str, second: str, expected: Meeting | None) -> None:
    assert how(first, second) is expected
    assert how(second, first) is expected


def test_places_are_those_of_the_text() -> None:
    sql = "SELECT $long_reference.column, f($x) FROM $rows.* r, app.tab JOIN ü ON a = $y"
    found = analyse(Text(value=sql)).tables
    assert [sql[use.start : use.end] for use in found.uses] == ["tab", "ü"]
    assert [(call.name, sql[call.start : call.end]) for call in found.calls] == [("f", "f")]


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT lower(a), pg_catalog.upper(b), coalesce(c, now()), random() FROM t", ""),
        ("SELECT app.pay(a), pay(b), app.rows.x FROM app.f(1), g(2) AS g", "app.f app.pay g pay"),
        ("SELECT df.setvar('a', 'b'), nextval('s'), pg_notify('a', 'b')", ""),
        ("SELECT app.lower(a)", "app.lower"),
    ],
)
def test_calls_of_unknown_functions(sql: str, names: str) -> None:
    assert sorted(call.name for call in analyse(Text(value=sql)).tables.calls) == names.split()


def test_a_temporary_table_is_of_its_session() -> None:
    assert [use.table for use in uses("CREATE TEMP TABLE x AS SELECT * FROM t")] == ["t"]


def test_views_are_what_they_read() -> None:
    found = relations(
        (
            "CREATE VIEW a AS SELECT * FROM t",
            "CREATE OR REPLACE VIEW public.b AS SELECT * FROM a, u",
            "CREATE VIEW c AS SELECT * FROM c",
            "CREATE VIEW broken AS SELECT FROM FROM",
            "CREATE TABLE t (n int PRIMARY KEY)",
            "CREATE TABLE u (n int)",
            "CREATE TABLE w (n int)",
            "CREATE UNIQUE INDEX ON w (n)",
        )
    )
    [use] = uses("SELECT * FROM public.b WHERE n = 1")
    assert [one.table for one in found.behind(use)] == ["b", "a", "u", "t"]
    assert [one.rows for one in found.behind(use)][1:] == [(), (), ()]
    [itself] = uses("SELECT * FROM c")
    assert [one.table for one in found.behind(itself)] == ["c"]
    assert found.keyless == {"u"}
