"""What is refused, with the code and the exact place in the source."""

from __future__ import annotations

import pytest

from dfc.compiler.ast import Piece, Text
from dfc.compiler.span import Span
from dfc.compiler.sql import STEP_SQL_BYTES_MAX, Analysis, analyse


def _text(value: str, shift: int = 1000) -> Text:
    """A text that stands in a source `shift` code points further on."""
    piece = Piece(value_start=0, length=len(value), source_start=shift, source_end=shift + len(value))
    return Text(value=value, span=Span(shift - 1, shift + len(value) + 1), pieces=(piece,) if value else ())


def _analyse(value: str) -> Analysis:
    return analyse(_text(value))


@pytest.mark.parametrize(
    ("code", "sql"),
    [
        ("DF120", "SELECT a FROM «FROM» t"),
        ("DF120", "SELECT 'é😀', ü FROM «FROM» t"),
        ("DF120", "-- é\n/* ü */ SELECT 'é' -- é\n, /* 😀 */ «FROM» t FROM"),
        ("DF120", "SELECT a FROM t «WHERE» -- é"),
        ("DF120", "SELECT (é, «1» -- end\n;"),
        ("DF120", "INSERT INTO t VALUES (1) «,»"),
        ("DF120", "«hello» world"),
        ("DF120", "«the» workflow $x"),
        ("DF120", "SELECT é, «'abc»"),
        ("DF120", "SELECT é, «$q$ abc»"),
        ("DF120", 'SELECT «"abc»'),
        ("DF120", "SELECT 1 «/*» not closed /* */"),
        ("DF120", "SELECT é, «1x»"),
        ("DF120", 'SELECT é, «""»'),
        ("DF120", r"SELECT 'é', E'ok', «E'\xff'», E'\xff'"),
        ("DF120", "SELECT $long_name_of_a_step.column?, $rows FROM $r.* «FROM» t"),
        ("DF120", "SELECT 1 WHERE $x < $y «<» $z"),
        ("DF120", "SELECT $x é «SELECT» 1"),
        ("DF122", "SELECT 'é;'; «SELECT 2; SELECT 3» ; -- x"),
        ("DF122", "SELECT ';', $$;$$, $x; /* é */ «UPDATE t SET a = $y»"),
        ("DF123", "«»"),
        ("DF123", "« -- only\n /* a /* comment */ */ ; ;»"),
        ("DF124", "/* x */ «BEGIN»;"),
        ("DF124", "«START TRANSACTION READ ONLY»"),
        ("DF124", "«COMMIT AND CHAIN»"),
        ("DF124", "«END»"),
        ("DF124", "«ABORT WORK»"),
        ("DF124", "«ROLLBACK TO SAVEPOINT a»"),
        ("DF124", "«SAVEPOINT a»"),
        ("DF124", "«RELEASE a»"),
        ("DF124", "«PREPARE TRANSACTION 'x'»"),
        ("DF124", "«COMMIT PREPARED 'x'»"),
        ("DF124", "«SET TRANSACTION ISOLATION LEVEL SERIALIZABLE»"),
        ("DF124", "«SET LOCAL TRANSACTION READ ONLY»"),
        ("DF125", "«SET ROLE postgres»"),
        ("DF125", "«set Local /* x */ role 'a'»"),
        ("DF125", "«SET role = a»"),
        ("DF125", '«SET "role" TO a»'),
        ("DF125", "«RESET ROLE»"),
        ("DF125", "«SET SESSION AUTHORIZATION a»"),
        ("DF125", "«SET SESSION SESSION AUTHORIZATION DEFAULT»"),
        ("DF125", "«RESET SESSION AUTHORIZATION»"),
        ("DF125", "«SET session_authorization TO a»"),
        ("DF126", "COPY t FROM «STDIN»"),
        ("DF126", "COPY (SELECT 1) TO «STDOUT» (FORMAT csv)"),
        ("DF126", "COPY t (a, b) FROM «stdout» WHERE a > 1"),
        ("DF127", "«\\d t»"),
        ("DF127", "SELECT 1 «\\gexec»"),
        ("DF127", "«\\copy t from 'x'»"),
        ("DF128", "SELECT 'é', «$1»"),
        ("DF129", "SELECT 'é«\0»'"),
        ("DF129", "SELECT 'é«\ud800»'"),
        ("DF130", "SELECT * FROM «$x»"),
        ("DF130", "SELECT 'é', $long?, «$x.*» FROM t"),
        ("DF131", "SELECT 1, «df.http('x')»"),
        ("DF131", "SELECT «df.http('x')» || 'a'"),
        ("DF131", "SELECT «df.http('x')»::json"),
        ("DF131", "SELECT «df.http('x')» UNION ALL SELECT 'b'"),
        ("DF131", "(SELECT «df.http('x')») UNION ALL (SELECT 'b')"),
        ("DF131", "SELECT a FROM t WHERE «DF . \"http\"('x')» = 'y'"),
        ("DF131", "INSERT INTO t SELECT «df.http('x')»"),
        ("DF131", "SELECT df.http(«df.http('x')»)"),
        ("DF131", "WITH x AS (SELECT «df.http('x')») SELECT * FROM x"),
        ("DF131", "SELECT «df.http('x')» INTO t"),
        ("DF131", "CREATE TABLE t AS SELECT «df.http('x')»"),
        ("DF131", "VALUES («df.http('x')»)"),
        ("DF131", "SELECT * FROM «df.http('x')»"),
        ("DF131", "EXPLAIN SELECT «df.http('x')»"),
        ("DF130", "VACUUM «$x.*»"),
    ],
)
def test_refused(code: str, sql: str) -> None:
    before, _, rest = sql.partition("«")
    marked, _, behind = rest.partition("»")
    value = before + marked + behind
    problem = _analyse(value).problems[0]
    assert problem.code == code, problem
    assert problem.message
    if value:
        start = 1000 + len(before)
        assert (problem.span.start, problem.span.end) == (start, start + len(marked)), problem


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        ";;SELECT 1;;",
        "PREPARE transaction AS SELECT 1",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET transaction_isolation = 'serializable'",
        "SET work_mem = '1MB'",
        "ALTER ROLE a SET role = 'b'",
        "DO $$ BEGIN COMMIT; END $$",
        "SELECT set_config('role', 'a', true)",
        "COPY t FROM '/stdin'",
        "COPY stdin TO '/x'",
        "SELECT stdin FROM stdout",
        "SELECT 'a\\b', E'\\\\', \"\\\", '/* $1 \\d ; --'",
        "SELECT 'it''s' -- it's\n '; more' -- ; \\x\n ' of it'",
        "SELECT E'a\\'' -- b'\n 'c\\''",
        "SELECT df.http FROM df",
        "GRANT EXECUTE ON FUNCTION df.http(text) TO a",
        "COMMENT ON FUNCTION df.http(text) IS 'x'",
        'SELECT \'df.http(1)\', "df.http"(1), x.http(1), df."HTTP"(2)',
        "SELECT U&'d\\0061t' /* c */ UESCAPE '!'",
        "SELECT 1 + /* c */ - 2, 3 <-- c\n 4",
        'CREATE TABLE "SELECT" ("FROM" int)',
        "SELECT '\x01\x7f\u2028\ufeff'",
        "SELECT a.b.c.d, a.*, (a).b[1].c FROM a",
    ],
)
def test_accepted(sql: str) -> None:
    assert _analyse(sql).problems == ()


