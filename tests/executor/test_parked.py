"""Instances that only wait: no slot, taken up when they are due, and at once when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from dfc.compiler.plan import Duration, Plan, Policy, RateLimit, SqlNode
from tests.executor.support import WorkerProcess, chain, count_of, ended, rows_of, submit, until

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("CREATE TABLE gate (open integer)")
        opened.execute("INSERT INTO gate VALUES (0)")
        yield opened


def flaky(seconds: int) -> Plan:
    """A step that fails while the gate is shut, to be tried again after so many seconds; then a last one."""
    plan = chain(
        ("flaky", rows_of("SELECT 1 / open AS one FROM gate")),
        ("last", count_of("UPDATE gate SET open = open + 1", kind="update")),
    )
    first = plan.nodes[0]
    assert isinstance(first, SqlNode)
    wait = Duration(microseconds=seconds * 1_000_000)
    policy = Policy(max_attempts=2, backoff=wait, max_backoff=wait, jitter=False, retry_on=("22012",))
    return replace(plan, nodes=(replace(first, policy=policy), *plan.nodes[1:]))


def parked(connection: Connection, count: int = 1) -> None:
    look = "SELECT count(*) FROM df.fences WHERE worker IS NULL AND wake_at > now()"
    until(lambda: connection.execute(look).fetchone() == (count,), f"{count} parked instances")


def test_it_holds_no_slot_and_goes_on_when_it_is_due(database: str, connection: Connection) -> None:
    with WorkerProcess(database, slots=1, poll_seconds=60.0) as worker:
        worker.registered()
        [instance] = submit(connection, flaky(6))
        parked(connection)
        row = connection.execute(
            "SELECT status, attempt, waiting_for, current_steps, next_attempt_at > now() FROM df.instances"
        ).fetchone()
        assert row == ("running", 2, "flaky", ["flaky"], True)
        attempt = connection.execute("SELECT attempts, last_error->>'sqlstate' FROM df.attempts").fetchone()
        assert attempt == (1, "22012")
        due = connection.execute("SELECT wake_at FROM df.fences").fetchone()
        assert due is not None
        # Its slot is another's.
        between = ended(connection, submit(connection, chain(("a", rows_of("SELECT 1"))))[0])
        connection.execute("UPDATE gate SET open = 1")
        row = ended(connection, instance)
        assert (between["status"], row["status"]) == ("completed", "completed")
        assert between["completed_at"] < due[0] < row["completed_at"]
        # Nobody has sent a notification, and the next look would have been in a minute.
        assert (row["completed_at"] - due[0]).total_seconds() < 20
        assert (row["waiting_for"], row["current_steps"], row["next_attempt_at"]) == (None, None, None)
    assert connection.execute("SELECT open FROM gate").fetchone() == (2,)


def test_a_cancel_wakes_it(database: str, connection: Connection) -> None:
    with WorkerProcess(database, poll_seconds=60.0) as worker:
        worker.registered()
        [instance, other] = submit(connection, flaky(3600), times=2)
        parked(connection, 2)
        connection.execute("SELECT df.cancel(%s, 'enough')", [instance])
        row = ended(connection, instance)
        assert (row["status"], row["error"]["reason"]) == ("cancelled", "enough")
        parked(connection, 1)
        status = connection.execute("SELECT status FROM df.instances WHERE id = %s", [other]).fetchone()
        assert status == ("running",)


def test_it_outlives_its_worker(database: str, connection: Connection) -> None:
    with WorkerProcess(database) as first:
        first.registered()
        [instance] = submit(connection, flaky(3600))
        parked(connection)
    connection.execute("UPDATE gate SET open = 1")
    connection.execute("UPDATE df.attempts_made SET next_attempt_at = now() + interval '1 s'")
    connection.execute("UPDATE df.fences SET wake_at = now() + interval '1 s'")
    with WorkerProcess(database, poll_seconds=60.0) as second:
        second.registered()
        assert ended(connection, instance)["status"] == "completed"
    assert connection.execute("SELECT attempts FROM df.attempts").fetchone() == (1,)


def limited() -> Plan:
    """A step of which one a minute may begin."""
    body = count_of("UPDATE gate SET open = open + 1", kind="update")
    policy = Policy(rate_limit=RateLimit(count=1, seconds=60), rate_key="gate")
    return Plan(nodes=(SqlNode(id="limited", after=(), body=body, policy=policy),), result="limited")


def test_whoever_waits_for_a_turn_holds_no_slot_and_keeps_it(database: str, connection: Connection) -> None:
    with WorkerProcess(database, slots=1, poll_seconds=60.0) as worker:
        worker.registered()
        [first] = submit(connection, limited())
        assert ended(connection, first)["status"] == "completed"
        [second] = submit(connection, limited())
        parked(connection)
        [third] = submit(connection, limited())
        parked(connection, 2)
        look = "SELECT waiting_for, round(extract(epoch FROM next_attempt_at - now()) / 60) FROM df.instances"
        rows = connection.execute(f"{look} WHERE status = 'running' ORDER BY id".encode()).fetchall()
        assert rows == [("limited", 1), ("limited", 2)]
        assert (
            ended(connection, submit(connection, chain(("a", rows_of("SELECT 1"))))[0])["status"]
            == "completed"
        )
        connection.execute("SELECT df.cancel(%s)", [third])
        assert ended(connection, third)["status"] == "cancelled"
    connection.execute("UPDATE df.marks SET due_at = now() + interval '1 s'")
    connection.execute("UPDATE df.fences SET wake_at = now() + interval '1 s'")
    # Another worker does not queue up again.
    with WorkerProcess(database, poll_seconds=60.0) as worker:
        worker.registered()
        assert ended(connection, second)["status"] == "completed"
    assert connection.execute("SELECT open FROM gate").fetchone() == (2,)
