"""A connection is lost at each message of a small workflow in turn; then every effect is counted."""

from __future__ import annotations

import psycopg
import pytest

from dfc.compiler.plan import JoinNode, Plan, SqlNode
from tests.executor.proxy import Cut, Proxy
from tests.executor.support import WorkerProcess, count_of, ended, reference, rows_of, submit

MESSAGES = 32
"""A worker that has lost all its connections needs fewer to register, claim and run it once."""


def diamond() -> Plan:
    """A step with a result, two branches that use it, a join, and a last step."""
    first = rows_of("INSERT INTO effects VALUES ('first') RETURNING who", kind="insert")
    left = "INSERT INTO effects SELECT $first.who || ' left'"
    right = "INSERT INTO effects SELECT $first.who || ' right' RETURNING who"
    last = "INSERT INTO effects SELECT $right.who || ' last' RETURNING who"
    return Plan(
        nodes=(
            SqlNode(id="first", after=(), body=first, used=True),
            SqlNode(id="left", after=("first",), body=count_of(left, reference(left, "$first.who"))),
            SqlNode(
                id="right",
                after=("first",),
                body=rows_of(right, reference(right, "$first.who"), kind="insert"),
                used=True,
            ),
            JoinNode(id="both", after=("left", "right")),
            SqlNode(
                id="last",
                after=("both",),
                body=rows_of(last, reference(last, "$right.who"), kind="insert"),
            ),
        ),
        result="last",
    )


EFFECTS = ["first", "first left", "first right", "first right last"]


@pytest.mark.parametrize(
    ("cut", "step"),
    [
        (Cut.AFTER, 2),
        (Cut.UNSEEN, 2),
        *(pytest.param(cut, 1, marks=pytest.mark.long) for cut in Cut),
    ],
)
def test_a_connection_is_lost_at_each_message(database: str, cut: Cut, step: int) -> None:
    plan = diamond()
    with (
        psycopg.connect(database, autocommit=True) as connection,
        Proxy(database) as proxy,
        WorkerProcess(proxy.database, poll_seconds=0.05, lease_seconds=30.0) as worker,
    ):
        connection.execute("CREATE TABLE effects (who text)")
        worker.registered()
        for cuts, message in enumerate(range(0, MESSAGES, step)):
            proxy.arm(message, cut)
            while proxy.cuts == cuts:
                [instance] = submit(connection, plan)
                row = ended(connection, instance)
                found = connection.execute("DELETE FROM effects RETURNING who").fetchall()
                assert (row["status"], sorted(who for (who,) in found)) == ("completed", EFFECTS), (
                    message,
                    row["error"],
                    worker.log,
                )
                assert connection.execute("SELECT count(*) FROM df.fences").fetchone() == (0,)
        assert worker.process.poll() is None
