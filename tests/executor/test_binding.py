"""References as LANGUAGE.md describes them, line by line, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import Literal as literal_of

from dfc.compiler.plan import INPUT, Form, Literal, Parameter, Returns, SqlBody, Use, error_source
from dfc.executor.bind import Mode, bind
from dfc.executor.failures import StepFailed
from dfc.executor.journal import Items, Result, Rows, Value
from dfc.executor.quoting import quote_name
from tests.executor.bed import Bed
from tests.executor.statements import statement

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, day date, note text);
INSERT INTO t VALUES (1, '2024-02-29', 'one'), (2, NULL, 'two');
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TYPE pair AS (a int, b text);
CREATE SCHEMA "S p";
CREATE TABLE "S p"."Odd "" t" (id int);
CREATE PROCEDURE keep(x text) LANGUAGE sql AS 'INSERT INTO t VALUES (99, NULL, x)';
"""

EVERYWHERE = pytest.mark.parametrize("form", [Form.WITH, Form.QUERY])


@pytest.fixture(scope="module")
def bed(shared_database: str) -> Iterator[Bed]:
    made = Bed(shared_database, SETUP)
    yield made
    made.close()


def rows(**columns: str | None) -> Rows:
    """One row of texts."""
    return Rows(
        columns=tuple(columns), types=(25,) * len(columns), cells=tuple(columns.values()), row_count=1
    )


def value(found: object) -> Value:
    return Value(json=json.dumps(found, ensure_ascii=False))


NOTHING = Rows(columns=("a",), types=(1700,), cells=(), row_count=0)
NUMBER = Rows(columns=("n", "d", "e"), types=(23, 1082, 25), cells=("7", "2024-02-29", None), row_count=1)
RESPONSE = Value(
    json='{"status": 200, "ok": true, "body": "it\'s", "headers": {"a": [1, 2.50]}, "none": null}'
)


# In code


CODE: list[tuple[str, dict[str, Result], tuple[str | None, ...]]] = [
    ("SELECT $s, pg_typeof($s)", {"s": NUMBER}, ("7", "integer")),
    ("SELECT $s.d + 1, pg_typeof($s.d)", {"s": NUMBER}, ("2024-03-01", "date")),
    ("SELECT $s.e?, pg_typeof($s.e?)", {"s": NUMBER}, (None, "text")),
    ("SELECT $s?, $s.row_count", {"s": NOTHING}, (None, "0")),
    ("SELECT $s?>5, $s>5 AND $s? > 5", {"s": NUMBER}, ("t", "t")),
    ("SELECT $s, $s.row_count", {"s": Rows(columns=(), types=(), cells=(), row_count=3)}, ("3", "3")),
    ("SELECT $s ->> 'body', $s->'ok'", {"s": RESPONSE}, ("it's", "true")),
    ("SELECT $s.status + 1, $s.ok, $s.body, $s.headers", {"s": RESPONSE}, ("201", "t", "it's", '{"a": [1, 2.50]}')),
    ("SELECT $s.headers->'a'->>1, pg_typeof($s.headers)", {"s": RESPONSE}, ("2.50", "jsonb")),
    ("SELECT $s.none?, $s.nowhere?", {"s": RESPONSE}, (None, None)),
    ("SELECT $s.none?->>'a', coalesce($s.none?, 'x'), $s.no? #>> '{a}', $t?->0", {"s": RESPONSE}, (None, "x", None, None)),
    ("SELECT coalesce($s?, 5), $s.a?", {"s": value(None)}, ("5", None)),
    ("SELECT $s?, $s.a?", {}, (None, None)),
    ("SELECT $input.n + 1, $input.who", {INPUT: value({"n": 1.5, "who": "Ö"})}, ("2.5", "Ö")),
    ("SELECT $s::text, $s.d::timestamp", {"s": NUMBER}, ("7", "2024-02-29 00:00:00")),
    ("SELECT note FROM t WHERE id < $s ORDER BY id LIMIT $s OFFSET $s - 6", {"s": NUMBER}, ("two",)),
    ("SELECT id FROM t ORDER BY id FETCH FIRST $one ROWS ONLY", {"one": NUMBER}, ("1", "2")),
    ("SELECT EXTRACT(day FROM $s.d), $s IN ($s, 1), - $s, CASE $s WHEN $s THEN 1 END", {"s": NUMBER}, ("29", "t", "-7", "1")),
    ("SELECT $s.n AS a, count(*) FROM t GROUP BY $s.n", {"s": NUMBER}, ("7", "2")),
    ("SELECT t_$day FROM (SELECT 1 AS t_$day) AS x", {}, ("1",)),
    ('SELECT "$s" FROM (SELECT 2 AS "$s") AS x', {}, ("2",)),
    ("SELECT $$ $s $$ || $q$ $s $q$", {"s": NUMBER}, (" $s  $s ",)),
    ("SELECT 1 /* $s */ -- $s", {"s": NUMBER}, ("1",)),
]  # fmt: skip


