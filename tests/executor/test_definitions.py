"""Definitions and options of df.start, with a real worker: what runs, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.executor.support import WorkerProcess, ended, until
from tests.sql.worker import value

Connection = psycopg.Connection[Any]


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger (n bigserial, what text)")
        yield connection


@pytest.fixture
def worker(database: str) -> Iterator[WorkerProcess]:
    with WorkerProcess(database) as process:
        yield process.registered()


def start(connection: Connection, arguments: str) -> str:
    return str(value(connection, f"SELECT df.start({arguments})"))


def test_a_call_of_a_definition(session: Connection, worker: WorkerProcess) -> None:
    value(
        session,
        """SELECT df.define('twice', 'SELECT $input.n * 2 AS n, $input.day + 1 AS next',
               params => '{"n": "numeric", "day": {"type": "date", "default": "2026-01-31"}}')""",
    )
    good = ended(
        session, start(session, """df.call('twice', '{"n": "20.5"}') |=> 'r' ~> 'SELECT $r.n + 1 AS n'""")
    )
    assert good["status"] == "completed", good["error"]
    assert good["result"]["rows"] == [{"n": 42.0}]
    child = session.execute(
        "SELECT parent, definition, result FROM df.instances WHERE parent IS NOT NULL"
    ).fetchone()
    assert child == (good["id"], "twice", {"rows": [{"n": 41.0, "next": "2026-02-01"}], "row_count": 1})
    unknown = ended(session, start(session, "df.call('twcie')"))
    assert (unknown["status"], unknown["error"]["sqlstate"]) == ("failed", "42704")
    wrong = ended(session, start(session, """df.call('twice', '{"n": "x"}')"""))
    assert (wrong["status"], wrong["error"]["sqlstate"]) == ("failed", "22023")
    assert value(session, "SELECT count(*) FROM df.instances WHERE parent IS NOT NULL") == 1


def test_calls_without_an_end_fail(session: Connection, worker: WorkerProcess) -> None:
    """A cancel would go down the chain no faster than it grows."""
    session.execute(
        "CREATE OR REPLACE FUNCTION df._nesting_levels_max() RETURNS integer"
        " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 8 $$"
    )
    value(session, "SELECT df.define('again', df.call('again'))")
    endless = ended(session, start(session, "'again'"))
    assert (endless["status"], endless["error"]["sqlstate"]) == ("failed", "54001")
    assert value(session, "SELECT count(*) FROM df.instances") == 9
    assert value(session, "SELECT count(*) FROM df.instances WHERE status <> 'failed'") == 0


def test_who_is_called_cannot_wait_for_its_caller(session: Connection, worker: WorkerProcess) -> None:
    wait = "'SELECT ($input.id)::text AS id' |=> 'who' ~> df.wait_for_instance('$who.id')"
    value(session, f"SELECT df.define('waits', {wait})")
    value(session, "SELECT df.define('between', df.call('waits', '{\"id\": \"$input.id\"}'))")
    call = "df.call('between', '{\"id\": \"$me.id\"}')"
    caller = ended(session, start(session, f"'SELECT ''{{sys_instance_id}}'' AS id' |=> 'me' ~> {call}"))
    assert (caller["status"], caller["error"]["sqlstate"]) == ("failed", "22023")
    assert "wait for the end of the one that has called it" in str(caller["error"])


def test_what_is_done_about_a_failure(session: Connection, worker: WorkerProcess) -> None:
    note = (
        "INSERT INTO ledger (what)"
        " SELECT $input.definition || '': '' || ($input.error::jsonb ->> ''sqlstate'')"
    )
    value(session, f"SELECT df.define('breaks', 'SELECT 1/0', on_failure => '{note}')")
    value(
        session,
        f"""SELECT df.define('undoes',
                             df.compensate('SELECT 1', 'INSERT INTO ledger (what) VALUES (''undone'')')
                             ~> 'SELECT 1/0', on_failure => '{note}')""",
    )
    for name, status in (("breaks", "failed"), ("undoes", "compensated")):
        assert ended(session, start(session, f"'{name}'"))["status"] == status
        after = "SELECT id FROM df.instances WHERE label = %s"
        assert ended(session, str(value(session, after, f"{name} (on failure)")))["status"] == "completed"
    said = session.execute("SELECT array_agg(what ORDER BY n) FROM ledger").fetchall()
    assert said == [(["breaks: 22012", "undone", "undoes: 22012"],)]


def test_what_is_done_about_a_failure_calls_what_has_failed(
    session: Connection, worker: WorkerProcess
) -> None:
    value(session, "SELECT df.define('breaks', 'SELECT 1/0', on_failure => df.call('breaks'))")
    assert ended(session, start(session, "'breaks'"))["status"] == "failed"
    # Each end starts the next in its own transaction: were there more, there would always be one that runs.
    until(
        lambda: value(session, "SELECT count(*) = 0 FROM df.instances WHERE completed_at IS NULL"), "the end"
    )
    assert value(session, "SELECT count(*) FROM df.instances") == 3


def test_one_at_a_time(session: Connection, worker: WorkerProcess) -> None:
    """Each waits for its key, and starts at once when the one before has ended."""
    write = "'INSERT INTO ledger (what) VALUES (''{}'')'".format
    step = f"{write('in')} ~> 'SELECT pg_sleep(0.02)' ~> {write('out')}"
    made = [start(session, f"{step}, concurrency_key => 'k'") for _ in range(8)]
    for instance in made:
        assert ended(session, instance)["status"] == "completed"
    assert value(session, "SELECT string_agg(what, ' ' ORDER BY n) FROM ledger") == " ".join(["in out"] * 8)


def test_it_starts_when_its_time_comes(session: Connection, worker: WorkerProcess) -> None:
    soon = start(session, "'SELECT 1', start_at => clock_timestamp() + interval '1.5 s'")
    joined = {
        start(
            session,
            "'INSERT INTO ledger (what) VALUES ($input)',"
            f" debounce_key => 'd', debounce => 0.5, input => '{n}'",
        )
        for n in range(5)
    }
    assert len(joined) == 1
    for instance in (soon, *joined):
        row = ended(session, instance)
        assert row["status"] == "completed", row["error"]
        assert 0 <= (row["started_at"] - row["due_at"]).total_seconds() < 5
    assert value(session, "SELECT string_agg(what, ' ') FROM ledger") == "4"


def test_a_pending_one_is_cancelled_at_once(session: Connection, worker: WorkerProcess) -> None:
    waits = start(session, "'SELECT 1', start_at => now() + interval '1 day'")
    value(session, "SELECT df.cancel(%s)", waits)
    assert ended(session, waits)["status"] == "cancelled"
    holds = start(session, "'SELECT pg_sleep(60)', concurrency_key => 'k'")
    until(
        lambda: value(session, "SELECT status FROM df.instances WHERE id = %s", holds) == "running",
        "the first",
    )
    behind = start(session, "'SELECT 1', concurrency_key => 'k'")
    value(session, "SELECT df.cancel(%s)", behind)
    assert ended(session, behind)["status"] == "cancelled"
    value(session, "SELECT df.cancel(%s)", holds)
    ended(session, holds)


def test_the_time_limit_of_an_instance(session: Connection, worker: WorkerProcess) -> None:
    row = ended(session, start(session, "'SELECT pg_sleep(60)', timeout => 0.3"))
    assert (row["status"], row["error"]["sqlstate"]) == ("failed", "timeout")
