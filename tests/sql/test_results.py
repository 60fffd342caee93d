"""How rows become the JSON that people see, next to what PostgreSQL's own to_jsonb writes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.sql.worker import (
    CHECKPOINT,
    Connection,
    activation,
    claim,
    connect,
    refusal,
    register,
    submit,
    value,
)


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("TRUNCATE df.instances, df.checkpoints, df.fences")


RESULT = "SELECT df._result_json(%s, %s::oid[], %s, %s)"


def test_form(session: Connection) -> None:
    def result(columns: list[str], types: list[int], cells: list[str | None], count: int) -> object:
        return value(session, RESULT, columns, types, cells, count)

    assert result(["answer"], [23], ["42"], 1) == '{"rows": [{"answer": 42}], "row_count": 1}'
    assert result([], [], [], 7) == '{"rows": [], "row_count": 7}'
    assert result(["a"], [25], [], 0) == '{"rows": [], "row_count": 0}'
    assert result(["b", "a"], [25, 16], ['x"', "t", None, "f"], 2) == (
        '{"rows": [{"b": "x\\"", "a": true}, {"b": null, "a": false}], "row_count": 2}'
    )
    assert result(["a", "a", "a_2", "a"], [25] * 4, ["1", "2", "3", "4"], 1) == (
        '{"rows": [{"a": "1", "a_3": "2", "a_2": "3", "a_4": "4"}], "row_count": 1}'
    )
    assert result(["?column?", "?column?"], [23, 23], ["1", "2"], 1) == (
        '{"rows": [{"?column?": 1, "?column?_2": 2}], "row_count": 1}'
    )


SAME_AS_TO_JSONB = [
    "true",
    "1::smallint",
    "1::bigint",
    "1.50::numeric",
    "0.1::float8",
    "-0.5::real",
    "'NaN'::float8",
    "'Infinity'::numeric",
    "'x'::varchar",
    "'a  '::char(3)",
    "'{\"b\": [1, null]}'::jsonb",
    "'[1, 2]'::json",
    "timestamp '2026-02-03 04:05:06.789'",
    "timestamptz '2026-02-03 04:05:06+00'",
    "timestamp '0044-03-15 00:00 BC'",
    "timestamp 'infinity'",
    "date '2026-02-03'",
    "time '01:02'",
    "interval '1 day 2 h'",
    "'\\x00ff'::bytea",
    "gen_random_uuid()",
    "int4range(1, 5)",
    "'10.0.0.1'::inet",
    "ARRAY[1, 2, NULL]",
    "ARRAY[[1, 2], [3, 4]]",
    "'{}'::int[]",
    "ARRAY[true, false]",
    "ARRAY['a,b', 'c\"d\\', NULL, 'NULL', '']",
    "ARRAY['{\"a\": 1}'::jsonb]",
    "ARRAY[timestamp '2026-01-01']",
    "'[0:1]={5,6}'::int[]",
    "ARRAY[ARRAY[ARRAY['x']]]",
    "'a'::name",
    "'a'::\"char\"",
    "ROW(1, 'a b', NULL, '(\"x\\,'',)', '', ARRAY[1, 2], true)::many",
    "ROW(NULL)::one",
    "ARRAY[ROW(1)::one]",
    "'sad'::mood",
    "5::small",
    "ARRAY['sad'::mood]",
    "ROW()::nil",
    "'1 2'::tsvector",
    "'(1,2)'::point",
    "1::oid",
    "1.0::money",
]


def test_values(session: Connection) -> None:
    session.execute("SET TimeZone = 'Europe/Berlin'")
    session.execute("""
        CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN small AS int CHECK (VALUE < 9); CREATE TYPE nil AS ();
        CREATE TYPE one AS (x int);
        CREATE TYPE many AS (a int, b text, c text, d text, e text, f int[], "G h" bool)""")
    try:
        for expression in SAME_AS_TO_JSONB:
            query = (
                f"WITH v AS (SELECT {expression} AS v)"
                " SELECT df._json_value(pg_typeof(v), format('%s', v)), to_jsonb(v)::text FROM v"
            )
            row = session.execute(query.encode()).fetchone()
            assert row is not None and row[0] == row[1], expression
    finally:
        session.execute("DROP TYPE mood, nil, one, many; DROP DOMAIN small")


def test_text_that_is_not_of_its_type_is_a_string(session: Connection) -> None:
    for type_, cell in (
        (23, "1}"),
        (16, "maybe"),
        (3802, "{"),
        (114, '"\x01"'),
        (1007, "{1"),
        (1114, "soon"),
        (2249, "(1,2)"),
        (0, "x"),
        (999999, "x"),
        (1700, "1."),
        (701, "01"),
    ):
        written = value(session, "SELECT df._json_value(%s, %s)", type_, cell)
        assert json.loads(str(written)) == cell
    assert value(session, "SELECT df._json_value(2278, '')") == "null"
    many = ["1", "}", None, "2"]
    assert json.loads(str(value(session, RESULT, ["a", "b"], [23, 23], many, 2)))["rows"][0] == {
        "a": 1,
        "b": "}",
    }


def test_limits(session: Connection) -> None:
    instance = submit(session)
    [(_, token, _)] = claim(session, register(session))
    call = [activation(token, "a"), instance, "a", ["x"], [25]]
    assert refusal(session, CHECKPOINT, *call, ["1"] * 10_001, 10_001, None) == "DF501"
    assert refusal(session, CHECKPOINT, *call, ["x" * (16 * 1024 * 1024)], 1, None) == "DF501"
    finish = '{"status":"completed","shape":"a"}'
    value(session, CHECKPOINT, *call, ["1"] * 10_000, 10_000, finish)
    assert value(session, "SELECT json_array_length(result->'rows') FROM df.instances") == 10_000


def test_a_result_that_is_not_json_does_not_keep_the_instance_from_ending(session: Connection) -> None:
    instance = submit(session)
    [(_, token, _)] = claim(session, register(session))
    deep = "[" * 100_000 + "]" * 100_000
    finish = '{"status":"completed","shape":"a"}'
    value(session, CHECKPOINT, activation(token, "a"), instance, "a", ["x"], [114], [deep], 1, finish)
    assert value(session, "SELECT status FROM df.instances") == "completed"