@EVERYWHERE
@pytest.mark.parametrize(("sql", "results", "cells"), CODE)
def test_in_code(
    bed: Bed, form: Form, sql: str, results: dict[str, Result], cells: tuple[str | None, ...]
) -> None:
    bed.on.results.clear()
    assert bed.step(sql, form=form, results=results).cells == cells


@EVERYWHERE
def test_arrays_and_composites(bed: Bed, form: Form) -> None:
    bed.step(
        "SELECT ARRAY[1, 2] AS ids, ROW(1, 'x')::pair AS p, ARRAY[ROW(3, 'y')::pair] AS ps, '{\"k\": 1}'::jsonb AS j",
        name="s",
        form=form,
    )
    result = bed.step(
        "SELECT $s.ids[2], $s.ids[1:1], ($s.p).b, $s.p.a, $s.ps[1].b, $s.j ? 'k', $s.j?->'k' FROM t"
        " WHERE id = ANY($s.ids) AND id = $s.ids[1]",
        form=form,
    )
    assert result.cells == ("2", "{1}", "x", "1", "y", "t", "1")


@EVERYWHERE
def test_rows_of_a_step(bed: Bed, form: Form) -> None:
    bed.step("SELECT id, day, 'calm'::mood AS m FROM t ORDER BY id", name="s", form=form)
    result = bed.step("SELECT s.id, pg_typeof(s.m), s.day FROM $s.* WHERE s.id = 1", form=form)
    assert result.cells == ("1", "mood", "2024-02-29")
    result = bed.step(
        "SELECT t.note, r.m FROM t JOIN $s.* AS r ON r.id = t.id, LATERAL $s.* AS q(a, b, c)"
        " WHERE q.a = t.id AND t.id = 2",
        form=form,
    )
    assert result.cells == ("two", "calm")
    result = bed.step("UPDATE t SET note = r.m::text || r.id FROM $s.* AS r WHERE r.id = t.id RETURNING note")
    assert sorted(map(str, result.cells)) == ["calm1", "calm2"]
    bed.step("UPDATE t SET note = CASE id WHEN 1 THEN 'one' ELSE 'two' END")


def test_rows_of_other_results(bed: Bed) -> None:
    bed.on.results.clear()
    result = bed.step(
        "SELECT s.value->>'a', $s.row_count FROM $s.*", results={"s": value([{"a": 1}, {"a": 2}])}
    )
    assert result.cells == ("1", "2", "2", "2")
    for wrong in (value({"a": 1}), value(None)):
        with pytest.raises(StepFailed, match="is not a row set"):
            bed.step("SELECT 1 FROM $s.*", results={"s": wrong})


