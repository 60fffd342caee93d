"""The network between a worker and PostgreSQL: cut without a word, and slow."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.deaths.network import Network
from tests.executor.support import WorkerProcess, chain, count_of, effects, ended, rows_of, submit, until

Connection = psycopg.Connection[tuple[object, ...]]
HELD = "WITH open AS (SELECT * FROM gate FOR UPDATE) INSERT INTO effects SELECT 'held' FROM open"
PLAN = chain(
    ("before", count_of("INSERT INTO effects VALUES ('before')")),
    ("held", count_of(HELD)),
    ("after", count_of("INSERT INTO effects VALUES ('after')")),
)
IMPATIENT = "from dfc.executor import heartbeat; heartbeat.ANSWER_SECONDS_MIN = 0.5"
WORKERS = "SELECT id FROM df.workers ORDER BY id"
ONCE = [("after", 1), ("before", 1), ("held", 1)]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute(
            "CREATE TABLE effects (who text, pid int DEFAULT pg_backend_pid());"
            " CREATE TABLE gate AS SELECT 1 AS n"
        )
        yield opened


def waiting(connection: Connection) -> set[object]:
    """The sessions of steps that wait at the gate."""
    look = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'dfc step'"
        " AND wait_event_type = 'Lock' AND datname = current_database()"
    )
    return {pid for (pid,) in connection.execute(look).fetchall()}


@pytest.mark.long
def test_another_worker_goes_on_when_the_network_is_cut(database: str, connection: Connection) -> None:
    """What was held up in the network arrives in the end, when another worker has done it all."""
    with (
        psycopg.connect(database) as locker,
        Network(database) as network,
        WorkerProcess(network.database, lease_seconds=1.0) as one,
    ):
        one.registered()
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, PLAN)
        old = until(lambda: waiting(connection), "the step to wait")
        network.cut(also_new=True)
        with WorkerProcess(database, lease_seconds=1.0) as other:
            other.registered()
            until(lambda: len(waiting(connection)) == 2, "the other worker to run the step, too")
            locker.rollback()
            assert ended(connection, instance)["status"] == "completed"
            network.mend()
            one.registered(times=2)
    assert effects(connection) == ONCE
    # The first one was the first to get through the gate. It was refused, not the one that holds the fence.
    assert connection.execute("SELECT pid FROM effects WHERE who = 'held'").fetchone() not in {
        (pid,) for pid in old
    }


def test_a_worker_alone_notices_that_its_connections_hang(database: str, connection: Connection) -> None:
    """As behind a router that has forgotten them: nobody says that they are gone, and new ones work."""
    with (
        psycopg.connect(database) as locker,
        Network(database) as network,
        WorkerProcess(network.database, prelude=IMPATIENT, lease_seconds=0.5) as worker,
    ):
        worker.registered()
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, PLAN)
        until(lambda: waiting(connection), "the step to wait")
        network.cut(also_new=False)
        worker.registered(times=2)
        assert "no answer" in worker.log
        locker.rollback()
        assert ended(connection, instance)["status"] == "completed"
        assert effects(connection) == ONCE
        # One that has nothing to do notices it, too.
        network.cut(also_new=False)
        worker.registered(times=3)
        [instance] = submit(connection, chain(("again", count_of("INSERT INTO effects VALUES ('again')"))))
        assert ended(connection, instance)["status"] == "completed"


@pytest.mark.long
def test_a_slow_network_only_takes_longer(database: str, connection: Connection) -> None:
    """300 ms for each answer, with a lease of a second: nobody is taken for dead, nothing happens twice."""
    with (
        Network(database, delay_seconds=0.15) as network,
        WorkerProcess(network.database, lease_seconds=1.0) as worker,
        WorkerProcess(database, lease_seconds=1.0, slots=1) as other,
    ):
        worker.registered()
        other.registered()
        registered = connection.execute(WORKERS).fetchall()
        plan = chain(*((f"s{n}", count_of(f"INSERT INTO effects VALUES ('s{n}')")) for n in range(3)))
        ids = [
            *submit(connection, plan, times=10),
            *submit(connection, chain(("slow", rows_of("SELECT pg_sleep(2)")))),
        ]
        for instance in ids:
            assert ended(connection, instance)["status"] == "completed"
        assert effects(connection) == [("s0", 10), ("s1", 10), ("s2", 10)]
        assert connection.execute(WORKERS).fetchall() == registered, "nobody was taken for dead"
        assert len(registered) == 2 and "fence lost" not in worker.log + other.log
