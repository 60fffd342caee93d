"""What the worker calls: claim, take-over, records, the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import psycopg
import pytest

WIRE = '/*dfc:1:18*/{"sql":"SELECT 42"}'
PLAN = {"format": 1, "nodes": [], "result": "step1"}


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url, autocommit=True)


@pytest.fixture
def worker(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(database) as connection:
        yield connection


def register(connection: psycopg.Connection[tuple[object, ...]], lease: float = 60, compiler: int = 1) -> int:
    row = connection.execute(
        "SELECT df._register_worker('here', 1, '0.1', %s, '{1}', %s, 4)", [compiler, lease]
    ).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def submit(connection: psycopg.Connection[tuple[object, ...]], expression: str = WIRE) -> str:
    row = connection.execute(
        "INSERT INTO df.instances (expression) VALUES (%s) RETURNING id", [expression]
    ).fetchone()
    assert row is not None
    return str(row[0])


def claim(
    connection: psycopg.Connection[tuple[object, ...]],
    worker: int,
    roles: list[str] | None = None,
    most: int = 10,
) -> list[tuple[str, bytes, bool]]:
    rows = connection.execute(
        "SELECT instance_id, token, resumed FROM df._claim(%s, '{1}', %s::name[], %s)", [worker, roles, most]
    ).fetchall()
    return [(str(row[0]), bytes(row[1]), bool(row[2])) for row in rows]  # type: ignore[arg-type]


def activation(token: bytes, path: str) -> bytes:
    return hashlib.sha256(token + path.encode()).digest()


CHECKPOINT = (
    "SELECT journal, finished, cancel_reason FROM df.checkpoint(%s, %s, %s, %s, %s::oid[], %s, %s, %s)"
)


def checkpoint(
    connection: psycopg.Connection[tuple[object, ...]],
    token: bytes,
    instance: str,
    path: str,
    finish: object = None,
    cells: list[str | None] | None = None,
) -> tuple[object, ...]:
    written = json.dumps(finish) if finish is not None else None
    row = connection.execute(
        CHECKPOINT,
        [
            activation(token, path),
            instance,
            path,
            ["answer"],
            [23],
            cells or ["42"],
            len(cells or [1]),
            written,
        ],
    ).fetchone()
    assert row is not None
    return row


def test_life_of_an_instance(worker: psycopg.Connection[tuple[object, ...]]) -> None:
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


def test_records_once_and_under_the_fence(worker: psycopg.Connection[tuple[object, ...]]) -> None:
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
        "SELECT path, kind, cells FROM df._history(%s, %s)", [instance, token]
    ).fetchall()
    assert history == [("a", "completed", ["42"]), ("b", "completed", None), ("c", "failed", None)]
    finish = json.dumps({"status": "failed", "error": {"message": "no", "sqlstate": "22012", "step": "c"}})
    worker.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    assert worker.execute("SELECT status, error->>'message' FROM df.instances").fetchone() == ("failed", "no")
    with pytest.raises(psycopg.Error) as caught:
        worker.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    assert caught.value.sqlstate == "DX001"


def test_death_is_seen_at_once_and_a_lease_runs_out(
    database: str, worker: psycopg.Connection[tuple[object, ...]]
) -> None:
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
        claim(worker, me)
        assert paused.execute("SELECT df._heartbeat(%s)", [slow]).fetchone() == (False,)
        assert claim(paused, slow) == []


def test_handing_over(database: str, worker: psycopg.Connection[tuple[object, ...]]) -> None:
    me = register(worker)
    with connect(database) as other:
        leaving = register(other)
        instance = submit(other)
        claim(other, leaving)
        other.execute("SELECT df._unregister_worker(%s)", [leaving])
        [(again, _, resumed)] = claim(worker, me)
        assert (again, resumed) == (instance, True)


def test_cancel_goes_before_completed(worker: psycopg.Connection[tuple[object, ...]]) -> None:
    me = register(worker)
    instance = submit(worker)
    [(_, token, _)] = claim(worker, me)
    worker.execute(
        "INSERT INTO df.requests (instance_id, kind, reason) VALUES (%s, 'cancel', 'enough')", [instance]
    )
    assert worker.execute("SELECT * FROM df._cancels(%s)", [me]).fetchall() == [(instance, "enough")]
    done = checkpoint(worker, token, instance, "a", {"status": "completed", "shape": "a"})
    assert done[1:] == (False, "enough")
    finish = json.dumps({"status": "cancelled", "reason": "enough"})
    worker.execute("SELECT df._finish(%s, %s, %s)", [token, instance, finish])
    row = worker.execute("SELECT status, error->>'reason', result FROM df.instances").fetchone()
    assert row == ("cancelled", "enough", None)
