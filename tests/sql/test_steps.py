"""What a step's connection calls: the guard, the rows, the statement."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sql.worker import Connection, connect, refusal, value

GUARD = "SELECT df.begin_step('public', 'UTC')"


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


@pytest.mark.parametrize(
    "leftover",
    [
        "CREATE TEMP TABLE t ()",
        "LISTEN x",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "PREPARE p AS SELECT 1",
        "SET ROLE guest",
    ],
)
def test_the_guard_finds(session: Connection, leftover: str) -> None:
    session.execute("DO $$ BEGIN CREATE ROLE guest; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    session.execute("SELECT df.grant_usage('guest')")
    session.execute(GUARD, prepare=True)
    session.execute(leftover.encode())
    assert refusal(session, GUARD) == "DX003"


def test_the_guard_resets(session: Connection) -> None:
    session.execute("SET work_mem = '1MB'; SET search_path = nowhere; SET my.secret = 'x'")
    session.execute("SELECT pg_advisory_lock(1)")
    with session.transaction():
        session.execute("SELECT df.begin_step('a, \"B\"', 'Asia/Tokyo')")
        assert value(session, "SELECT current_setting('search_path')") == 'a, "B"'
        assert value(session, "SELECT current_setting('TimeZone')") == "Asia/Tokyo"
        assert value(session, "SELECT current_setting('work_mem')") == "4MB"
        assert value(session, "SELECT current_setting('my.secret', true)") in (None, "")
        assert value(session, "SELECT current_setting('df.in_workflow')") == "true"
    assert value(session, "SELECT current_setting('search_path')") == '"$user", public'
    assert value(session, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert value(session, "SELECT coalesce(current_setting('df.in_workflow', true), '')") == ""


def test_rows(session: Connection) -> None:
    rows = session.execute(
        "SELECT * FROM df._rows('SELECT $1::int + g, $2::text FROM generate_series(1, 2) g', '40', NULL)"
        " AS r(a int, b text)"
    ).fetchall()
    assert rows == [(41, None), (42, None)]
    wide = [str(n) for n in range(100)]
    query = "SELECT " + " + ".join(f"${n}::int" for n in range(1, 101))
    assert value(session, "SELECT * FROM df._rows(%s, VARIADIC %s::text[]) AS r(a int)", query, wide) == 4950
    assert value(session, "SELECT df._execute(%s, VARIADIC %s::text[])", query, wide) == 1
    wider = [str(n) for n in range(101)]
    query = "SELECT $1[1]::int + $1[101]::int"
    assert value(session, "SELECT * FROM df._rows(%s, VARIADIC %s::text[]) AS r(a int)", query, wider) == 100
    assert value(session, "SELECT df._execute(%s, VARIADIC %s::text[])", query, wider) == 1
    assert refusal(session, "SELECT * FROM df._rows('SELECT 1') AS r(a text)") == "42804"


def test_execute(session: Connection) -> None:
    session.execute("CREATE TABLE t (a int)")
    assert (
        value(session, "SELECT df._execute('INSERT INTO t SELECT g FROM generate_series(1, $1::int) g', '5')")
        == 5
    )
    assert value(session, "SELECT df._execute('DELETE FROM t WHERE a > $1::int', '3')") == 2
    assert value(session, "SELECT df._execute('CREATE INDEX ON t (a)')") == 0
    assert value(session, "SELECT df._execute('CREATE TABLE u AS SELECT * FROM t')") == 3


def test_rows_run_in_parallel(session: Connection, database: str) -> None:
    """The query waits for a lock that the test holds, in a parallel worker that pg_stat_activity shows."""
    session.execute("""
        CREATE TABLE big AS SELECT g FROM generate_series(1, 10000) g;
        CREATE FUNCTION held(int) RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE AS
            $$ BEGIN PERFORM pg_advisory_lock_shared(77); RETURN true; END $$;
        ANALYZE big; SELECT pg_advisory_lock(77)""")
    counted: list[object] = []

    def step() -> None:
        with connect(database) as other:
            other.execute(
                "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
                "SET min_parallel_table_scan_size = 0"
            )
            counted.append(
                value(
                    other, "SELECT * FROM df._rows('SELECT count(*) FROM big WHERE held(g)') AS r(n bigint)"
                )
            )

    thread = threading.Thread(target=step)
    thread.start()
    try:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'parallel worker' AND wait_event = 'advisory'"
        )
        while value(session, query) == 0:
            assert thread.is_alive()
    finally:
        session.execute("SELECT pg_advisory_unlock(77)")
        thread.join(30)
    assert counted == [10_000]


def test_both_ways_to_run_a_step_pass_the_same_parameters() -> None:
    folder = Path(__file__).parent.parent.parent / "sql" / "functions"
    rows, execute = (
        [
            line
            for line in (folder / name).read_text().splitlines()
            if "params[" in line and "USING" not in line
        ]
        for name in ("rows.sql", "execute.sql")
    )
    assert rows == execute
    numbers = re.findall(r"params\[(\d+)\]", "".join(rows))
    assert [int(number) for number in numbers] == [*range(1, 11), *range(1, 101)]
