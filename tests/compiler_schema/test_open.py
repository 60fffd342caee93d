"""Statements against a database that nobody has described: what is refused is wrong whatever there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dfc.compiler.plan_describe import Refused
from dfc.compiler.schema.catalog import open_catalog
from tests import corpus
from tests.compiler_schema.mutations import mutants
from tests.compiler_schema.support import FOLDER, Oracle, asked, database, described, statements
from tests.depth import depth
from tests.postgres import Server

BROKEN = (
    # Aggregates, window functions, sets where none may stand
    "SELECT 1 FROM t WHERE [[count]](*) > 1",
    "SELECT 1 FROM t WHERE a > 1 AND [[max]](DISTINCT b) > 2",
    "SELECT 1 FROM t WHERE pg_catalog.[[sum]](a) > 3",
    "SELECT 1 FROM t WHERE [[sum]](1) > 3",
    "SELECT 1 FROM t JOIN u ON [[count]](*) = 1",
    "SELECT 1 FROM t WHERE [[rank]]() OVER () = 1",
    "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE [[count]](*) > 1)",
    "SELECT a FROM t GROUP BY a HAVING [[last]](a) OVER () = 1",
    "SELECT 1 FROM t GROUP BY [[count]](*)",
    "SELECT sum([[count]](*)) FROM t GROUP BY a",
    "SELECT last(DISTINCT [[count]](*)) FROM t",
    "SELECT 1 FROM t WHERE [[generate_series]](1, 3) = 2",
    "SELECT [[row_number]]() FROM t",
    "SELECT [[now]]() OVER () FROM t",
    "SELECT [[now]](*) FROM t",
    "UPDATE t SET a = [[count]](*)",
    "INSERT INTO t (a) VALUES ([[count]](*))",
    "DELETE FROM t RETURNING [[count]](*)",
    "SELECT 1 FROM t LIMIT [[count]](*)",
    # GROUP BY, DISTINCT, ORDER BY, LIMIT
    "SELECT [[a]], count(*) FROM t",
    "SELECT count(*), b + 1 + [[a]] FROM t GROUP BY b + 1",
    "SELECT [[*]], count(*) FROM t",
    "SELECT [[a]] FROM t HAVING count(*) > 1",
    "SELECT count(*) FROM t HAVING [[a]] > 1",
    "SELECT count(*) FROM t ORDER BY [[a]]",
    "SELECT count(*) FILTER (WHERE ok), [[c]] || 'x' FROM t JOIN u ON true",
    "SELECT date_trunc('day', d), [[b]], count(*) FROM t GROUP BY date_trunc('day', d)",
    "SELECT date_trunc('day', d), [[d]], count(*) FROM t GROUP BY 1",
    "SELECT s.a, s.[[b]], count(*) FROM (SELECT a, b FROM t) s GROUP BY s.a",
    "INSERT INTO u (a, id) SELECT [[a]], count(*) FROM t",
    "WITH q AS (SELECT [[a]], count(*) FROM t) SELECT 1 FROM q",
    "SELECT DISTINCT a FROM t ORDER BY [[b]]",
    "SELECT DISTINCT ON ([[a]]) b FROM t ORDER BY b",
    "SELECT a FROM t ORDER BY [[3]]",
    "SELECT a FROM t GROUP BY [[2]]",
    "SELECT a FROM t ORDER BY [['a']]",
    "SELECT a FROM t UNION SELECT b FROM u ORDER BY [[c]]",
    "SELECT a FROM t LIMIT [[n]]",
    "SELECT a FROM t LIMIT [['x']]",
    "SELECT a, rank() OVER [[w]] FROM t",
    "SELECT count(*) FROM t [[FOR]] UPDATE",
    # Counts
    "SELECT a FROM t UNION SELECT [[a]], b FROM t",
    "INSERT INTO t (a, b) VALUES (1, 2, [[3]])",
    "INSERT INTO t (a, [[b]]) VALUES (1)",
    "INSERT INTO t (a, b) SELECT 1, 2, [[3]]",
    "INSERT INTO t (a, [[a]]) VALUES (1, 2)",
    "UPDATE t SET a = 1, [[a]] = 2",
    "UPDATE t SET (a, b) = [[(]]1, 2, 3)",
    "VALUES (1, 2), ([[3]])",
    "SELECT 1 FROM t WHERE a [[IN]] (SELECT id, a FROM u)",
    "SELECT 1 FROM t WHERE a = [[(]]SELECT id, a FROM u)",
    "SELECT 1 FROM t WHERE (a, b) [[=]] (1, 2, 3)",
    "INSERT INTO keyed (id) VALUES (1) [[ON]] CONFLICT DO UPDATE SET n = 1",
    "INSERT INTO t (a, b) VALUES (1, 2), ([[3]])",
    "SELECT ARRAY[1] || [[ARRAY]](SELECT a, b FROM t)",
    "WITH [[q]](a, b) AS (SELECT 1) SELECT a FROM q",
    # Clauses
    "SELECT a FROM t UNION SELECT a FROM u ORDER BY [[a]] + 1",
    "SELECT sum([[rank]]() OVER ()) OVER () FROM t",
    "SELECT count(*) FILTER (WHERE [[count]](*) > 1) FROM t",
    "WITH q AS (DELETE FROM t) SELECT 1 FROM [[q]]",
    "WITH q AS (SELECT 1), [[q]] AS (SELECT 2) SELECT 1",
    "CREATE TABLE new_one (a int, [[a]] text)",
    "CREATE TABLE new_one (a int PRIMARY KEY, b int, [[PRIMARY]] KEY (a, b))",
    # Names
    "SELECT [[a]]",
    "INSERT INTO t (c) VALUES ([[x]])",
    'INSERT INTO t (c) VALUES ([["x"]])',
    "SELECT [[o]].a FROM t",
    "SELECT x.a FROM t x WHERE [[t]].a = 1",
    "SELECT [[b]] FROM (SELECT a FROM t) s",
    "WITH q AS (SELECT a FROM t) SELECT [[b]] FROM q",
    "SELECT v.a FROM (VALUES (1)) v(a) WHERE [[c]] = 1",
    "SELECT a FROM t, [[t]]",
    "SELECT x.a FROM t x JOIN u [[x]] ON true",
    "INSERT INTO keyed (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = [[exclded]].n",
    # Types and literals
    "SELECT [['abc']]::int",
    "SELECT date [['2026-13-45']]",
    "SELECT CAST([['x']] AS uuid), a FROM t",
    "SELECT [['a']]::int[]",
    "SELECT [['{a: 1}']]::jsonb",
    "SELECT interval [['1 dayz']]",
    "SELECT 1 FROM t HAVING count(*) > [['many']]",
    "SELECT 1 + [['a']]",
    "SELECT 1 FROM t WHERE [[1]]",
    "SELECT 1 FROM t WHERE [['never']]",
    "SELECT 1 FROM t WHERE a > 1 AND [[5]]",
    "SELECT CASE WHEN ok THEN [[1]] ELSE 'x'::text END FROM t",
    "SELECT coalesce(now(), [[1]]) FROM t",
    "SELECT 1, 'a'::text UNION SELECT 2, [[3]]",
    "SELECT ARRAY[1, [[true]]]",
    "SELECT ([[1]]::int)[1]",
    "SELECT 1 FROM t WHERE 1 [[=]] ANY (5)",
    "SELECT pg_catalog.[[length]](1, 2, 3)",
)
"""PostgreSQL refuses these, and what stands in the brackets is where."""

LIKELY = (
    "SELECT [[c]], sum(a) FROM t",
    "SELECT t.[[c]], count(*) FROM t",
    "SELECT upper(x.[[c]]), avg(a) FROM t x",
    "SELECT 1 FROM t WHERE [[sum]](a) > 1",
    "SELECT avg([[sum]](a)) FROM t",
    "SELECT a FROM t WHERE [[unnest]](arr) = 1",
    "SELECT [[lag]](a) FROM t",
    "SELECT v.[[c]] FROM (SELECT 1 AS a) v",
    "SELECT 1 FROM t WHERE d [[==]] d",
    "SELECT 1 FROM t WHERE a [[=<]] b",
)
"""PostgreSQL refuses these, too, where nobody has made a function or operator for them."""

UNSURE = (
    "SELECT sum(a), b FROM nowhere WHERE sum(c) > 1",
    "SELECT a == b FROM nowhere",
    "SELECT length(1, 2, 3)",
    "SELECT 1 + ARRAY[1], true::date, 1.5 AND 'x'::text",
    "SELECT nowhere.a, count(*) FROM nowhere",
    "SELECT upper(a), count(*) FROM nowhere",
    "SELECT a, b, count(*) FROM nowhere GROUP BY a",
    "SELECT a::text, b FROM nowhere GROUP BY a::text",
    "SELECT v.b FROM (SELECT 1 AS a) v",
    "SELECT x::nothing, 'y'::thing, z::app.mood FROM nowhere",
    "SELECT DISTINCT a FROM nowhere ORDER BY nowhere.b",
    "SELECT a.b.c, a.b.c.d FROM a.b",
    "SELECT uuidv7() OVER (), coalesce(uuidv7(), 'x'::text)",
)
"""These are wrong in most databases, and right in some."""


def _split(marked: str) -> tuple[str, int, int]:
    start = marked.index("[[")
    sql = marked.replace("[[", "", 1)
    end = sql.index("]]")
    return sql.replace("]]", "", 1), start, end


@pytest.fixture(scope="module")
def made(server: Server) -> Iterator[Oracle]:
    """A database with what people make."""
    ddl = (FOLDER / "open.sql").read_text(encoding="utf-8")
    with database(server, "of_people") as url, asked(url, ddl) as found:
        yield found


VALID = tuple(statements("open_valid.sql"))


def test_what_is_right_somewhere_is_refused_nowhere(made: Oracle) -> None:
    """PostgreSQL takes it beside what people make, and nothing is said by who does not know that."""
    known = open_catalog()
    for sql in VALID:
        verdict = made.says(sql)
        assert verdict.sqlstate == "", (sql, verdict.message)
        assert not isinstance(described(known, sql), Refused), sql


@pytest.mark.parametrize("sql", UNSURE)
def test_of_what_could_be_right_nothing_is_said(sql: str) -> None:
    assert not isinstance(described(open_catalog(), sql), Refused)


def test_what_extensions_have_passes() -> None:
    known = open_catalog(likely=True)
    for sql in statements("open_extensions.sql"):
        assert not isinstance(described(known, sql), Refused), sql


def test_documented_statements_pass() -> None:
    known = open_catalog()
    likely = open_catalog(likely=True)
    for each in corpus.statements():
        assert not isinstance(described(known, each.sql), Refused), each.sql
        assert not isinstance(described(likely, each.sql), Refused), each.sql


def test_statements_of_a_schema_pass_without_it() -> None:
    known = open_catalog()
    for sql in statements():
        assert not isinstance(described(known, sql), Refused), sql


@pytest.mark.parametrize("marked", BROKEN)
def test_what_is_wrong_whatever_there_is_is_refused_at_its_token(marked: str, made: Oracle) -> None:
    sql, start, end = _split(marked)
    answer = described(open_catalog(), sql)
    assert isinstance(answer, Refused), sql
    assert answer.start is not None and answer.end is not None
    assert sql[answer.start : answer.end] == sql[start:end], answer
    assert answer.start == start, answer
    # Of what makes objects PostgreSQL says nothing before it runs it.
    assert (made.says(sql).sqlstate or made.runs(sql)[:5]) == answer.sqlstate


@pytest.mark.parametrize("marked", LIKELY)
def test_what_is_wrong_nearly_everywhere_is_likely(marked: str, made: Oracle) -> None:
    sql, start, _ = _split(marked)
    assert not isinstance(described(open_catalog(), sql), Refused)
    answer = described(open_catalog(likely=True), sql)
    assert isinstance(answer, Refused), sql
    assert answer.start == start, answer
    assert made.says(sql).sqlstate == answer.sqlstate


def test_what_is_refused_postgresql_refuses(made: Oracle) -> None:
    """Of statements with one thing broken, beside what people make."""
    known = open_catalog()
    refused = 0
    for number, valid in enumerate(VALID):
        if re.match(r"copy|create|explain|declare", valid, re.IGNORECASE):
            continue  # of these PostgreSQL says nothing before it runs them
        for sql in mutants(valid, 7_000_000 + number, depth(6)):
            answer = described(known, sql)
            if isinstance(answer, Refused):
                refused += 1
                assert made.says(sql).sqlstate != "", (sql, answer)
    assert refused > 50