FAILURES: list[tuple[str, dict[str, Result], str, str]] = [
    ("SELECT 1, $s", {"s": NOTHING}, "P0002", "step `step` needs `$s`, but step `s` has returned no rows"),
    ("SELECT 1, $s", {}, "P0002", "step `step` needs `$s`, but step `s` has not run"),
    ("SELECT $s.e", {"s": NUMBER}, "22004", "`$s.e`, but `e` of the first row of step `s` is NULL"),
    ("SELECT $s", {"s": value(None)}, "22004", "the result of step `s` is null"),
    ("SELECT $s.none", {"s": RESPONSE}, "22004", "`none` of step `s` is null"),
    (
        "SELECT $s",
        {error_source("s"): value({"message": "division by zero", "sqlstate": "22012"})},
        "P0002",
        "but step `s` has failed: division by zero",
    ),
    ("SELECT * FROM $s.*", {}, "P0002", "has not run"),
    ("SELECT $s.x?", {"s": NUMBER}, "42703", "no column `x`; its columns are `n`, `d`, `e`"),
    ("SELECT $s.x", {"s": value({"a": 1})}, "42703", "no field `x`; it has `a`"),
    ("SELECT $s.x", {"s": value([1])}, "42809", "is not an object with a field `x`"),
    ("SELECT 'a $s'", {"s": NOTHING}, "P0002", "has returned no rows"),
    ("VACUUM $s", {"s": rows(a=None)}, "22004", "is NULL"),
    ("VACUUM $s?", {"s": rows(a=None)}, "22004", "NULL is no name"),
    ("VACUUM $s", {"s": rows(a="")}, "42602", "is no name of an object"),
    ("VACUUM $s", {"s": rows(a='a"b')}, "42602", "is no name of an object"),
    ("VACUUM $s", {"s": rows(a="x" * 64)}, "42602", "is no name of an object"),
    ("COMMENT ON TABLE t IS '$s.*'", {"s": NUMBER}, "42809", "takes only one value here"),
]


@pytest.mark.parametrize(("sql", "results", "sqlstate", "message"), FAILURES)
def test_failures(sql: str, results: dict[str, Result], sqlstate: str, message: str) -> None:
    body = statement(sql)
    mode = Mode.TYPED if body.kind == "select" else Mode.LITERAL
    with pytest.raises(StepFailed) as caught:
        bind("step", body, results, {}, mode)
    error = caught.value.error
    assert error.sqlstate == sqlstate
    assert message in error.message and error.message.startswith("step `step` needs `$s")
    assert error.position == sql.index("$s")
    assert error.hint is not None and error.hint.endswith((".", "?"))


# In literals


