"""What is promised: whatever is killed whenever, each step's effect happens exactly once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from dfc.executor import migrate
from tests.e2e import harness
from tests.e2e.harness import Hooks, WorkerProcess, connected, wait_until
from tests.postgres import DURABLE, Server

RUNS = 60
PAUSED_RUNS = 100
SERVER_KILLS = 3
SECONDS_MAX = 150
# Few slots, so that the work lasts for all the kills.
LIMITS = ("--slots", "4", "--connections", "4", "--lease", "2")


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    """Where the workflows' HTTP steps go."""
    with Hooks() as running:
        yield running


@pytest.mark.parametrize(("runs", "fewest"), [(30, 6), pytest.param(200, 50, marks=pytest.mark.long)])
def test_workers_are_killed_and_every_effect_happens_once(
    database: str, hooks: Hooks, runs: int, fewest: int
) -> None:
    with connected(database) as connection:
        harness.prepare(connection)
        harness.start(connection, runs, hooks)
        moments = harness.chance()
        kills = progress_between_kills = 0
        deadline = time.monotonic() + SECONDS_MAX
        # Two workers, so that one takes over at once.
        options = (*LIMITS, "--allow-host", hooks.host)
        with WorkerProcess(database, options) as one, WorkerProcess(database, options) as other:
            before = _checkpoints(connection)
            while harness.ended(connection) < runs:
                assert time.monotonic() < deadline, (
                    harness.statuses(connection),
                    one.log.read_text()[-3000:],
                )
                victim = moments.choice((one, other))
                if kills < fewest * 6 // 5:
                    # A moment counted in checkpoints of all workers, from none to a few after the last kill.
                    _wait_for_checkpoint(connection, before + moments.randrange(0, 18))
                    kills += victim.kill()
                    now = _checkpoints(connection)
                    progress_between_kills += now > before
                    before = now
                    victim.start()
                else:
                    wait_until(lambda: _over(connection), 60, "the end")
        assert harness.statuses(connection) == {"completed": runs}
        assert harness.faults(connection, runs) == []
        assert hooks.faults(connection) == []
        assert harness.unfenced(connection)
        assert kills >= fewest, f"only {kills} kills hit a living worker"
        assert progress_between_kills >= fewest // 5


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server with fsync on, that the test may kill."""
    server = Server("18", DURABLE)
    server.start()
    try:
        yield server
    finally:
        server.remove()


def test_postgres_is_killed_and_every_effect_happens_once(durable: Server, hooks: Hooks) -> None:
    database = durable.url()
    migrate.install(database)
    moments = harness.chance()
    with connected(database) as connection:
        harness.prepare(connection)
        harness.start(connection, RUNS, hooks)
    kills = progress = 0
    with WorkerProcess(database, (*LIMITS, "--allow-host", hooks.host)) as worker:
        while True:
            with connected(database) as connection:
                before = _checkpoints(connection)
                if kills == SERVER_KILLS:
                    wait_until(lambda: harness.ended(connection) == RUNS, 90, worker.log.read_text()[-3000:])
                    break
                _wait_for_checkpoint(connection, before + 20 + moments.randrange(0, 100))
                progress += harness.ended(connection) < RUNS
            durable.kill()
            kills += 1
            durable.start()
        with connected(database) as connection:
            assert harness.statuses(connection) == {"completed": RUNS}
            assert harness.faults(connection, RUNS) == []
            assert hooks.faults(connection) == []
        assert worker.alive, "the worker lives through the death of the database"
    assert progress == SERVER_KILLS, "work was left at each kill"


def test_a_worker_that_is_asked_to_stop_hands_over(database: str, hooks: Hooks) -> None:
    allow = ("--allow-host", hooks.host)
    with connected(database) as connection:
        harness.prepare(connection)
        harness.start(connection, 20, hooks)
        with WorkerProcess(database, ("--slots", "2", "--connections", "2", *allow)) as first:
            wait_until(lambda: _checkpoints(connection) > 5, 60, "a checkpoint")
            assert first.terminate() == 0
        row = connection.execute("SELECT count(*) FROM df.fences WHERE worker IS NOT NULL").fetchone()
        assert row == (0,)
        with WorkerProcess(database, allow):
            wait_until(lambda: harness.ended(connection) == 20, 60, "the end")
        assert harness.faults(connection, 20) == []
        assert hooks.faults(connection) == []


def test_paused_workers_come_back_too_late(database: str, hooks: Hooks) -> None:
    """A worker that is stopped for longer than its lease, and goes on when others have its instances."""
    with connected(database) as connection:
        harness.prepare(connection)
        harness.start(connection, PAUSED_RUNS, hooks)
        moments = harness.chance()
        options = ("--slots", "4", "--connections", "4", "--lease", "0.5", "--allow-host", hooks.host)
        pauses = 0
        with WorkerProcess(database, options) as one, WorkerProcess(database, options) as other:
            while harness.ended(connection) < PAUSED_RUNS:
                victim = moments.choice((one, other))
                _wait_for_checkpoint(connection, _checkpoints(connection) + 1 + moments.randrange(0, 20))
                os.kill(victim.pid, signal.SIGSTOP)
                try:
                    workers = _workers(connection)
                    # Until the one that runs has declared it dead, or nothing is left to declare.
                    wait_until(
                        lambda w=workers: _workers(connection) != w or _over(connection), 60, "a death"
                    )
                    pauses += _workers(connection) != workers
                finally:
                    os.kill(victim.pid, signal.SIGCONT)
                wait_until(lambda: len(_workers(connection)) == 2 or _over(connection), 60, "its return")
        assert harness.statuses(connection) == {"completed": PAUSED_RUNS}
        assert harness.faults(connection, PAUSED_RUNS) == []
        assert hooks.faults(connection) == []
        assert pauses >= 3


def _wait_for_checkpoint(connection: harness.Connection, number: int) -> None:
    """Until there are so many checkpoints, or nothing is left to do."""
    wait_until(lambda: _checkpoints(connection) >= number or _over(connection), 60, f"checkpoint {number}")


def _checkpoints(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    row = connection.execute("SELECT count(*) FROM df.checkpoints").fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]


def _workers(connection: harness.Connection) -> set[object]:
    return {id for (id,) in connection.execute("SELECT id FROM df.workers").fetchall()}


def _over(connection: harness.Connection) -> bool:
    look = "SELECT NOT EXISTS (SELECT FROM df.instances WHERE completed_at IS NULL)"
    return connection.execute(look).fetchone() == (True,)
