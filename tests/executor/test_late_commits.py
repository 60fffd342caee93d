"""A statement that its worker has lost may go on at the server, but not commit once it is repeated."""

from __future__ import annotations

import psycopg

from dfc.compiler.plan import Block, Form, MapNode, Plan, SqlNode
from tests.executor.proxy import Cut, Proxy
from tests.executor.support import WorkerProcess, count_of, ended, rows_of, submit, until

FIRST, LAST = 1, 2
"""The advisory locks that the first call of gate(), and the last step, wait for."""

GATE = """
CREATE TABLE effects (who text);
CREATE SEQUENCE calls;
CREATE FUNCTION gate() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('calls') = 1 THEN
        PERFORM pg_advisory_xact_lock(1);
        RETURN 'late';
    END IF;
    RETURN 'repeated';
END $$;
"""


def workflow() -> Plan:
    """A map whose item has ended, with its first step's record forgotten, while the last step waits."""
    body = Block(
        nodes=(
            SqlNode(id="effect", after=(), body=count_of("INSERT INTO effects SELECT gate()")),
            SqlNode(id="end", after=("effect",), body=rows_of("SELECT 1")),
        ),
        result="end",
    )
    items = rows_of("SELECT 1 AS n", form=Form.QUERY)
    hold = SqlNode(id="hold", after=("m",), body=rows_of(f"SELECT pg_advisory_xact_lock({LAST})"))
    return Plan(nodes=(MapNode(id="m", after=(), items=items, body=body), hold), result="hold")


def test_a_statement_that_was_lost_and_repeated_does_not_commit(database: str) -> None:
    with (
        psycopg.connect(database, autocommit=True) as connection,
        psycopg.connect(database, autocommit=True) as holder,
        Proxy(database) as proxy,
        WorkerProcess(proxy.database, poll_seconds=0.05, lease_seconds=60.0) as worker,
    ):

        def waiting(lock: int) -> bool:
            look = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
            return connection.execute(look, [lock]).fetchone() == (1,)

        connection.execute(GATE)
        holder.execute("SELECT pg_advisory_lock(%s), pg_advisory_lock(%s)", [FIRST, LAST])
        worker.registered()
        proxy.arm(0, Cut.UNSEEN, b"gate()", b"df.checkpoint")
        [instance] = submit(connection, workflow())
        until(lambda: waiting(LAST), "the last step")
        assert proxy.cuts == 1
        assert waiting(FIRST), "the first statement is still under way"
        look = "SELECT count(*) FROM df.checkpoints WHERE path LIKE 'm[1]/%'"
        assert connection.execute(look).fetchone() == (0,), "its record is forgotten"

        holder.execute("SELECT pg_advisory_unlock(%s)", [FIRST])
        gone = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%gate()%'"
        until(lambda: connection.execute(gone).fetchone() == (1,), "the late statement to end")
        assert connection.execute("SELECT who FROM effects").fetchall() == [("repeated",)]
        holder.execute("SELECT pg_advisory_unlock(%s)", [LAST])
        assert ended(connection, instance)["status"] == "completed"