def test_several_problems_at_once() -> None:
    codes = [problem.code for problem in _analyse("SELECT $1 FROM FROM $2").problems]
    assert codes == ["DF128", "DF128", "DF120"]


@pytest.mark.parametrize(
    ("sql", "many", "call"),
    [
        ("SELECT df.http('x')", False, "df.http('x')"),
        ("  select Df . HTTP ( 'é', body => (SELECT count(*)::text FROM t) ) AS \"é\" ;", False, None),
        ("SELECT df.http('x' || $y) label FROM t WHERE a ORDER BY b LIMIT 3", True, "df.http('x' || $y)"),
        ("SELECT ALL df.http(url) from t", True, "df.http(url)"),
        ("WITH t AS (SELECT 1 FROM u) SELECT df.http('x')", False, "df.http('x')"),
        ("WITH t AS (SELECT 1 FROM u) SELECT df.http('x') FROM t", True, "df.http('x')"),
        ("(SELECT df.http('x') FROM t)", True, "df.http('x')"),
        ('SELECT "df"."http"(\'x\')', False, None),
        ("SELECT DISTINCT ON (a) df.http('x') FROM t", True, "df.http('x')"),
        ("SELECT df.http('x') WHERE $y = 1", False, "df.http('x')"),
    ],
)
def test_http_steps(sql: str, many: bool, call: str | None) -> None:
    found = _analyse(sql)
    assert found.problems == ()
    assert found.http is not None
    assert found.http.many is many
    written = sql[found.http.span.start - 1000 : found.http.span.end - 1000]
    assert written.endswith(")") and written.lower().replace('"', "").startswith("df")
    assert call is None or written == call


