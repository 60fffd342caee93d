"""A worker dies beside one that has nothing to do."""

from __future__ import annotations

import psycopg

from dfc.compiler.plan import Form
from tests.executor.support import WorkerProcess, chain, count_of, ended, submit, until

HELD = (
    "DO $$ BEGIN PERFORM FROM df.fences FOR UPDATE; PERFORM FROM gate FOR UPDATE;"
    " INSERT INTO effects VALUES ('held'); END $$"
)
"""Until the server has noticed that its client is gone, it keeps the fence: the first looks are too early."""
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'dfc step'"
    " AND wait_event_type = 'Lock' AND datname = current_database()"
)
LOUD = """
from dfc.executor import worker
doze = worker._Life._doze
async def say_and_doze(self, found):
    if not found and self._loop.time() >= self._look_until:
        worker._log.info("dozes")
    await doze(self, found)
worker._Life._doze = say_and_doze
"""


def test_an_idle_worker_misses_another_one_without_a_poll(database: str) -> None:
    """Nothing else would tell it: it polls every ten minutes, and the lease is as long."""
    plan = chain(("held", count_of(HELD, form=Form.EXECUTE, kind="do")))
    with (
        psycopg.connect(database, autocommit=True) as connection,
        psycopg.connect(database) as locker,
        WorkerProcess(database, lease_seconds=600.0, poll_seconds=600.0) as first,
    ):
        connection.execute(
            "CREATE TABLE effects (who text); CREATE TABLE gate (n int); INSERT INTO gate VALUES (1)"
        )
        first.registered()
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, plan)
        [old] = until(lambda: connection.execute(WAITING).fetchall(), "the step to wait")
        with WorkerProcess(database, prelude=LOUD, lease_seconds=600.0, poll_seconds=600.0) as second:
            until(lambda: "dozes" in second.log, "the second worker to have nothing to do")
            first.process.kill()
            until(lambda: set(connection.execute(WAITING).fetchall()) - {old}, "the other worker")
            locker.rollback()
            assert ended(connection, instance)["status"] == "completed"
        assert connection.execute("SELECT who, count(*) FROM effects GROUP BY who").fetchall() == [
            ("held", 1)
        ]