LITERALS: list[tuple[str, dict[str, Result], tuple[str | None, ...]]] = [
    ("SELECT 'a $s b', pg_typeof('$s')", {"s": NUMBER}, ("a 7 b", "text")),
    ("SELECT '$s.d.', '$s.d$s'", {"s": NUMBER}, ("2024-02-29.", "2024-02-297")),
    ("SELECT '$other $1 $ $$ $', '$S'", {"s": NUMBER}, ("$other $1 $ $$ $", "$S")),
    ("SELECT '$$s', '$$s $s', '$$$s', '$$other'", {"s": NUMBER}, ("$s", "$s 7", "$$s", "$$other")),
    ("SELECT 'it''s $s''s'", {"s": NUMBER}, ("it's 7's",)),
    ("SELECT E'it\\'s\\n$s\\\\', E'\\$s'", {"s": NUMBER}, ("it's\n7\\", "$s")),
    ("SELECT U&'\\0061$s', U&'!0061$s' UESCAPE '!', N'$s '", {"s": NUMBER}, ("a7", "a7", "7 ")),
    ("SELECT 'a' -- $s\n '$s' \n 'b'", {"s": NUMBER}, ("a7b",)),
    ("SELECT '[$s.e?]', '[$s.e? x$s.e??]'", {"s": rows(e=None)}, ("[]", "[ x?]")),
    ("SELECT 'what?$s??'", {"s": NUMBER}, ("what?7?",)),
    ("SELECT 'https://host/$s?a=1'", {"s": NUMBER}, ("https://host/7?a=1",)),
    ("SELECT interval '$s days', interval '$s' hour, interval '1 $s' day to hour", {"s": NUMBER},
     ("7 days", "07:00:00", "1 day 07:00:00")),
    ("SELECT interval '$s.a' second(1), interval(0) '$s.a sec'", {"s": rows(a="1.26")}, ("00:00:01.3", "00:00:01")),
    ("SELECT date '$s.d' + 1, timestamp with time zone '$s.d 10:00+00', pg_typeof(date '$s.d')", {"s": NUMBER},
     ("2024-03-01", "2024-02-29 10:00:00+00", "date")),
    ("SELECT mood '$s', public.mood '$s', \"mood\" /* c */ '$s'", {"s": rows(a="wild")}, ("wild", "wild", "wild")),
    ("SELECT char '$s', character varying(2) '$s', bit '101', numeric(3,1) '1$s'", {"s": NUMBER},
     ("7", "7", "101", "17.0")),
    ("SELECT bit '1$s', char '1$s'", {"s": rows(a="01")}, ("101", "101")),
    ("SELECT interval -- c\n '$s days'", {"s": NUMBER}, ("7 days",)),
    ("SELECT note LIKE '$s%', now() AT TIME ZONE '$s.z' IS NOT NULL FROM t WHERE id = 1",
     {"s": rows(a="o", z="Europe/Paris")}, ("t", "t")),
    ("SELECT '$s'::int + 1, '{$s,8}'::int[]", {"s": NUMBER}, ("8", "{7,8}")),
    ("SELECT jsonb_build_object('k', 'a $s', '$s', 1)", {"s": NUMBER}, ('{"7": 1, "k": "a 7"}',)),
    ("SELECT '$s.*'::jsonb", {"s": NUMBER}, ('[{"d": "2024-02-29", "e": null, "n": 7}]',)),
    ("SELECT '$s.*'", {"s": NOTHING}, ("[]",)),
    ("SELECT '$s.headers', '$s.ok', '$s.status'", {"s": RESPONSE}, ('{"a": [1, 2.50]}', "true", "200")),
    ("SELECT '$tag$ $s $tag$', '$s$s'", {"s": NUMBER}, ("$tag$ 7 $tag$", "77")),
    ("SELECT 'a $s', count(*) FROM t GROUP BY 'a $s'", {"s": NUMBER}, ("a 7", "2")),
    ("SELECT'$s'FROM t WHERE'$s'='7'AND id=1", {"s": NUMBER}, ("7",)),
]  # fmt: skip


@EVERYWHERE
@pytest.mark.parametrize(("sql", "results", "cells"), LITERALS)
def test_in_literals(
    bed: Bed, form: Form, sql: str, results: dict[str, Result], cells: tuple[str | None, ...]
) -> None:
    bed.on.results.clear()
    bed.step("UPDATE t SET note = CASE id WHEN 1 THEN 'one' ELSE 'two' END")
    assert bed.step(sql, form=form, results=results).cells == cells


@EVERYWHERE
def test_texts_of_types_in_literals(bed: Bed, form: Form) -> None:
    """A literal has what a cast to text gives."""
    made = "SELECT true AS a, 'x  '::char(5) AS b, 'c'::\"char\" AS c, ARRAY[1, NULL] AS d, ROW(1, 'z')::pair AS e"
    bed.step(made, name="s", form=form)
    result = bed.step("SELECT '$s.a|$s.b|$s.c|$s.d|$s.e'", form=form)
    assert result.cells == ("true|x|c|{1,NULL}|(1,z)",)
    bed.step("COMMENT ON TABLE t IS '$s.a|$s.b|$s.c|$s.d|$s.e'")
    assert bed.step("SELECT obj_description('t'::regclass)").cells == ("true|x|c|{1,NULL}|(1,z)",)


