"""Instances that wait for a year, by the database's clock. Needs `faketime`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from dfc.executor import migrate
from tests.executor.clock import Clock
from tests.executor.support import WorkerProcess, ended, until
from tests.sql.worker import value

pytestmark = pytest.mark.apt
DAY = 24.0


@pytest.fixture
def clock() -> Iterator[Clock]:
    running = Clock(os.environ.get("POSTGRES_VERSION", "18"))
    migrate.install(running.server.url())
    yield running
    running.server.remove()


def test_a_year(clock: Clock) -> None:
    """Nothing happens for a year, workers come and go, what has ended meanwhile is gone; then all go on."""
    url = clock.server.url()
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("CREATE TABLE ledger (what text)")
        write = "'INSERT INTO ledger VALUES (''{}'')'"
        workflows = {
            "sleep": f"df.sleep('365 days') ~> {write.format('sleep')}",
            "signal": f"df.wait_for_signal('never', '365 days') ~> {write.format('signal')}",
            "until": f"df.wait_until(now() + interval '364 days') ~> {write.format('until')}",
            "limit": f"df.timeout(df.wait_for_signal('never'), '365 days', {write.format('limit')})",
        }
        value(session, "SELECT df.set_retention('30 days')")
        with WorkerProcess(url, lease_seconds=2.0) as worker:
            worker.registered()
            waiting = [
                str(value(session, f"SELECT df.start({text}, '{name}')")) for name, text in workflows.items()
            ]
            short = str(value(session, "SELECT df.start('SELECT 1 AS n')"))
            ended(session, short)
            parked = "SELECT count(*) = 4 FROM df.fences WHERE wake_at > now() AND worker IS NULL"
            until(lambda: value(session, parked), "all of them to wait")
        for days in (31, 200, 363):
            clock.set(days * DAY)
            with WorkerProcess(url, lease_seconds=2.0) as worker:
                worker.registered()
                until(lambda: value(session, "SELECT df.status(%s) IS NULL", short), "what has ended to go")
                until(lambda: worker.log.count("registered") and value(session, parked), "them to wait on")
        assert value(session, "SELECT count(*) FROM ledger") == 0
        clock.set(367 * DAY)
        with WorkerProcess(url, lease_seconds=2.0) as worker:
            worker.registered()
            assert {ended(session, id)["status"] for id in waiting} == {"completed"}
        found = {row[0] for row in session.execute("SELECT what FROM ledger").fetchall()}
        assert found == set(workflows)
