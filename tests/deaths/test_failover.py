"""The database's machine dies, and a streaming replica is promoted in its place."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import psycopg
import pytest

from dfc.executor import migrate
from tests.deaths.replica import KEPT, Replica, either, stream
from tests.executor.support import WorkerProcess, chain, count_of, effects, ended, submit, until
from tests.postgres import Server

RUNS = 40
STEPS = 4
PLAN = chain(*((f"s{n}", count_of(f"INSERT INTO effects VALUES ('s{n}')")) for n in range(STEPS)))


@contextlib.contextmanager
def pair(*, synchronous: bool) -> Generator[tuple[Server, Replica]]:
    primary = Server("18", KEPT)
    try:
        primary.start()
        migrate.install(primary.url())
        replica = Replica(primary)
        try:
            replica.start()
            stream(primary, replica.folder, synchronous=synchronous)
            yield primary, replica
        finally:
            replica.remove()
    finally:
        primary.remove()


def count(connection: psycopg.Connection[tuple[object, ...]], what: str) -> int:
    row = connection.execute(f"SELECT count(*)::int FROM {what}".encode()).fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]


def each_once(connection: psycopg.Connection[tuple[object, ...]], ids: list[str]) -> None:
    """Wait for the end of all, and count their effects."""
    for instance in ids:
        assert ended(connection, instance)["status"] == "completed"
    assert effects(connection) == [(f"s{n}", RUNS) for n in range(STEPS)]


@pytest.mark.long
def test_nothing_is_lost_when_a_synchronous_replica_is_promoted() -> None:
    """The worker finds the new server by itself, and does not take it for a copy."""
    with (
        pair(synchronous=True) as (primary, replica),
        WorkerProcess(either(primary, replica), slots=4, lease_seconds=1.0) as worker,
    ):
        worker.registered()
        with psycopg.connect(primary.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE effects (who text)")
            ids = submit(connection, PLAN, times=RUNS)
            until(lambda: count(connection, "effects") > RUNS, "progress")
        primary.kill()
        replica.promote()
        with psycopg.connect(either(primary, replica), autocommit=True) as connection:
            assert count(connection, "effects") < RUNS * STEPS, "nothing was left to be done"
            each_once(connection, ids)
            assert count(connection, "df.fences") == 0
        assert worker.log.count("registered worker=") == 2
        assert worker.process.poll() is None, worker.log


@pytest.mark.long
def test_an_asynchronous_replica_knows_less_and_is_whole() -> None:
    """What it has not got is lost with effect and record together: so it is done again, and counts once."""
    with (
        pair(synchronous=False) as (primary, replica),
        WorkerProcess(either(primary, replica), slots=4, lease_seconds=1.0) as worker,
    ):
        worker.registered()
        with psycopg.connect(primary.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE effects (who text)")
            ids = submit(connection, PLAN, times=RUNS)
            until(lambda: count(connection, "effects") > STEPS, "progress")
            replica.stop_receiving()
            for instance in ids:
                assert ended(connection, instance)["status"] == "completed"
            assert count(connection, "effects") == RUNS * STEPS
            [lost] = submit(connection, PLAN)
            ended(connection, lost)
        primary.kill()
        replica.promote()
        with psycopg.connect(either(primary, replica), autocommit=True) as connection:
            before = count(connection, "effects")
            assert before < RUNS * STEPS
            each_once(connection, ids)
            # A start that only the dead server has seen is gone.
            look = "SELECT count(*) FROM df.instances WHERE id = %s"
            assert connection.execute(look, [lost]).fetchone() == (0,)