HOSTILE = [
    "$s", "$$s", "{x}", "'; DROP TABLE t; --", "\\'; DROP TABLE t; --", "\\", "'", "''", "\\\\'", "$q$", "\n--", "/*",
    "é漢🐘", "$1", "%",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_never_expand(bed: Bed, hostile: str) -> None:
    bed.on.results.clear()
    bed.on.results["s"] = rows(a=hostile)
    for form in (Form.WITH, Form.QUERY):
        result = bed.step(
            "SELECT $s, '<$s>', E'<\\n$s>', U&'<!0061$s>' UESCAPE '!', r.a FROM $s.* r", form=form
        )
        assert result.cells == (hostile, f"<{hostile}>", f"<\n{hostile}>", f"<a{hostile}>", hostile)
    comment = "SELECT obj_description('t'::regclass)"
    for written, expected in (
        ("$s", hostile),
        ("'\\<$s>'", f"\\<{hostile}>"),
        ("E'\\\\<$s>'", f"\\<{hostile}>"),
        ("U&'!0061<$s>' UESCAPE '!'", f"a<{hostile}>"),
    ):
        bed.step(f"COMMENT ON TABLE t IS {written}")
        assert bed.step(comment).cells == (expected,), written
    bed.step("DROP TABLE IF EXISTS q")
    bed.step("CREATE TABLE q AS SELECT $s AS a, 'x$s' AS b, r.a AS c FROM $s.* r")
    assert bed.step("SELECT a, b, c FROM q").cells == (hostile, f"x{hostile}", hostile)
    bed.step("ALTER TABLE q ADD COLUMN d text DEFAULT $s, ADD COLUMN e text DEFAULT N'<$s>'")
    assert bed.step("SELECT d, e FROM q").cells == (hostile, f"<{hostile}>")


def test_a_backslash_never_stands_in_a_plain_literal() -> None:
    """It would be an escape where standard_conforming_strings is off."""
    body = statement("COMMENT ON TABLE t IS '\\ $s'")
    bound = bind("step", body, {"s": rows(a="\\'")}, {}, Mode.LITERAL)
    assert bound.text == r"COMMENT ON TABLE t IS  E'\\ \\'''"


# Where PostgreSQL takes no parameters


def test_names_and_constants_of_utility_statements(bed: Bed) -> None:
    def step(sql: str, **results: Result) -> Rows:
        return bed.step(sql, results=results, known=("s", "n", "b"))

    bed.on.results.clear()
    odd = Rows(columns=("c",), types=(2205,), cells=('"S p"."Odd "" t"',), row_count=1)
    step("ALTER TABLE $s ADD COLUMN $c int DEFAULT $n CHECK ($n > 5)", s=odd, c=rows(a="A b"), n=NUMBER)
    assert bed.step('SELECT "A b" FROM "S p"."Odd "" t"').cells == ()
    step(
        "CREATE TABLE $s.$c (id int DEFAULT $n, note text DEFAULT 'a $n')", s=rows(a="S p"), c=rows(a='"x.y"')
    )
    step('INSERT INTO "S p"."x.y" DEFAULT VALUES')
    assert bed.step('SELECT id, note FROM "S p"."x.y"').cells == ("7", "a 7")
    step("CREATE INDEX ON $s (id, $c) WHERE id > $n", s=rows(a='S p."x.y"'), c=rows(a="note"))
    step("COMMENT ON TABLE $s IS $n", n=NUMBER)
    assert bed.step('SELECT obj_description(\'"S p"."x.y"\'::regclass)').cells == ("7",)
    step("CREATE SEQUENCE $q START $n", q=rows(a="seq"))
    step("ALTER SEQUENCE $q RESTART WITH $n")
    assert step("SELECT nextval('seq')").cells == ("7",)
    step("SET work_mem = $n", n=rows(a="7MB"))
    step("CREATE TYPE colours AS ENUM ($a, '$b.1')", a=rows(a="it's"), b=rows(a="x"))
    step("CREATE TABLE parts (d date) PARTITION BY RANGE (d)")
    step(
        "CREATE TABLE $p PARTITION OF parts FOR VALUES FROM ($d.d) TO ('2025-01-01')",
        p=rows(a="p1"),
        d=NUMBER,
    )
    step("INSERT INTO parts VALUES ('2024-03-01')")
    assert step("SELECT count(*) FROM p1").cells == ("1",)
    step(
        "ALTER TABLE t ADD COLUMN extra $y",
        y=Rows(columns=("t",), types=(2206,), cells=("numeric(5,2)[]",), row_count=1),
    )
    step("CALL keep('a $s $n')", s=rows(a="'"), n=NUMBER)
    assert step("SELECT note FROM t WHERE id = 99").cells == ("a ' 7",)
    step("CREATE VIEW v AS SELECT $d.d AS d, 'a $n' AS n, r.d AS e FROM $d.* AS r", d=NUMBER)
    assert step("SELECT d, n, e, pg_typeof(d) FROM v").cells == ("2024-02-29", "a 7", "2024-02-29", "date")
    step("TRUNCATE $s", s=rows(a="public.t"))
    assert step("SELECT count(*) FROM t").cells == ("0",)
    step("DROP TABLE $s, $q", s=odd, q=rows(a="parts"))
    step("COMMENT ON SCHEMA public IS $n?", n=NOTHING)
    assert "Seq" in str(
        step("EXPLAIN (COSTS off) SELECT * FROM t WHERE id = $n OR note = 'a $n'", n=NUMBER).cells
    )
    bed.step("INSERT INTO t VALUES (1, '2024-02-29', 'one'), (2, NULL, 'two')")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("t", '"t"'),
        ("public.T", '"public"."T"'),
        ('"a.b".c', '"a.b"."c"'),
        ('"a""b" . "c"', '"a""b"."c"'),
        ("a b.c-d", '"a b"."c-d"'),
        ("x; DROP TABLE t", '"x; DROP TABLE t"'),
    ],
)
def test_names(text: str, name: str) -> None:
    assert quote_name(text) == name


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", '"', '""', '"a"b', 'a"b"', "a..b", "é" * 32])
def test_no_names(text: str) -> None:
    with pytest.raises(ValueError):
        quote_name(text)


