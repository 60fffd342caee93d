"""As test_cuts.py, for what is more than one statement in one transaction: each effect is counted again."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from dfc.compiler.plan import (
    AtomicNode,
    Block,
    Duration,
    Form,
    MapNode,
    Parameter,
    Plan,
    Policy,
    SqlNode,
    Use,
    item_source,
)
from tests.executor.proxy import Cut, Proxy
from tests.executor.support import WorkerProcess, count_of, ended, reference, rows_of, submit

MESSAGES = 48


def workflow() -> Plan:
    """A step with policies, a transaction of two, a map, and a statement outside of a transaction."""
    policy = Policy(
        isolation="serializable",
        timeout=Duration(microseconds=60_000_000),
        settings=(("work_mem", "8MB"),),
    )
    first = "INSERT INTO effects VALUES ('one') RETURNING who"
    second = "INSERT INTO effects SELECT $one.who || ' two'"
    body = "INSERT INTO effects SELECT 'item ' || $item"
    item = Parameter(
        name="item",
        source=item_source("m"),
        use=Use.VALUE,
        start=body.index("$item"),
        end=len(body),
    )
    alone = "DO $$ BEGIN INSERT INTO effects VALUES ('alone'); COMMIT; END $$"
    return Plan(
        nodes=(
            SqlNode(id="own", after=(), body=count_of("INSERT INTO effects VALUES ('own')"), policy=policy),
            AtomicNode(
                id="both",
                after=("own",),
                body=Block(
                    nodes=(
                        SqlNode(id="one", after=(), body=rows_of(first, kind="insert"), used=True),
                        SqlNode(
                            id="two", after=("one",), body=count_of(second, reference(second, "$one.who"))
                        ),
                    ),
                    result="two",
                ),
            ),
            MapNode(
                id="m",
                after=("both",),
                items=rows_of("SELECT n FROM generate_series(1, 3) AS n", form=Form.QUERY),
                body=Block(nodes=(SqlNode(id="each", after=(), body=count_of(body, item)),), result="each"),
            ),
            SqlNode(id="last", after=("m",), body=count_of(alone, form=Form.AUTOCOMMIT, kind="do")),
        ),
        result="last",
    )


ONCE = ["item 1", "item 2", "item 3", "one", "one two", "own"]


@pytest.mark.parametrize(
    ("cut", "step"), [(Cut.BEFORE, 3), *(pytest.param(cut, 1, marks=pytest.mark.long) for cut in Cut)]
)
def test_a_connection_is_lost_at_each_message(database: str, cut: Cut, step: int) -> None:
    plan = workflow()
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
                effects = connection.execute("DELETE FROM effects RETURNING who").fetchall()
                found = Counter(who for (who,) in effects)
                assert row["status"] == "completed", (message, row["error"], worker.log)
                assert found.pop("alone") >= 1, message
                assert sorted(found.elements()) == ONCE, (message, worker.log)
        assert worker.process.poll() is None
