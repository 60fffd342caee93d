"""Schedules with real workers. No test waits for a minute: the state's next tick is moved into the past."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.executor.support import WorkerProcess, ended, until
from tests.postgres import Server
from tests.sql.worker import refusal, value

Connection = psycopg.Connection[Any]
SHOWN = "SELECT {} FROM df.schedules WHERE name = %s"


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def worker(database: str) -> Iterator[WorkerProcess]:
    with WorkerProcess(database) as process:
        yield process.registered()


def schedule(
    connection: Connection, arguments: str = "", cron: str = "0 3 * * *", name: str = "tick"
) -> None:
    more = f", {arguments}" if arguments else ""
    value(connection, f"SELECT df.schedule('{name}', '{cron}', 'SELECT 1 AS one'{more})")


def shown(connection: Connection, columns: str, name: str = "tick") -> tuple[Any, ...] | None:
    row = connection.execute(SHOWN.format(columns).encode(), [name]).fetchone()
    return None if row is None else tuple(row)


def known(connection: Connection, name: str = "tick") -> None:
    """Wait until a worker has computed the ticks."""
    until(lambda: shown(connection, "next_at IS NOT NULL", name) == (True,), "the first tick to be known")


def back(connection: Connection, interval: str, name: str = "tick") -> None:
    """Put the next tick into the past: whole ticks of a daily schedule, so that they are what cron says."""
    connection.execute(
        "UPDATE df.schedule_states SET next_at = next_at - %s::interval, ticks[1] = next_at - %s::interval"
        " WHERE name = %s",
        [interval, interval, name],
    )
    connection.execute("NOTIFY df_work")


def started(connection: Connection, name: str = "tick") -> list[str]:
    rows = connection.execute("SELECT id FROM df.instances WHERE label = %s ORDER BY id", [name]).fetchall()
    return [str(row[0]) for row in rows]


def fired(connection: Connection, count: int, name: str = "tick") -> list[str]:
    until(lambda: len(started(connection, name)) >= count, f"{count} instances")
    until(lambda: shown(connection, "next_at > now()", name) == (True,), "the next tick")
    assert len(started(connection, name)) == count
    return started(connection, name)


def test_a_tick_starts_one_instance(session: Connection, worker: WorkerProcess) -> None:
    schedule(session, "input => '{\"a\": 1}', time_zone => 'Europe/Vienna'")
    known(session)
    columns = "cron, time_zone, overlap, catch_up, paused, cardinality(next_ticks), last_at"
    assert shown(session, columns) == ("0 3 * * *", "Europe/Vienna", "skip", "last", False, 5, None)
    back(session, "1 day")
    [instance] = fired(session, 1)
    row = ended(session, instance)
    assert row["status"] == "completed" and row["input"]["a"] == 1
    assert row["input"]["scheduled_at"].endswith("+00:00")
    assert value(session, "SELECT (input->>'scheduled_at')::timestamptz = scheduled_at FROM df.instances")
    assert shown(session, "last_at, last_instance, last_error") == (row["scheduled_at"], instance, None)
    back(session, "1 day")
    fired(session, 1)  # the same tick once more: it has its instance
    assert shown(session, "last_error, skipped") == (None, 0)


def test_it_fires_when_its_time_comes(session: Connection, worker: WorkerProcess) -> None:
    """Nothing wakes the worker but the clock."""
    schedule(session)
    known(session)
    soon = "date_trunc('second', now()) + interval '2 s'"
    session.execute(f"UPDATE df.schedule_states SET next_at = {soon}, ticks[1] = {soon}".encode())
    session.execute("NOTIFY df_work")
    fired(session, 0)
    # Not a tick of this expression, so that nothing is due when it comes; but it is looked at then.
    until(lambda: shown(session, "next_at > now() + interval '3 s'") == (True,), "the look", 10)


def test_an_expression_of_every_minute_computes_the_next_one(
    session: Connection, worker: WorkerProcess
) -> None:
    schedule(session, cron="* * * * *")
    known(session)
    row = shown(
        session, "next_at > now(), next_at <= now() + interval '1 min', next_ticks[5] - next_ticks[1]"
    )
    assert row is not None and row[:2] == (True, True) and row[2].total_seconds() == 240


@pytest.mark.parametrize(("catch_up", "count"), [("none", 0), ("last", 1), ("all", 3)])
def test_ticks_of_a_downtime(database: str, session: Connection, catch_up: str, count: int) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        schedule(session, f"catch_up => '{catch_up}', overlap => 'allow'")
        known(session)
    back(session, "3 days")
    with WorkerProcess(database) as worker:
        worker.registered()
        fired(session, count)
    note = shown(session, "note")
    assert note is not None
    assert (note[0] is None) is (catch_up == "all")
    if catch_up != "all":
        assert f"catch_up is {catch_up}" in note[0]


def test_a_schedule_that_is_made_while_no_worker_runs(database: str, session: Connection) -> None:
    schedule(session, cron="0 * * * *")
    assert shown(session, "cron, paused, next_at, next_ticks") == ("0 * * * *", False, None, None)
    session.execute("UPDATE df.schedule_changes SET made_at = made_at - interval '1 hour'")
    with WorkerProcess(database) as worker:
        worker.registered()
        fired(session, 1)  # the hour has come meanwhile


def hold(connection: Connection, name: str = "tick") -> None:
    """A schedule whose instances do not end."""
    value(
        connection, f"SELECT df.schedule('{name}', '0 3 * * *', 'SELECT pg_sleep(600)', overlap => '{name}')"
    )


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow"])
def test_overlap(session: Connection, worker: WorkerProcess, overlap: str) -> None:
    hold(session, overlap)
    known(session, overlap)
    back(session, "1 day", overlap)
    [first] = fired(session, 1, overlap)
    until(lambda: value(session, "SELECT status = 'running' FROM df.instances"), "the first to run")
    session.execute("UPDATE df.instances SET scheduled_at = scheduled_at - interval '10 years'")
    back(session, "1 day", overlap)
    if overlap == "skip":
        until(lambda: shown(session, "skipped", overlap) == (1,), "the tick to be skipped")
        fired(session, 1, overlap)
        return
    second = fired(session, 2, overlap)[1]
    how = "SELECT status FROM df.instances WHERE id = %s"
    if overlap == "queue":
        assert value(session, how, second) == "pending"
        value(session, "SELECT df.cancel(%s)", first)
        ended(session, first)
    until(lambda: value(session, how, second) == "running", "the second to run")


def test_pause_and_resume(session: Connection, worker: WorkerProcess) -> None:
    schedule(session)
    known(session)
    value(session, "SELECT df.pause_schedule('tick')")
    assert shown(session, "paused, next_at") == (True, None)
    until(lambda: value(session, "SELECT paused FROM df.schedule_states"), "the pause")
    back(session, "2 days")
    # Made again with another input while it is paused: it stays so.
    schedule(session, "input => '{}'")
    until(lambda: value(session, "SELECT count(*) = 0 FROM df.schedule_changes"), "the change to be taken in")
    assert shown(session, "paused, input") == (True, {}) and started(session) == []
    value(session, "SELECT df.resume_schedule('tick')")
    assert shown(session, "paused") == (False,)
    fired(session, 1)
    value(session, "SELECT df.unschedule('tick')")
    assert shown(session, "name") is None
    until(lambda: value(session, "SELECT count(*) = 0 FROM df.schedule_states"), "the schedule to be gone")
    for call in ("pause_schedule", "resume_schedule", "unschedule"):
        assert refusal(session, f"SELECT df.{call}('tick')") == "42704"


def test_changes_are_seen_in_order_before_any_worker(session: Connection) -> None:
    schedule(session)
    value(session, "SELECT df.pause_schedule('tick')")
    assert shown(session, "paused, cron") == (True, "0 3 * * *")
    schedule(session, cron="0 4 * * *")
    assert shown(session, "paused, cron") == (True, "0 4 * * *")
    value(session, "SELECT df.unschedule('tick')")
    assert shown(session, "name") is None
    schedule(session, "overlap => 'allow'")
    assert shown(session, "paused, overlap") == (False, "allow")
    count = value(session, "SELECT count(*) FROM df.schedule_changes")
    schedule(session, "overlap => 'allow'")
    assert value(session, "SELECT count(*) FROM df.schedule_changes") == count, "nothing new is asked"


def test_a_definition_that_is_gone_and_comes_back(session: Connection, worker: WorkerProcess) -> None:
    value(session, "SELECT df.define('nightly', 'SELECT $input.scheduled_at::timestamptz AS at')")
    value(
        session, "SELECT df.schedule('tick', '0 3 * * *', 'nightly', catch_up => 'all', overlap => 'allow')"
    )
    value(session, "SELECT df.schedule('once', '0 3 * * *', 'nightly', catch_up => 'none')")
    known(session)
    known(session, "once")
    value(session, "SELECT df.undefine('nightly')")
    back(session, "3 days")
    back(session, "3 days", "once")
    until(lambda: "no workflow named" in str(shown(session, "last_error")), "the error to be shown")
    said = str(shown(session, "last_error"))
    assert "Definitions belong to the role" in said and "df.define" in said
    assert shown(session, "next_at < now(), cardinality(next_ticks)") == (True, 5), "nothing is passed over"
    until(lambda: shown(session, "next_at > now()", "once") == (True,), "what is not caught up to move on")
    assert value(session, "SELECT count(*) FROM df.instances") == 0
    assert value(session, "SELECT df._next_tick() > 30") is True, "not all the time"
    value(session, "SELECT df.define('nightly', 'SELECT 2 AS two', queue => 'q')")
    session.execute("UPDATE df.schedule_states SET retry_at = now() WHERE retry_at IS NOT NULL")
    session.execute("NOTIFY df_work")
    for instance in fired(session, 3):
        row = ended(session, instance)
        assert (row["definition"], row["definition_version"], row["queue"]) == ("nightly", 2, "q")
    assert shown(session, "last_error") == (None,)
    assert value(session, "SELECT bool_and(retry_at IS NULL) FROM df.schedule_states")


def test_a_queue_keeps_the_limit_of_its_definition(session: Connection, worker: WorkerProcess) -> None:
    value(session, "SELECT df.define('alone', df.wait_for_signal('go'), concurrency_limit => 1)")
    value(session, "SELECT df.schedule('tick', '0 3 * * *', 'alone', overlap => 'queue', catch_up => 'all')")
    known(session)
    value(session, "SELECT df.start('alone', 'by hand')")
    back(session, "2 days")
    fired(session, 2)
    keys = "SELECT DISTINCT concurrency_key, concurrency_limit FROM df.instances"
    assert session.execute(keys).fetchall() == [("alone", 1)]
    for signal_number in range(3):
        until(
            lambda: value(session, "SELECT count(*) = 1 FROM df.instances WHERE status = 'running'"),
            "one to run",
        )
        value(session, "SELECT df.signal(id, 'go') FROM df.instances WHERE status = 'running'")
        done = f"SELECT count(*) = {signal_number + 1} FROM df.instances WHERE status = 'completed'"
        until(lambda text=done: value(session, text), "it to complete")


def test_inputs_that_are_declared(session: Connection, worker: WorkerProcess) -> None:
    define = "SELECT df.define('{}', 'SELECT $input.day', params => %s)"
    value(session, define.format("plain"), '{"day": {"type": "date", "default": "2026-01-01"}}')
    value(
        session,
        define.format("timed"),
        '{"day": {"type": "date", "required": false}, "scheduled_at": "timestamptz"}',
    )
    assert refusal(session, "SELECT df.schedule('x', '0 3 * * *', 'plain', '{\"dy\": 1}')") == "22023"
    assert refusal(session, "SELECT df.schedule('x', '0 3 * * *', 'plan')") == "42704"
    for name in ("plain", "timed"):
        value(session, "SELECT df.schedule(%s, '0 3 * * *', %s)", name, name)
        known(session, name)
        back(session, "1 day", name)
        fired(session, 1, name)
    keys = "SELECT array_agg(k ORDER BY k) FROM df.instances, jsonb_object_keys(input) k WHERE label = %s"
    assert value(session, keys, "plain") == ["day", "scheduled_at"]
    assert value(session, keys, "timed") == ["scheduled_at"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("'a b', '0 3 * * *', 'SELECT 1'", "DF113"),
        ("NULL, '0 3 * * *', 'SELECT 1'", "DF116"),
        ("'x', '0 3 * *', 'SELECT 1'", "DF182"),
        ("'x', NULL, 'SELECT 1'", "DF116"),
        ("'x', '0 3 * * *', 'SELECT 1', time_zone => 'Nowhere/Town'", "DF184"),
        ("'x', '0 3 * * *', NULL", "DF116"),
        ("'x', '0 3 * * *', 'nothing'", "42704"),
        ("'x', '0 3 * * *', 'SELECT 1', overlap => 'maybe'", "22023"),
        ("'x', '0 3 * * *', 'SELECT 1', catch_up => NULL", "22023"),
        ("'x', '0 3 * * *', 'SELECT 1', input => '[]'", "22023"),
    ],
)
def test_what_is_refused(session: Connection, arguments: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT df.schedule({arguments})".encode())
    said = caught.value.diag
    assert said.sqlstate == code and said.message_detail and said.message_hint
    assert value(session, "SELECT count(*) FROM df.schedules") == 0


def test_with_the_rights_of_who_has_made_it(
    session: Connection, roles: Callable[..., str], server: Server, worker: WorkerProcess
) -> None:
    anna = roles("anna")
    value(session, "SELECT df.grant_usage(%s)", anna)
    with psycopg.connect(server.url(session.info.dbname, anna), autocommit=True) as hers:
        schedule(hers)
        schedule(session)
        assert value(hers, "SELECT count(*) FROM df.schedules") == 1
        until(
            lambda: value(session, "SELECT count(*) = 2 FROM df.schedule_states WHERE ticks IS NOT NULL"),
            "both",
        )
        back(session, "1 day")
        until(lambda: value(session, "SELECT count(*) = 2 FROM df.instances"), "both to start")
        assert value(hers, "SELECT count(*) FROM df.instances") == 1
        value(hers, "SELECT df.unschedule('tick')")
        assert value(hers, "SELECT count(*) FROM df.schedules") == 0
        assert shown(session, "cron") == ("0 3 * * *",)
        # By hand: what no function would insert is refused, or said in last_error.
        forged = (
            "INSERT INTO df.schedule_changes (name, change, cron, time_zone, workflow, overlap, catch_up)"
            " VALUES ('forged', 'set', %s, 'UTC', 'x', 'skip', 'last')"
        )
        hers.execute(forged.encode(), ["never"])
        until(lambda: shown(hers, "last_error IS NOT NULL", "forged") == (True,), "the fault")
        schedule(session, name="after")
        known(session, "after")


def test_a_worker_that_is_killed_at_the_tick(database: str, session: Connection) -> None:
    """Each tick starts one instance, whoever is killed when, and two workers see the same tick."""
    names = [f"s{n}" for n in range(8)]
    with WorkerProcess(database) as other:
        other.registered()
        for name in names:
            schedule(session, "overlap => 'allow', catch_up => 'all'", name=name)
        for name in names:
            known(session, name)
        for round in range(1, 6):
            with WorkerProcess(database) as victim:
                victim.registered()
                session.execute(
                    "UPDATE df.instances SET scheduled_at = scheduled_at - make_interval(years => %s)"
                    " WHERE scheduled_at > now() - interval '1 year'",
                    [10 * round],
                )
                session.execute(
                    "UPDATE df.schedule_states SET next_at = next_at - interval '2 days',"
                    " ticks[1] = next_at - interval '2 days'"
                )
                session.execute("NOTIFY df_work")
                until(
                    lambda: value(session, "SELECT bool_or(next_at > now()) FROM df.schedule_states"),
                    "one to fire",
                )
                victim.signal(signal.SIGKILL)
                if round % 2:
                    other.signal(signal.SIGSTOP)
                    other.signal(signal.SIGCONT)
                victim.process.wait()
            for name in names:
                fired(session, 2 * round, name)
    assert value(session, "SELECT bool_and(last_error IS NULL) FROM df.schedules")


def test_a_tick_that_another_worker_has_seen_to(database: str, session: Connection) -> None:
    """The second that comes with the same tick does nothing, also while the first has not committed."""
    schedule(session)
    [row] = session.execute("SELECT schedule, since FROM df._due_schedules()").fetchall()
    ticks = "ARRAY['2026-01-01 03:00+00', '2026-01-02 03:00+00']::timestamptz[]"
    session.execute(f"SELECT df._set_ticks(%s, %s, {ticks}, NULL)".encode(), [row[0], row[1]])
    fire = f"SELECT df._fire(%s, ({ticks})[1], ({ticks})[1:1], NULL, ({ticks})[2:])"
    with psycopg.connect(database) as first:
        assert value(first, fire, row[0]) is True
        assert value(session, fire, row[0]) is False
        first.commit()
    assert value(session, fire, row[0]) is False
    assert len(started(session)) == 1
    assert value(session, "SELECT next_at = '2026-01-02 03:00+00' AND last_error IS NULL FROM df.schedules")
