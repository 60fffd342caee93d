"""What references give when workflows run: the same value wherever they stand, with its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.e2e.harness import WorkerProcess, connected

Session = psycopg.Connection[tuple[Any, ...]]

ROW = """SELECT true AS b, 3 AS n, ARRAY[1,2] AS a, '{"k": [1]}'::jsonb AS j, 'hi' AS s, NULL::int AS e,
    '2020-01-01 10:00+00'::timestamptz AS t"""
SHOWN = [True, 3, [1, 2], {"k": [1]}, "hi", None, "2020-01-01T10:00:00+00:00", True]


@pytest.fixture(scope="module")
def session(shared_database: str) -> Iterator[Session]:
    with WorkerProcess(shared_database), connected(shared_database) as connection:
        yield connection


def ended(session: Session, workflow: str, *values: object) -> tuple[Any, dict[str, Any] | None]:
    """The result and the error of a workflow, written as an expression."""
    row = session.execute(f"SELECT df.start({workflow})".encode(), values or None).fetchone()
    assert row is not None
    session.execute("SELECT df.await_instance(%s, 60)", [row[0]])
    found = session.execute("SELECT result, error FROM df.instances WHERE id = %s", [row[0]]).fetchone()
    assert found is not None
    return found


def result(session: Session, workflow: str, *values: object) -> Any:
    """The result of a workflow that completes."""
    given, error = ended(session, workflow, *values)
    assert error is None, error
    return given


def lone(name: str) -> str:
    """All columns of ROW, as references that stand alone."""
    parts = [f"'${name}{part}'" for part in (".b", ".n", ".a", ".j", ".s", ".e?", ".t", "")]
    return f"df.join({', '.join(parts)})"


def test_lone_references_keep_their_types(session: Session) -> None:
    assert result(session, f"df.as(%s, 'o') ~> {lone('o')}", ROW) == SHOWN
    assert result(session, f"df.map(%s, {lone('item')})", ROW) == [SHOWN]


def test_a_lone_item(session: Session) -> None:
    query = "'SELECT g AS g, NULL AS y FROM generate_series(1, 3) AS g'"
    assert result(session, f"df.map({query}, '$item')") == [1, 2, 3]
    batches = [[{"g": 1, "y": None}, {"g": 2, "y": None}], [{"g": 3, "y": None}]]
    assert result(session, f"df.map({query}, '$item', batch_size => 2)") == batches
    condition = f"df.map('SELECT g > 1 AS g FROM generate_series(1, 2) AS g', '$item' ?> '{1}' !> '{2}')"
    condition = condition.replace("'1'", "'SELECT 1 AS x'").replace("'2'", "'SELECT 2 AS x'")
    assert [each["rows"] for each in result(session, condition)] == [[{"x": 2}], [{"x": 1}]]


@pytest.mark.parametrize("around", ["%s", "df.atomic(%s)"])
def test_a_batch_under_another_name(session: Session, around: str) -> None:
    query = "'SELECT g AS g FROM generate_series(1, 3) AS g'"
    body = around % """(df.as('$item', 'k') ~> 'SELECT $k? AS k, $k->0->>''g'' AS g, ''<$k>'' AS t')"""
    found = result(session, f"df.map({query}, {body}, batch_size => 2)")
    assert [each["rows"] for each in found] == [
        [{"k": [{"g": 1}, {"g": 2}], "g": "1", "t": '<[{"g": 1}, {"g": 2}]>'}],
        [{"k": [{"g": 3}], "g": "3", "t": '<[{"g": 3}]>'}],
    ]


def test_a_lone_item_that_a_loop_carries(session: Session) -> None:
    """Its place in the loop is recorded after eight rounds, and read in the ninth."""
    body = """'SELECT coalesce($n?, 0) + 1 AS n, $i? AS before' |=> 'n' ~> df.as('$item.d', 'i')"""
    found = result(
        session,
        f"""df.map('SELECT date ''2024-02-29'' AS d', df.loop({body}, 'SELECT $n < 10')
        ~> 'SELECT $i + 1 AS next')""",
    )
    assert found[0]["rows"] == [{"next": "2024-03-01"}]


@pytest.mark.parametrize("around", ["%s", "df.atomic(%s)"])
def test_the_value_of_a_map_beside_its_rows(session: Session, around: str) -> None:
    steps = "('SELECT $m AS m' |=> 'a' ~> 'SELECT count(*) AS n FROM $m.*' |=> 'b' ~> %s)"
    last = "'SELECT $a AS a, $b AS b, $m AS m, (SELECT count(*) FROM $m.*) AS n'"
    query = "'SELECT g AS g FROM generate_series(1, 2) AS g'"
    array = [{"rows": [{"d": n}], "row_count": 1} for n in (2, 4)]
    found = result(
        session, f"df.map({query}, 'SELECT $item.g * 2 AS d') |=> 'm' ~> {around % (steps % last)}"
    )
    assert found["rows"] == [{"a": array, "b": 2, "m": array, "n": 2}]


@pytest.mark.parametrize("alone", [True, False])
def test_a_step_that_has_failed_is_not_one_that_has_not_run(session: Session, alone: bool) -> None:
    after = "'$s'" if alone else "'SELECT $s AS s'"
    _, error = ended(session, f"df.step('s', 'SELECT 1/0 AS x', on_error => 'continue') ~> {after}")
    assert error is not None
    assert error["message"].endswith("needs `$s`, but step `s` has failed: division by zero")
    assert "`$s?`" in error["hint"] and "`$s.error.message`" in error["hint"]


@pytest.mark.parametrize("kept", ["SELECT count(*) AS n FROM kept", "INSERT INTO kept SELECT w.* FROM $w.*"])
def test_rows_of_any_width(session: Session, kept: str) -> None:
    columns = ", ".join(f"{n} AS c{n}" for n in range(600))
    session.execute(f"CREATE TABLE IF NOT EXISTS kept AS SELECT {columns} LIMIT 0".encode())
    found = result(
        session,
        "df.as(%s, 'w') ~> 'SELECT w.c0, w.c599 + 1 AS c FROM $w.*, kept RIGHT JOIN pg_am ON true LIMIT 1'"
        " ~> df.sql(%s)",
        f"SELECT {columns}",
        kept,
    )
    assert found["row_count"] == 1


def test_a_cell_keeps_its_type_when_its_loop_is_taken_over(session: Session) -> None:
    """The place in the loop is read back in the ninth round; a repeated column has a name of its own."""
    first = "SELECT ''no'' AS d, date ''2024-02-29'' AS d, ARRAY[1, 2] AS a"
    step = "'SELECT coalesce($n?, 0) + 1 AS n' |=> 'n'"
    bind = "df.if('SELECT $n = 1', df.as('$x.d_2', 'i') ~> df.as('$x.a', 'k'), 'SELECT 1')"
    found = result(
        session,
        f"""df.step('x', '{first}') ~> df.loop({step} ~> {bind}, 'SELECT $n < 10')
        ~> df.map('$k?', 'SELECT $i? + $item::int AS next')""",
    )
    assert [each["rows"] for each in found] == [[{"next": "2024-03-01"}], [{"next": "2024-03-02"}]]


def test_a_map_over_a_cell_is_over_its_elements(session: Session) -> None:
    query = "'SELECT ARRAY[4, 5] AS a'"
    assert result(session, f"{query} |=> 'x' ~> df.as('$x.a', 'k') ~> df.map('$k', '$item')") == [4, 5]
    nested = f"df.map({query}, df.as('$item.a', 'k') ~> df.map('$k', '$i', name => 'i'))"
    assert result(session, nested) == [[4, 5]]


@pytest.mark.parametrize("value", ["""'{"q": 5}'""", """'{"q": $q}'"""])
def test_the_value_of_a_break_has_fields(session: Session, value: str) -> None:
    loop = f"(@> ('SELECT 5 AS q' |=> 'q' ~> df.break({value}))) |=> 'r'"
    assert result(session, f"{loop} ~> 'SELECT $r.q + 1 AS n'")["rows"] == [{"n": 6}]


@pytest.mark.parametrize("value", ["'3'", "'$q'"])
def test_the_value_of_a_break_is_json(session: Session, value: str) -> None:
    loop = f"(@> ('SELECT 3 AS q' |=> 'q' ~> df.break({value}))) |=> 'r'"
    found = result(session, f"{loop} ~> 'SELECT $r + 1 AS n, pg_typeof($r)::text AS t'")
    assert found["rows"] == [{"n": 4, "t": "numeric"}]


def test_a_name_that_is_known_elsewhere_only_is_text(session: Session) -> None:
    texts = "'SELECT ''it is $item.s'' AS s'"
    found = result(session, f"df.map({texts}, 'SELECT $item.s AS s')")
    assert [each["rows"] for each in found] == [[{"s": "it is $item.s"}]]
    found = result(session, "df.try('SELECT ''$error.message'' AS s', 'SELECT 1')")
    assert found["rows"] == [{"s": "$error.message"}]


def test_one_arm_of_three_commits(session: Session) -> None:
    session.execute("CREATE TABLE IF NOT EXISTS won (who int)")
    for shape in ("%s | %s | %s", "%s | (%s | %s)", "df.race(%s, %s, %s)"):
        arms = tuple(f"'INSERT INTO won VALUES ({number})'" for number in range(3))
        for _ in range(5):
            session.execute("TRUNCATE won")
            result(session, shape % arms)
            assert session.execute("SELECT count(*) FROM won").fetchone() == (1,), shape