def test_no_http_step() -> None:
    assert _analyse("SELECT http('x')").http is None


def test_statement_and_its_places() -> None:
    found = _analyse("\n -- é\n SELECT 'é', $x ;; -- end")
    assert found.sql == "SELECT 'é', $x"
    [reference] = found.references
    assert found.sql[reference.start : reference.end] == "$x"
    assert found.text.locate(reference.start, reference.end) == Span(1020, 1022)


def test_select_into_keeps_places() -> None:
    value = "-- c\nWITH q AS (SELECT $a AS n) SELECT n, '$l' INTO TEMP TABLE \"T 1\" FROM q WHERE n > $b;"
    found = _analyse(value)
    assert found.sql == (
        "CREATE temp TABLE \"T 1\" AS WITH q AS (SELECT $a AS n) SELECT n, '$l' FROM q WHERE n > $b"
    )
    assert [found.sql[r.start : r.end] for r in found.references] == ["$a", "$l", "$b"]
    assert [found.sql[r.start : r.end] for r in found.literals] == ["'$l'"]
    for reference in found.references:
        span = found.text.locate(reference.start, reference.end)
        assert value[span.start - 1000 : span.end - 1000] == found.sql[reference.start : reference.end]
    assert (found.tables.reads, found.tables.writes) == (frozenset(), {'"T 1"'})


def test_places_through_escapes() -> None:
    # The source is 'SELECT ''a'' FROM FROM', so every quote stands for two characters.
    value = "SELECT 'a' FROM FROM"
    pieces: list[Piece] = []
    source = 1
    for offset, character in enumerate(value):
        width = 2 if character == "'" else 1
        pieces.append(Piece(value_start=offset, length=1, source_start=source, source_end=source + width))
        source += width
    [problem] = analyse(Text(value=value, span=Span(0, source + 1), pieces=tuple(pieces))).problems
    assert problem.span == Span(19, 23)


def test_size() -> None:
    rows = ",".join(["(1, 'é')"] * 10_000)
    assert _analyse(f"INSERT INTO t VALUES {rows}").problems == ()
    assert _analyse(f"SELECT 1 WHERE 1 IN ({','.join(['1'] * 10_000)})").problems == ()
    [problem] = _analyse("SELECT '" + "é" * (STEP_SQL_BYTES_MAX // 2) + "'").problems
    assert (problem.code, "step_sql_bytes_max" in problem.message) == ("DF515", True)
    assert _analyse("SELECT '" + "x" * (STEP_SQL_BYTES_MAX - 9) + "'").problems == ()


def test_depth() -> None:
    assert _analyse("SELECT " + "(" * 9_000 + "1" + ")" * 9_000).problems == ()
    [problem] = _analyse("SELECT " + "(" * 11_000 + "1" + ")" * 11_000).problems
    assert (problem.code, "step_sql_depth_max" in problem.message) == ("DF516", True)
