"""Riders and parked instances at their functions: who may, who is first, what is locked, what is left."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import Server
from tests.sql.worker import (
    CHECKPOINT,
    FILL,
    RECORD_ITEMS,
    STORE,
    Connection,
    Run,
    activation,
    claim,
    code_of,
    connect,
    is_blocked,
    refusal,
    register,
    submit,
    value,
)

Call = Callable[[Connection, bytes], object]


# Decisions


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_of_two_that_decide_at_once_one_wins(database: str, run: Run, isolation: str) -> None:
    run.worker.execute("CREATE TABLE effects (arm text)")
    outcome: list[str | None] = []
    with connect(database) as first, connect(database) as second:
        for arm, session in (("a", first), ("b", second)):
            session.execute(f"BEGIN ISOLATION LEVEL {isolation}".encode())
            # The snapshot of both is older than either decision.
            session.execute("INSERT INTO effects VALUES (%s)", [arm])
        run.step(first, "a", {"decide": {"path": "r/decision", "value": 1}})
        rider = {"decide": {"path": "r/decision", "value": 2}}
        rival = threading.Thread(target=lambda: outcome.append(code_of(lambda: run.step(second, "b", rider))))
        rival.start()
        while not is_blocked(run.worker, second.info.backend_pid):
            assert rival.is_alive()
        first.execute("COMMIT")
        rival.join(30)
        second.execute("ROLLBACK")
    # PostgreSQL may say itself that another was first; then it is tried again, and beaten.
    assert outcome == ["DX004"] or (isolation == "SERIALIZABLE" and outcome == ["40001"])
    assert value(run.worker, "SELECT array_agg(arm) FROM effects") == ["a"]
    marks = run.worker.execute("SELECT path, value::text, journal FROM df.marks").fetchall()
    steps = run.worker.execute("SELECT path, journal FROM df.checkpoints").fetchall()
    assert marks == [("r/decision", "1", steps[0][1])]
    assert code_of(lambda: run.step(run.worker, "b", rider)) == "DX004"


def test_a_decision_that_is_rolled_back_was_none(database: str, run: Run) -> None:
    with connect(database) as first:
        first.execute("BEGIN")
        run.step(first, "a", {"decide": {"path": "r/decision", "value": 1}})
        first.execute("ROLLBACK")
    run.step(run.worker, "b", {"decide": {"path": "r/decision", "value": 2}})
    assert value(run.worker, "SELECT value::text FROM df.marks") == "2"


# What the history brings


def test_the_history_brings_small_results_of_what_is_kept(run: Run) -> None:
    for path, size in (("a", 10), ("l[3]/b", 10), ("l[3]/c", 10), ("l[3]/d", 1000), ("h/response", 10)):
        run.worker.execute(
            "SELECT df._record(%s, %s, %s, 'completed', to_json(repeat('x', %s)), NULL, NULL)",
            [run.token, run.instance, path, size],
        )
    run.step(run.worker, "h/request")
    brought = run.worker.execute(
        "SELECT path, value IS NOT NULL OR cells IS NOT NULL FROM df._history(%s, %s, '{b,d,h,l}', 100)",
        [run.instance, run.token],
    ).fetchall()
    assert sorted(brought) == [
        ("a", False), ("h/request", True), ("h/response", True), ("l[3]/b", True), ("l[3]/c", False),
        ("l[3]/d", False),
    ]  # fmt: skip


CELLS = [
    ("1.50::numeric", "1.50"),
    ("NULL::int", "null"),
    ("'a\"b'::text", '"a\\"b"'),
    ("'{\"k\": [1]}'::jsonb", '{"k": [1]}'),
    ("'{1,NULL}'::int[]", "[1, null]"),
    ("'2026-01-02 03:04:05'::timestamp", '"2026-01-02T03:04:05"'),
    ("true", "true"),
]


@pytest.mark.parametrize(("cell", "written"), CELLS)
def test_a_cell_is_written_as_in_a_result(run: Run, cell: str, written: str) -> None:
    oid, text = run.worker.execute(
        f"SELECT pg_typeof(v)::oid::int, CASE WHEN pg_typeof(v) = 'boolean'::regtype THEN left(v::text, 1)"
        f" ELSE v::text END FROM (SELECT {cell}) AS t(v)".encode()
    ).fetchone() or (0, None)
    arguments = [run.of("a"), run.instance, "a", ["x", "v", "v"], [23, oid, 25], ["7", text, "z"], 1, None]
    run.worker.execute(CHECKPOINT, arguments)
    for column, expected in (("v", written), ("x", "7"), (None, "7"), ("none", "null")):
        shape = json.dumps({"path": "a", "column": column})
        assert value(run.worker, "SELECT df._result_of(%s, %s)", run.instance, shape) == expected


def test_a_cell_of_what_is_no_row(run: Run) -> None:
    record = "SELECT df._record(%s, %s, %s, 'completed', %s, NULL, NULL)"
    run.worker.execute(record, [run.token, run.instance, "h/response", '{"ok": true, "body": {"x": 1.0}}'])
    run.worker.execute(record, [run.token, run.instance, "v", "[1, 2]"])
    run.worker.execute(CHECKPOINT, [run.of("n"), run.instance, "n", [], [], [], 7, None])
    for path, column, expected in (
        ("h/response", "body", '{"x": 1.0}'), ("h/response", "none", "null"), ("v", "x", "null"),
        ("v", None, "[1, 2]"), ("n", None, "7"), ("n", "row_count", "7"), ("n", "x", "null"),
    ):  # fmt: skip
        shape = json.dumps({"path": path, "column": column})
        assert value(run.worker, "SELECT df._result_of(%s, %s)", run.instance, shape) == expected
    lost = '{"path": "lost", "column": null}'
    assert refusal(run.worker, "SELECT df._result_of(%s, %s)", run.instance, lost) == "XX000"


# Parked instances


def _park(run: Run, seconds: float = 3600) -> None:
    run.worker.execute("SELECT df._park(%s, %s, %s, 'a timer', false)", [run.token, run.instance, seconds])


def test_a_parked_instance_says_what_it_waits_for(run: Run) -> None:
    attempt = 'SELECT df._record_attempt(%s, %s, %s, %s, 0, %s, \'{"message": "no"}\')'
    for path, attempts, seconds in (("a", 3, 3000), ("b", 1, 2000), ("past", 9, 0), ("done", 7, 500)):
        run.worker.execute(attempt, [run.token, run.instance, path, attempts, seconds])
    run.step(run.worker, "done")
    run.worker.execute("SELECT df._start_timer(%s, %s, 't/timer', 1000)", [run.token, run.instance])
    _park(run)
    look = (
        "SELECT status, attempt, waiting_for, current_steps,"
        " round(extract(epoch FROM next_attempt_at - now()) / 60)::int"
        " FROM df.instances"
    )
    assert run.worker.execute(look).fetchall() == [("running", 4, "a timer", ["t/timer", "b", "a"], 60)]
    run.worker.execute("SELECT df.cancel(%s, 'enough')", [run.instance])
    [(_, token, resumed)] = claim(run.worker, register(run.worker))
    assert (resumed, token != run.token) == (True, True)
    assert run.worker.execute(look).fetchall() == [("running", 4, None, None, None)]


def test_what_is_due_is_claimed_the_longest_due_first(worker: Connection) -> None:
    me = register(worker)
    instances = [submit(worker) for _ in range(5)]
    tokens = {instance: token for instance, token, _ in claim(worker, me)}
    for instance, seconds in zip(instances, (5000, 5000, 5000, 3600, 7200), strict=True):
        worker.execute("SELECT df._park(%s, %s, %s, 'x', false)", [tokens[instance], instance, seconds])
    for instance, seconds in zip(instances, (1, 3, 2), strict=False):
        worker.execute(
            "UPDATE df.fences SET wake_at = now() - %s * interval '1 s' WHERE instance_id = %s",
            [seconds, instance],
        )
    fresh = submit(worker)
    left = value(worker, "SELECT df._next_wake()")
    assert isinstance(left, float) and 3500 < left <= 3600
    worker.execute("SELECT df.cancel(%s)", [instances[4]])
    # What is asked for, what is due, then what is new.
    claimed = [claim(worker, me, most=1)[0][0] for _ in range(5)]
    assert claimed == [instances[4], instances[1], instances[2], instances[0], fresh]
    assert claim(worker, me) == []


def test_what_becomes_due_behind_the_claim_is_not_forgotten(run: Run) -> None:
    _park(run)
    with run.worker.transaction():
        claimed = claim(run.worker, register(run.worker))
        run.worker.execute("UPDATE df.fences SET wake_at = clock_timestamp()")
        left = value(run.worker, "SELECT df._next_wake()")
    assert claimed == []
    assert isinstance(left, float) and left < 0


def test_only_who_can_run_it_claims_what_is_parked(run: Run) -> None:
    me = register(run.worker)
    other = submit(run.worker)
    # The first worker is another session, but here the same connection: it counts as dead.
    tokens = {instance: token for instance, token, _ in claim(run.worker, me)}
    for instance in (run.instance, other):
        run.worker.execute("SELECT df._park(%s, %s, 0, 'x', false)", [tokens[instance], instance])
    assert claim(run.worker, me, roles=["pg_monitor"]) == []
    run.worker.execute("SELECT df.cancel(%s)", [other])
    run.worker.execute(
        "UPDATE df.instances SET plan = '{\"format\": 99}', plan_hash = 'h' WHERE id = %s", [run.instance]
    )
    assert [instance for instance, _, _ in claim(run.worker, me)] == [other]
    # A worker that leaves or is dead has nothing to do with what is parked.
    value(run.worker, "SELECT df._unregister_worker(%s)", me)
    assert value(run.worker, "SELECT count(*) FROM df.fences WHERE wake_at IS NOT NULL") == 1


# Fences and locks


def _calls(run: Run) -> dict[str, Call]:
    """Every function that asks for a fence, as a call with a token of it."""
    own = {
        "_history": "SELECT df._history(%(i)s, %(t)s, '{}', 0)",
        "_record_of": "SELECT df._record_of(%(i)s, %(t)s, 'a')",
        "_result_for": "SELECT df._result_for(%(t)s, %(i)s, '\"a\"')",
        "_record": "SELECT df._record(%(t)s, %(i)s, 'new', 'completed', '1', NULL, NULL)",
        "_finish": 'SELECT df._finish(%(t)s, %(i)s, \'{"status": "failed"}\')',
        "_record_decision": "SELECT df._record_decision(%(t)s, %(i)s, 'r/decision', '1')",
        "_record_attempt": "SELECT df._record_attempt(%(t)s, %(i)s, 'b', 1, 0, 1, '{}')",
        "_record_beginning": "SELECT df._record_beginning(%(t)s, %(i)s, 'b')",
        "_record_position": "SELECT df._record_position(%(t)s, %(i)s, 'l/round', 1, '{}', '{a,m}', 0, NULL)",
        "_start_timer": "SELECT df._start_timer(%(t)s, %(i)s, 't/timer', 1)",
        "_take_turn": "SELECT df._take_turn(%(t)s, %(i)s, 'b/turn1', 'key', 1, 1)",
        "_store_items": STORE.replace("%s", "{}").format("%(t)s", "%(i)s", "'n/items'", "'[]'"),
        "_fetch_items": "SELECT df._fetch_items(%(t)s, %(i)s, 'm', 0, 1, false)",
        "_end_item": "SELECT df._end_item(%(t)s, %(i)s, 'm', 1, '\"a\"', NULL, '{a}')",
        "_end_map": "SELECT df._end_map(%(t)s, %(i)s, 'm', true, NULL)",
        "_park": "SELECT df._park(%(t)s, %(i)s, 1, 'x', false)",
        "_settle": "SELECT df._settle(%(t)s, %(i)s, 'sixteen bytes ok')",
        "_store_plan": "SELECT df._store_plan(%(i)s, %(t)s, 1, '{}', 'h')",
    }

    def ask(text: str, connection: Connection, token: bytes) -> object:
        return connection.execute(text.encode(), {"t": token, "i": run.instance})

    def step(rider: object, connection: Connection, token: bytes) -> None:
        Run(worker=run.worker, instance=run.instance, token=token).step(connection, "m[1]/a", rider)

    calls: dict[str, Call] = {name: partial(ask, text) for name, text in own.items()}
    riders: dict[str, object] = {
        "nothing": None,
        "end": {"status": "failed"},
        "decision": {"decide": {"path": "r/decision", "value": 1}},
        "item": {"item": {"path": "m", "item": 1, "shape": "m[1]/a"}},
    }
    for name, rider in riders.items():
        calls[f"checkpoint with {name}"] = partial(step, rider)
    calls["checkpoint_items"] = lambda connection, token: connection.execute(
        RECORD_ITEMS, [activation(token, "n/items"), run.instance, "n/items", ["w"], [25], 0]
    )
    return calls


def _with_a_map(run: Run) -> None:
    value(run.worker, STORE, run.token, run.instance, "m/items", "[1]")
    run.step(run.worker, "a")


def test_an_old_token_is_good_for_nothing(database: str, run: Run) -> None:
    _with_a_map(run)
    run.worker.execute("UPDATE df.fences SET worker = NULL")
    [(_, new, _)] = claim(run.worker, register(run.worker))
    assert new != run.token
    calls = _calls(run)
    calls["map_fill"] = lambda connection, token: connection.execute(
        FILL, [activation(token, "n/items"), run.instance, "n/items", 1, ["w"], [25], ["a"], 1, 1]
    )
    look = (
        "SELECT (SELECT count(*) FROM df.checkpoints), (SELECT count(*) FROM df.marks), status"
        " FROM df.instances"
    )
    before = run.worker.execute(look).fetchall()
    for name, call in calls.items():
        assert code_of(partial(call, run.worker, run.token)) == "DX001", name
    assert run.worker.execute(look).fetchall() == before
    for name, call in calls.items():
        with connect(database) as session:
            session.execute("BEGIN")
            assert code_of(partial(call, session, new)) is None, name
            session.execute("ROLLBACK")


ROWS = (
    "df.instances", "df.maps", "df.map_items", "df.checkpoints", "df.marks", "df.attempts_made",
    "df.rate_limits",
)  # fmt: skip


def test_the_fence_is_the_first_lock_of_all(database: str, run: Run) -> None:
    """While each waits for the fence, everything else can be had: then no two of them wait for each other."""
    _with_a_map(run)
    run.worker.execute("SELECT df._start_timer(%s, %s, 't/timer', 1)", [run.token, run.instance])
    run.worker.execute("SELECT df._record_attempt(%s, %s, 'b', 1, 0, 1, '{}')", [run.token, run.instance])
    run.worker.execute("SELECT df._take_turn(%s, %s, 'b/turn1', 'key', 1, 1)", [run.token, run.instance])
    codes: list[str | None] = []
    with connect(database) as other:

        def wait(call: Call) -> None:
            codes.append(code_of(lambda: call(other, run.token)))

        other.execute("SET statement_timeout = '30s'")
        for name, call in _calls(run).items():
            run.worker.execute("BEGIN")
            run.worker.execute("SELECT FROM df.fences FOR NO KEY UPDATE")
            other.execute("BEGIN")
            waiting = threading.Thread(target=wait, args=[call])
            waiting.start()
            while not is_blocked(run.worker, other.info.backend_pid):
                assert waiting.is_alive(), name
            for table in ROWS:
                run.worker.execute(f"SELECT FROM {table} FOR UPDATE NOWAIT".encode())
            run.worker.execute("ROLLBACK")
            waiting.join(30)
            assert codes.pop() is None, name
            other.execute("ROLLBACK")


# Who sees what, and what goes


def test_each_sees_their_own_control_flow(server: Server, database: str, roles: Callable[..., str]) -> None:
    names = [roles("anna"), roles("bert")]
    database_name = str(conninfo_to_dict(database)["dbname"])
    with connect(database) as owner:
        me = register(owner)
        for name in names:
            owner.execute("SELECT df.grant_usage(%s)", [name])
            with connect(server.url(database_name, name)) as session:
                session.execute("SELECT df.start('SELECT 1')")
        for instance, token, _ in claim(owner, me):
            run = Run(worker=owner, instance=instance, token=token)
            value(owner, STORE, token, instance, "m/items", "[1, 2]")
            owner.execute("SELECT df._start_timer(%s, %s, 't/timer', 1)", [token, instance])
            owner.execute("SELECT df._record_attempt(%s, %s, 'b', 1, 0, 1, '{}')", [token, instance])
            owner.execute("SELECT df._take_turn(%s, %s, 'b/turn1', 'key', 1, 60)", [run.token, instance])
        # A rate limit's key is its submitter's.
        assert value(owner, "SELECT count(DISTINCT submitted_by) FROM df.rate_limits WHERE key = 'key'") == 2
        for name in names:
            with connect(server.url(database_name, name)) as session:
                mine = value(session, "SELECT id FROM df.instances")
                theirs = value(owner, "SELECT id FROM df.instances WHERE id <> %s", mine)
                for table in ("marks", "attempts", "maps"):
                    assert value(session, f"SELECT array_agg(instance_id) FROM df.{table}") == [mine], table
                assert value(session, "SELECT count(*) FROM df.map_items") == 2
                count = "SELECT count(*) FROM df.map_results(%s, 'm')"
                assert value(session, count, mine) == 2
                assert value(session, count, theirs) == 0


def test_a_deleted_instance_leaves_nothing(run: Run) -> None:
    _with_a_map(run)
    run.worker.execute("SELECT df._start_timer(%s, %s, 't/timer', 1)", [run.token, run.instance])
    run.worker.execute("SELECT df._record_attempt(%s, %s, 'b', 1, 0, 1, '{}')", [run.token, run.instance])
    run.worker.execute("SELECT df.cancel(%s)", [run.instance])
    kept = submit(run.worker)
    tokens = {instance: token for instance, token, _ in claim(run.worker, register(run.worker))}
    value(run.worker, STORE, tokens[kept], kept, "m/items", "[1, 2, 3]")
    run.worker.execute("DELETE FROM df.instances WHERE id = %s", [run.instance])
    for table in ("fences", "requests", "checkpoints", "marks", "attempts", "maps"):
        left = value(run.worker, f"SELECT count(*) FROM df.{table} WHERE instance_id = '{run.instance}'")
        assert left == 0, table
    assert value(run.worker, "SELECT count(*) FROM df.map_items") == 3


def test_a_bucket_is_never_more_than_full(run: Run) -> None:
    turn = "SELECT df._take_turn(%s, %s, %s, 'key', 2, 60)"
    assert value(run.worker, turn, run.token, run.instance, "z/turn1") == 0
    run.worker.execute("UPDATE df.rate_limits SET full_at = now() - interval '1 h'")
    waits = [value(run.worker, turn, run.token, run.instance, f"{path}/turn1") for path in "abc"]
    assert waits[:2] == [0, 0]
    assert isinstance(waits[2], float) and 25 < waits[2] <= 30


def test_a_long_key_counts_as_a_whole(run: Run) -> None:
    turn = "SELECT df._take_turn(%s, %s, %s, repeat('é', 1000) || %s, 1, 60)"
    keys = ("".join(chr(0x10000 + n * 7919 % 60000) for n in range(900)) + end for end in "xyx")
    waits = [
        value(run.worker, turn, run.token, run.instance, f"a{n}/turn1", key) for n, key in enumerate(keys)
    ]
    assert waits[:2] == [0, 0] and isinstance(waits[2], float) and waits[2] > 50


def test_a_limit_that_says_nothing_is_forgotten(run: Run) -> None:
    for key, seconds in (("short", 1), ("long", 3600)):
        run.worker.execute(
            "SELECT df._take_turn(%s, %s, 'a/turn1', %s, 1000000, %s)",
            [run.token, run.instance, key, seconds],
        )
    while value(run.worker, "SELECT min(full_at) < clock_timestamp() FROM df.rate_limits") is not True:
        pass
    run.worker.execute("UPDATE df.rate_limits SET full_at = full_at + '1 h' WHERE key = 'long'")
    value(run.worker, "SELECT df._unregister_worker(%s)", register(run.worker))
    assert value(run.worker, "SELECT array_agg(key) FROM df.rate_limits") == ["long"]
