"""Paused instances with real workers: what runs comes to its end, nothing begins until they are resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psycopg
import pytest

from tests.executor import operating
from tests.executor.operating import Connection, comes_to, ledger, paused, start, status
from tests.executor.support import WorkerProcess, ended, until


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        operating.prepare(connection)
        yield connection


def pause(connection: Connection, instance: str) -> None:
    connection.execute("SELECT df.pause_instance(%s)", [instance])


def pause_at_work(connection: Connection, instance: str) -> None:
    """Pause what a worker drives, and wait until it knows.

    It looks for requests when it claims: a second workflow is claimed by a look that began when the first
    had ended.
    """
    pause(connection, instance)
    for _ in range(2):
        ended(connection, start(connection, "'SELECT 1'"))


def resume(connection: Connection, instance: str) -> None:
    connection.execute("SELECT df.resume_instance(%s)", [instance])


def still_paused(connection: Connection, instance: str) -> None:
    """A whole other workflow runs meanwhile, and this one does not move."""
    before = ledger(connection)
    ended(connection, start(connection, "'SELECT 1'"))
    assert status(connection, instance) == "paused"
    assert ledger(connection) == before


def test_what_runs_comes_to_its_end_and_nothing_new_begins(database: str, session: Connection) -> None:
    operating.shut(session)
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(
            session, "'SELECT wrote(''a'', true)' ~> 'SELECT wrote(''b'')' ~> 'SELECT wrote(''c'')'"
        )
        operating.held_up(session)
        pause_at_work(session, instance)
        assert status(session, instance) == "paused"
        operating.held_up(session)  # it is not interrupted
        operating.open_gate(session)
        paused(session, instance)
        assert ledger(session) == ["a"]
        assert session.execute("SELECT count(*) FROM df.requests").fetchone() == (0,)
        still_paused(session, instance)
        resume(session, instance)
        assert ended(session, instance)["status"] == "completed"
        assert ledger(session) == ["a", "b", "c"]


def test_branches_come_to_their_ends(database: str, session: Connection) -> None:
    operating.shut(session)
    with WorkerProcess(database) as worker:
        worker.registered()
        branch = "'SELECT wrote(''{0}1'', true)' ~> 'SELECT wrote(''{0}2'')'"
        instance = start(session, f"df.join({branch.format('a')}, {branch.format('b')})")
        operating.held_up(session, 2)
        pause_at_work(session, instance)
        operating.open_gate(session)
        paused(session, instance)
        assert sorted(ledger(session)) == ["a1", "b1"]
        still_paused(session, instance)
        resume(session, instance)
        assert ended(session, instance)["status"] == "completed"
        assert sorted(ledger(session)) == ["a1", "a2", "b1", "b2"]


def test_it_is_resumed_before_it_stands_still(database: str, session: Connection) -> None:
    operating.shut(session)
    with WorkerProcess(database) as worker:
        worker.registered()
        other = "'SELECT pg_sleep(0.2)' ~> 'SELECT wrote(''b'')' ~> 'SELECT wrote(''c'')'"
        instance = start(session, f"df.join('SELECT wrote(''a'', true)', {other})")
        operating.held_up(session)
        pause_at_work(session, instance)
        resume(session, instance)
        until(lambda: ledger(session) == ["b", "c"], "the other branch")
        operating.open_gate(session)
        assert ended(session, instance)["status"] == "completed"


@pytest.mark.parametrize(
    "waiting",
    ["df.sleep(3600)", "df.wait_for_signal('go')", "df.wait_for('SELECT false', every => '1 hour')"],
)
def test_what_waits_is_paused_too(database: str, session: Connection, waiting: str) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, f"{waiting} ~> 'SELECT wrote(''a'')'")
        look = "SELECT count(*) FROM df.fences WHERE wake_at IS NOT NULL"
        until(lambda: session.execute(look).fetchone() == (1,), "it to be parked")
        pause(session, instance)
        paused(session, instance)
        session.execute("SELECT df.signal(%s, 'go')", [instance])
        session.execute("UPDATE df.marks SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")
        still_paused(session, instance)
        if "SELECT false" in waiting:
            return
        resume(session, instance)
        assert ended(session, instance)["status"] == "completed"
        assert ledger(session) == ["a"]


def test_a_pending_one_is_not_started(database: str, session: Connection) -> None:
    instance = start(session, "'SELECT wrote(''a'')'")
    keyed = start(session, "'SELECT wrote(''k'')'", ", concurrency_key => 'k'")
    for one in (instance, keyed):
        pause(session, one)
        assert status(session, one) == "paused"
    with WorkerProcess(database) as worker:
        worker.registered()
        for one in (instance, keyed):
            paused(session, one)
        still_paused(session, instance)
        assert session.execute("SELECT instance_id FROM df.list_instances('pending')").fetchall() == []
        rows = session.execute("SELECT instance_id FROM df.list_instances('paused')").fetchall()
        assert [row[0] for row in rows] == [keyed, instance]
        for one in (instance, keyed):
            resume(session, one)
            assert ended(session, one)["status"] == "completed"
    assert ledger(session) == ["a", "k"]


def test_a_cancel_undoes_it_at_once(database: str, session: Connection) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        operating.shut(session)
        undoable = "df.compensate('SELECT wrote(''do'')', 'SELECT wrote(''undo'')')"
        instance = start(session, f"{undoable} ~> 'SELECT wrote(''a'', true)' ~> 'SELECT wrote(''b'')'")
        operating.held_up(session)
        pause_at_work(session, instance)
        operating.open_gate(session)
        paused(session, instance)
        session.execute("SELECT df.cancel(%s, 'enough')", [instance])
        row = ended(session, instance)
        assert (row["status"], row["error"]["reason"], row["paused"]) == ("cancelled", "enough", False)
        assert ledger(session) == ["do", "a", "undo"]
        # One that has not begun, and one that comes to its pause.
        pending = start(session, "'SELECT 1'", ", start_at => now() + interval '1 hour'")
        pause(session, pending)
        paused(session, pending)
        session.execute("SELECT df.cancel(%s)", [pending])
        assert ended(session, pending)["status"] == "cancelled"
        operating.shut(session)
        running = start(session, "'SELECT wrote(''c'', true)' ~> 'SELECT wrote(''d'')'")
        operating.held_up(session)
        pause(session, running)
        session.execute("SELECT df.cancel(%s)", [running])
        assert ended(session, running)["status"] == "cancelled"
        assert ledger(session) == ["do", "a", "undo"]


def test_nobody_takes_it_over(database: str, session: Connection) -> None:
    operating.shut(session)
    with WorkerProcess(database) as first:
        first.registered()
        instance = start(session, "'SELECT wrote(''a'', true)' ~> 'SELECT wrote(''b'')'")
        operating.held_up(session)
        first.signal(signal.SIGKILL)
        first.wait()
    pause(session, instance)
    operating.open_gate(session)
    with WorkerProcess(database) as second:
        second.registered()
        paused(session, instance)
        still_paused(session, instance)
        second.signal(signal.SIGKILL)
        second.wait()
    resume(session, instance)
    with WorkerProcess(database) as third:
        third.registered()
        assert ended(session, instance)["status"] == "completed"
    assert ledger(session) == ["a", "b"]


def test_what_happens_once_only_is_not_ambiguous(database: str, session: Connection) -> None:
    """Its first attempt fails while it is paused: the next one begins behind the pause."""
    operating.shut(session)
    operating.break_step(session, "a")
    with WorkerProcess(database) as worker:
        worker.registered()
        policy = "max_attempts => 3, backoff => 0.1, retry_on => ARRAY['P0001'], delivery => 'at_most_once'"
        instance = start(session, f"df.sql('SELECT wrote(''a'', true)', autocommit => true, {policy})")
        operating.held_up(session)
        pause_at_work(session, instance)
        operating.open_gate(session)
        paused(session, instance)
        operating.mend(session)
        resume(session, instance)
        assert comes_to(session, instance, "completed", "failed")["error"] is None
    assert ledger(session) == ["a"]


def test_a_worker_that_is_killed_while_it_is_paused_leaves_it_paused(
    database: str, session: Connection
) -> None:
    operating.shut(session)
    with WorkerProcess(database) as first, WorkerProcess(database) as second:
        first.registered()
        second.registered()
        instances = [start(session, "'SELECT wrote(''a'', true)' ~> 'SELECT wrote(''b'')'") for _ in range(4)]
        operating.held_up(session, 4)
        for instance in instances:
            pause(session, instance)
        # Two workers: each has looked when this often as long as a slow poll has passed.
        knows = "SELECT clock_timestamp() - max(created_at) > interval '3 s' FROM df.requests"
        until(lambda: session.execute(knows).fetchone() == (True,), "both workers to look")
        first.signal(signal.SIGKILL)
        first.wait()
        operating.open_gate(session)
        for instance in instances:
            paused(session, instance)
        assert set(ledger(session)) <= {"a"}
        for instance in instances:
            resume(session, instance)
            assert ended(session, instance)["status"] == "completed"
    assert sorted(ledger(session)) == ["a"] * 4 + ["b"] * 4


def test_a_pending_one_leaves_its_place_to_others(database: str, session: Connection) -> None:
    """Under a key that one at a time may have: who is paused is passed by, and comes when it goes on."""
    operating.shut(session)
    with WorkerProcess(database) as worker:
        worker.registered()
        expression = "'SELECT wrote(''{0}'', {1})'"
        first, second, third = (
            start(session, expression.format(name, gated), ", concurrency_key => 'k'")
            for name, gated in (("a", "true"), ("b", "false"), ("c", "false"))
        )
        operating.held_up(session)
        pause(session, second)
        paused(session, second)
        operating.open_gate(session)
        for instance in (first, third):
            ended(session, instance)
        assert status(session, second) == "paused"
        resume(session, second)
        ended(session, second)
    assert ledger(session) == ["a", "c", "b"]