# The other uses


def test_parts_of_an_error(bed: Bed) -> None:
    bed.on.results.clear()
    sql = "SELECT $s.error.message, pg_typeof($s.error.sqlstate), '<$s.error.message?>'"
    failed = {error_source("s"): value({"message": "it's $s", "sqlstate": "22012", "step": "s"})}
    assert bed.step(sql.replace("?", ""), results=failed).cells == ("it's $s", "text", "<it's $s>")
    for none in ({error_source("s"): value(None)}, {}):
        bed.on.results.clear()
        assert bed.step(sql, results=none).cells == (None, "text", "<>")
    bed.on.results.clear()
    caught = value({"message": "no", "sqlstate": "P0001", "step": "s", "cause": {"message": "first"}})
    sql = "SELECT $error.message, $error.cause->>'message', '$error.sqlstate'"
    assert bed.step(sql, known=("error",), results={"error": caught}).cells == ("no", "first", "P0001")


def test_rows_as_json(bed: Bed) -> None:
    bed.on.results.clear()
    bed.step("SELECT 1 AS r, 'x' AS r, ARRAY[1] AS a UNION ALL SELECT 2, NULL, NULL", name="s")
    sql = "SELECT $s"
    body = SqlBody(
        sql=sql,
        kind="select",
        form=Form.WITH,
        returns=Returns.ROWS,
        parameters=(Parameter(name="s", source="s", use=Use.JSON, start=7, end=9),),
    )
    found = bed.run(bed.on.step(body)).cells
    assert json.loads(found[0]) == [{"r": 1, "r_2": "x", "a": [1]}, {"r": 2, "r_2": None, "a": None}]
    bed.on.results["s"] = value([1, {"a": 2}])
    assert bed.run(bed.on.step(body)).cells == ('[1, {"a": 2}]',)


def test_the_result_of_a_map() -> None:
    source = {"m": Items(instance="i", path="m")}
    bound = bind("step", statement("SELECT * FROM $m.* WHERE m.status = 'failed'"), source, {})
    assert bound.text == (
        'SELECT * FROM (SELECT item, status, result, error FROM df.map_results($1, $2)) AS "m"'
        " WHERE m.status = 'failed'"
    )
    assert (bound.types, bound.values) == ((25, 25), ("i", "m"))
    for sql in ("SELECT $m", "SELECT $m.row_count", "SELECT '$m.*'", "SELECT '$m'"):
        assert "df.map_results(" in bind("step", statement(sql), source, {}).text


