"""What the worker calls: claim, take-over, records, the end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.worker import PLAN, Connection, checkpoint, claim, connect, register, submit


@pytest.fixture
def worker(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def test_life_of_an_instance(worker: Connection) -> None:
    me = register(worker)
    instance = submit(worker)
    [(claimed, token, resumed)] = claim(worker, me)
    assert (claimed, resumed) == (instance, False)
    assert claim(worker, me) == []
    worker.execute("SELECT df._store_plan(%s, %s, 1, %s, 'hash')", [instance, token, json.dumps(PLAN)])
    first = checkpoint(worker, token, instance, "step1")
    assert first[1:] == (False, None)
    last = checkpoint(
        worker, token, instance, "step2", {"status": "completed", "shape": ["step1", ["step2"]]}
    )
    assert last[1:] == (True, None)
    row = worker.execute("SELECT status, result::text, plan_hash, error FROM df.instances").fetchone()
    rows = '{"rows": [{"answer": 42}], "row_count": 1}'
    assert row == ("completed", f"[{rows}, [{rows}]]", "hash", None)
    assert worker.execute("SELECT count(*) FROM df.fences").fetchone() == (0,)
    # The plan is kept: the next start of the same expression has it at once.
    submit(worker)
    assert worker.execute("SELECT plan FROM df.instances WHERE status = 'pending'").fetchone() == (PLAN,)


def test_records_once_and_under_the_fence(worker: Connection) -> None:
    me = register(worker)
    instance = submit(worker)
    [(_, token, _)] = claim(worker, me)
    checkpoint(worker, token, instance, "a")
    with pytest.raises(psycopg.Error) as caught:
        checkpoint(worker, token, instance, "a")
    assert caught.value.sqlstate == "DX002"
    with pytest.raises(psycopg.Error) as caught:
        checkpoint(worker, b"0" * 16, instance, "b")
    assert caught.value.sqlstate == "DX001"
    record = "SELECT * FROM df._record(%s, %s, %s, %s, %s, %s, %s)"
    worker.execute(record, [token, instance, "b", "completed", '{"ok": true}', None, None])
    worker.execute(record, [token, instance, "c", "failed", None, '{"message": "no"}', None])
    with pytest.raises(psycopg.Error) as caught:
        worker.execute(record, [token, instance, "c", "failed", None, '{"message": "no"}', None])
    assert caught.value.sqlstate == "DX002"
    history = worker.execute(
        "SELECT path, kind, cells FROM df._history(%s, %s, '{a}', 65536)", [instance, token]
    ).fetchall()
    assert history == [("a", "completed", ["42"]), ("b", "completed", None), ("c", "failed", None)]
    finish = json.dumps({"status": "failed", "error": {"message": "no", "sqlstate": "22012", "step": "c"}})
    worker.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    assert worker.execute("SELECT status, error->>'message' FROM df.instances").fetchone() == ("failed", "no")
    with pytest.raises(psycopg.Error) as caught:
        worker.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    assert caught.value.sqlstate == "DX001"


def test_death_is_seen_at_once_and_a_lease_runs_out(database: str, worker: Connection) -> None:
    me = register(worker)
    instance = submit(worker)
    with connect(database) as other:
        dead = register(other)
        [(_, old, _)] = claim(other, dead)
        assert claim(worker, me) == []
    with connect(database) as paused:
        # The backend of `other` ends soon after its connection: wait for that, not for a time.
        while worker.execute(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s::oid", [dead]
        ).fetchone():
            pass
        [(again, new, resumed)] = claim(worker, me)
        assert (again, resumed, new != old) == (instance, True, True)
        with pytest.raises(psycopg.Error) as caught:
            checkpoint(worker, old, instance, "a")
        assert caught.value.sqlstate == "DX001"
        assert worker.execute("SELECT id FROM df.workers").fetchall() == [(me,)]
        slow = register(paused, lease=0.000001)
        assert paused.execute("SELECT df._heartbeat(%s)", [slow]).fetchone() == (True,)
        # Silent for a beat of ours: that is longer than its lease, whatever the clock says.
        worker.execute("SELECT df._heartbeat(%s)", [me])
        claim(worker, me)
        assert paused.execute("SELECT df._heartbeat(%s)", [slow]).fetchone() == (True,)
        for _ in range(2):
            worker.execute("SELECT df._heartbeat(%s)", [me])
        claim(worker, me)
        assert paused.execute("SELECT df._heartbeat(%s)", [slow]).fetchone() == (False,)
        assert claim(paused, slow) == []


def test_handing_over(database: str, worker: Connection) -> None:
    me = register(worker)
    with connect(database) as other:
        leaving = register(other)
        instance = submit(other)
        claim(other, leaving)
        other.execute("SELECT df._unregister_worker(%s)", [leaving])
        [(again, _, resumed)] = claim(worker, me)
        assert (again, resumed) == (instance, True)


def test_cancel_goes_before_completed(worker: Connection) -> None:
    me = register(worker)
    instance = submit(worker)
    [(_, token, _)] = claim(worker, me)
    worker.execute(
        "INSERT INTO df.requests (instance_id, kind, reason) VALUES (%s, 'cancel', 'enough')", [instance]
    )
    assert worker.execute("SELECT * FROM df._cancels(%s)", [me]).fetchall() == [
        (instance, "cancel", "enough")
    ]
    done = checkpoint(worker, token, instance, "a", {"status": "completed", "shape": "a"})
    assert done[1:] == (False, "enough")
    finish = json.dumps({"status": "cancelled", "reason": "enough"})
    worker.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    row = worker.execute("SELECT status, error->>'reason', result FROM df.instances").fetchone()
    assert row == ("cancelled", "enough", None)
