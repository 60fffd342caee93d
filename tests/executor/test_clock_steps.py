"""The server's clock is set by hours, or the worker's is wrong: what waits goes on all the same.

Whatever is waited for here takes hours where it is waited for in vain: nothing is measured. Needs `faketime`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from dfc.executor import migrate
from tests.executor.clock import PRELOADED, Clock
from tests.executor.support import WorkerProcess, ended, until
from tests.sql.worker import value

pytestmark = pytest.mark.apt
Connection = psycopg.Connection[Any]
COMES_NEXT = "SELECT next_at - clock_timestamp() BETWEEN '0' AND interval '10 min' FROM df.schedules"


@pytest.fixture(scope="module")
def running() -> Iterator[Clock]:
    clock = Clock(os.environ.get("POSTGRES_VERSION", "18"))
    yield clock
    clock.server.remove()


@pytest.fixture
def clock(running: Clock) -> Iterator[Clock]:
    running.set(0)
    with psycopg.connect(running.server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE steps")
    migrate.install(running.server.url("steps"))
    yield running
    with psycopg.connect(running.server.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE steps WITH (FORCE)")


@pytest.fixture
def database(clock: Clock) -> str:
    return clock.server.url("steps")


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE gate (open integer)")
        connection.execute("INSERT INTO gate VALUES (0)")
        connection.execute("CREATE TABLE ledger (what text)")
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture
def worker(database: str) -> Iterator[WorkerProcess]:
    with WorkerProcess(database, lease_seconds=2.0) as process:
        yield process.registered()


def start(session: Connection, workflow: str, arguments: str = "") -> str:
    more = f", {arguments}" if arguments else ""
    return str(value(session, f"SELECT df.start({workflow}{more})"))


def write(what: str) -> str:
    return f"'INSERT INTO ledger VALUES (''{what}'')'"


def waits_for_lengths(session: Connection, length: str, count: int, period: str) -> dict[str, str]:
    """Instances that wait for this length of time, each in another way."""
    session.execute("UPDATE gate SET open = 0")
    pause = f"max_attempts => 2, backoff => '{length}', max_backoff => '{length}', jitter => false"
    flaky = f"df.step('flaky', 'SELECT 1 / open AS one FROM gate', {pause}, retry_on => ARRAY['22012'])"
    limit = f"df.step('limited', {write('limited')}, rate_limit => '{count}/{period}')"
    found = {
        "sleep": start(session, f"df.sleep('{length}') ~> {write('sleep')}"),
        "retry": start(session, flaky),
        "signal": start(session, f"df.wait_for_signal('never', '{length}') ~> {write('signal')}"),
        "limit": start(session, f"df.timeout(df.wait_for_signal('never'), '{length}', {write('limit')})"),
        "debounce": start(
            session, write("debounce"), f"debounce_key => 'k', debounce => '{length}'::interval"
        ),
    }
    for id in [start(session, limit) for _ in range(count)]:
        ended(session, id)
    found["limited"] = start(session, limit)
    look = "SELECT count(*) FROM df.fences WHERE wake_at > now() AND worker IS NULL"
    until(lambda: session.execute(look).fetchone() == (5,), "all of them to wait")
    session.execute("UPDATE gate SET open = 1")
    return found


def statuses(session: Connection, instances: dict[str, str]) -> dict[str, str]:
    return {name: ended(session, id)["status"] for name, id in instances.items()}


def has_ended(session: Connection, id: str) -> bool:
    return value(session, "SELECT completed_at IS NOT NULL FROM df.instances WHERE id = %s", id) is True


def beats(session: Connection) -> None:
    """Wait until every worker has looked at the clock."""
    before = dict(session.execute("SELECT id, beats FROM df.workers").fetchall())

    def all_have() -> bool:
        now = dict(session.execute("SELECT id, beats FROM df.workers").fetchall())
        return all(now.get(id, 0) >= beaten + 2 for id, beaten in before.items())

    until(all_have, "all workers to beat twice")


def twice(session: Connection) -> list[Any]:
    return session.execute(
        "SELECT what, count(*) FROM ledger WHERE what <> 'limited' GROUP BY what HAVING count(*) > 1"
    ).fetchall()


def moments(session: Connection, after: str) -> dict[str, str]:
    """Instances that wait for a moment so long from now, and say when they went on."""
    done = "'SELECT clock_timestamp() AS at'"
    at = value(session, f"SELECT (now() + interval '{after}')::text")
    return {
        "until": start(session, f"df.wait_until('{at}') ~> {done}"),
        "start_at": start(session, done, f"start_at => '{at}'"),
    }


def reached(session: Connection, id: str, at: object) -> bool:
    """Whether it ended, and not in front of the moment, by the clock as it stood then."""
    ended(session, id)
    return bool(
        value(
            session,
            f"SELECT (result->'rows'->0->>'at')::timestamptz >= '{at}' FROM df.instances WHERE id = '{id}'",
        )
    )


def test_set_forward_ends_what_waits(clock: Clock, session: Connection, worker: WorkerProcess) -> None:
    waiting = waits_for_lengths(session, "2 hours", 1, "hour")
    at = value(session, "SELECT now() + interval '2 hours'")
    waiting |= moments(session, "2 hours")
    waiting["schedule"] = start(session, "df.wait_for_schedule('0 * * * *')")
    with psycopg.connect(clock.server.url("steps")) as locker:
        # One that cannot be parked, because a step of it runs: it waits in the worker.
        locker.execute("SELECT FROM gate FOR UPDATE")
        both = f"(df.sleep('2 hours') ~> {write('beside')}) & 'UPDATE gate SET open = open'"
        waiting["beside"] = start(session, both)
        until(
            lambda: value(session, "SELECT count(*) FROM df.marks WHERE path LIKE 'sleep%timer'") == 2,
            "its timer",
        )
        until(
            lambda: (
                value(session, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1
            ),
            "its step",
        )
        clock.set(3)
        until(lambda: value(session, "SELECT count(*) FROM ledger WHERE what = 'beside'") == 1, "the sleep")
        locker.rollback()
    assert set(statuses(session, waiting).values()) == {"completed"}
    assert reached(session, waiting["until"], at) and reached(session, waiting["start_at"], at)
    assert twice(session) == []
    # Nobody has taken it for dead.
    assert worker.log.count("registered worker=") == 1 and "fence lost" not in worker.log, worker.log


def test_set_back_keeps_nobody_waiting_for_longer_than_he_was_to(
    clock: Clock, session: Connection, worker: WorkerProcess
) -> None:
    waiting = waits_for_lengths(session, "15 seconds", 4, "minute")
    at = value(session, "SELECT now() + interval '4 s'")
    until_then = {**moments(session, "4 seconds"), "short": start(session, "df.sleep(4)")}
    short = until_then.pop("short")
    timers = "SELECT count(*) FROM df.marks WHERE instance_id = ANY (%s) AND kind = 'timer'"
    # Too short to be parked: the worker itself waits.
    until(lambda: value(session, timers, [short, until_then["until"]]) == 2, "their timers")
    clock.set(-3)
    until_then = {name: id for name, id in until_then.items() if not has_ended(session, id)}
    assert ended(session, short)["status"] == "completed"
    assert set(statuses(session, waiting).values()) == {"completed"}
    assert twice(session) == []
    # Those that wait for a moment do, by the clock as it stands now.
    assert not any(has_ended(session, id) for id in until_then.values())
    clock.set(0)
    assert all(reached(session, id, at) for id in until_then.values())
    assert worker.log.count("registered worker=") == 1


def test_set_back_while_nobody_was_there(clock: Clock, database: str, session: Connection) -> None:
    with WorkerProcess(database, lease_seconds=2.0) as first:
        first.registered()
        waiting = waits_for_lengths(session, "15 seconds", 4, "minute")
        first.process.kill()
        first.process.wait()
    clock.set(-3)
    with WorkerProcess(database, lease_seconds=2.0) as second:
        second.registered()
        assert set(statuses(session, waiting).values()) == {"completed"}


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_dead_worker_is_missed_and_a_live_one_is_not(
    clock: Clock, database: str, session: Connection, hours: int
) -> None:
    step = "'INSERT INTO ledger SELECT ''once'' FROM (SELECT pg_advisory_xact_lock_shared(7)) AS l'"
    holder = "SELECT min(worker) FROM df.fences"
    with WorkerProcess(database, lease_seconds=6.0) as one, psycopg.connect(database) as locker:
        one.registered()
        locker.execute("SELECT pg_advisory_lock(7)")
        instance = start(session, step)
        look = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
        until(lambda: value(session, look) == 1, "it to be at work")
        first = value(session, holder)
        # Idle, and it looks often: between two beats of the other one, too.
        with WorkerProcess(database, lease_seconds=6.0, poll_seconds=0.1) as other:
            other.registered()
            clock.set(hours)
            beats(session)
            assert value(session, holder) == first
            # Silent, while its sessions live: only its beats tell.
            one.signal(signal.SIGSTOP)
            until(lambda: value(session, holder) != first, "it to be missed")
            until(lambda: value(session, look) == 2, "the step to be run once more")
            locker.execute("SELECT pg_advisory_unlock(7)")
            assert ended(session, instance)["status"] == "completed"
            one.signal(signal.SIGCONT)
            one.registered(times=2)
    assert value(session, "SELECT count(*) FROM ledger") == 1


def test_ticks_of_a_schedule_start_once(clock: Clock, session: Connection, worker: WorkerProcess) -> None:
    value(
        session,
        "SELECT df.schedule('tick', '*/10 * * * *', 'SELECT 1', catch_up => 'all', overlap => 'allow')",
    )
    count = "SELECT count(*) FROM df.instances WHERE label = 'tick'"
    gaps = (
        "SELECT (max(scheduled_at) - min(scheduled_at)) / 600 - (count(*) - 1) * interval '1 s'"
        " FROM df.instances WHERE label = 'tick'"
    )
    until(lambda: value(session, COMES_NEXT) is True, "its first tick")
    clock.set(2)
    until(lambda: int(str(value(session, count))) >= 12, "the ticks of two hours")
    until(lambda: value(session, COMES_NEXT) is True, "the next tick")
    started = int(str(value(session, count)))
    beats(session)
    clock.set(0)
    until(lambda: value(session, COMES_NEXT) is True, "the next tick by the clock as it is now")
    assert value(session, count) == started
    clock.set(1)  # These have been.
    until(lambda: value(session, COMES_NEXT) is True, "the next tick by the clock as it is now")
    assert value(session, count) == started
    clock.set(3)
    until(lambda: int(str(value(session, count))) >= started + 6, "the ticks of the third hour")
    assert value(session, gaps) == timedelta(0)
    assert value(session, "SELECT last_error FROM df.schedules") is None


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_clock_of_a_worker_makes_no_difference(
    database: str, session: Connection, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    for name, setting in {**PRELOADED, "FAKETIME": f"{hours * 3600:+d}"}.items():
        monkeypatch.setenv(name, setting)
    with WorkerProcess(database, anew=True, lease_seconds=2.0) as worker:
        monkeypatch.undo()
        worker.registered()
        said_at = datetime.fromisoformat(worker.log[: len("2026-01-01 00:00:00")])
        assert abs(said_at - datetime.now() - timedelta(hours=hours)) < timedelta(minutes=10)
        waiting = waits_for_lengths(session, "6 seconds", 10, "minute")
        at = value(session, "SELECT now() + interval '6 seconds'")
        until_then = moments(session, "6 seconds")
        far = start(session, "df.wait_until(now() + interval '1 hour')")
        value(session, "SELECT df.schedule('tick', '* * * * *', 'SELECT 1 AS one')")
        assert set(statuses(session, waiting).values()) == {"completed"}
        assert all(reached(session, id, at) for id in until_then.values())
        until(lambda: value(session, COMES_NEXT) is True, "the next tick")
        assert value(session, f"SELECT status FROM df.instances WHERE id = '{far}'") == "running"