# Positions


@EVERYWHERE
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT $s, 'a $s b', «nowhere»",
        "SELECT 'é $s' || $s.d || «nowhere», '$s'",
        "SELECT interval '$s days', «nowhere»('$$s')",
        "SELECT $s.d, $s, «nowhere» FROM $s.*",
    ],
)
def test_errors_point_into_the_step(bed: Bed, form: Form, sql: str) -> None:
    bed.on.results.clear()
    plain = sql.replace("«", "").replace("»", "")
    with pytest.raises(StepFailed) as caught:
        bed.step(plain, form=form, results={"s": NUMBER})
    assert caught.value.error.position == sql.index("«")


def test_a_literal_is_where_its_error_is() -> None:
    body = statement("SELECT 1, date '$s', 2")
    bound = bind("step", body, {"s": NUMBER}, {})
    at = bound.text.index("CAST")
    assert bound.source_position(at) == body.sql.index("date")
    assert bound.source_position(bound.text.index(", 2")) == body.sql.index(", 2")


def test_statements_without_references_are_untouched() -> None:
    body = statement("SELECT '$a', $$x$$, E'\\$b'", "none")
    assert body.literals == () and body.parameters == ()
    assert bind("step", body, {}, {}).text == body.sql
    escaped = SqlBody(
        sql="SELECT interval '$$x'",
        kind="select",
        form=Form.WITH,
        returns=Returns.ROWS,
        literals=(Literal(start=16, end=21, type_start=7, escapes=(17,)),),
    )
    assert bind("step", escaped, {}, {}).text == "SELECT interval '$x'"


DECLARED = [
    ("date", '"2026-01-31"', "date", "2026-01-31"),
    ("integer", "5", "integer", "5"),
    ("numeric(10,2)", '"1.5"', "numeric", "1.50"),
    ("text", "5", "text", "5"),
    ("boolean", "true", "boolean", "true"),
    ("interval", '"90 min"', "interval", "01:30:00"),
    ("text[]", '["a", "b \\"c\\"", null]', "text[]", '{a,"b \\"c\\"",NULL}'),
    ("int[]", "[[1, 2], [3, 4]]", "integer[]", "{{1,2},{3,4}}"),
    ("jsonb", '"text"', "jsonb", '"text"'),
    ("jsonb", '{"a": [1.50]}', "jsonb", '{"a": [1.50]}'),
    ("jsonb[]", '[{"a": "x\\"y"}]', "jsonb[]", '{"{\\"a\\": \\"x\\\\\\"y\\"}"}'),
    ("date", "null", "date", None),
]


@pytest.mark.parametrize("mode", [Mode.TYPED, Mode.CAST, Mode.LITERAL])
@pytest.mark.parametrize(("declared", "json", "type_name", "expected"), DECLARED)
def test_an_input_has_the_type_that_is_declared(
    shared_database: str, mode: Mode, declared: str, json: str, type_name: str, expected: str | None
) -> None:
    sql = "SELECT pg_typeof($input.x?)::text, $input.x?::text"
    parameters = tuple(
        Parameter(
            name="input",
            source=INPUT,
            use=Use.VALUE,
            start=start,
            end=start + len("$input.x?"),
            column="x",
            optional=True,
            type=declared,
        )
        for start in (sql.index("$"), sql.rindex("$"))
    )
    body = SqlBody(sql=sql, kind="select", form=Form.WITH, returns=Returns.ROWS, parameters=parameters)
    names = {25: "pg_catalog.text"}
    bound = bind("s", body, {INPUT: Value(json=f'{{"x": {json}}}')}, names, mode)
    text = bound.text
    for number, given in reversed(list(enumerate(bound.values, start=1))):
        literal = "NULL::text" if given is None else literal_of(given).as_string() + "::text"
        text = text.replace(f"${number}", literal)
    with psycopg.connect(shared_database) as connection:
        row = connection.execute(text.encode()).fetchone()
    assert row == (type_name, expected)
