"""Failed instances that are retried, with real workers: what completed stays, what failed runs again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.executor import operating
from tests.executor.operating import Connection, comes_to, ledger, start, status
from tests.executor.support import WorkerProcess, ended, until
from tests.sql.worker import value


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        operating.prepare(connection)
        yield connection


def step(name: str) -> str:
    """A step that writes its name."""
    return f"df.step('{name}', $$SELECT wrote('{name}')$$)"


def fails(session: Connection, instance: str, at: str | None = None) -> dict[str, Any]:
    """Wait until it has failed, at a step."""
    row = comes_to(session, instance, "failed", "completed", "compensated")
    assert row["status"] == "failed", row
    if at is not None:
        assert row["error"]["step"] == at, row["error"]
    return row


def retry(session: Connection, instance: str) -> None:
    session.execute("SELECT df.retry_instance(%s)", [instance])


def completes(session: Connection, instance: str) -> dict[str, Any]:
    """Wait until it has ended after a retry, as completed."""
    until(lambda: status(session, instance) not in ("pending", "running"), "the end")
    row = ended(session, instance)
    assert row["status"] == "completed", row["error"]
    assert row["error"] is None and not row["retrying"]
    return row


CASES: dict[str, tuple[str, list[str], list[str]]] = {
    "chain": (f"{step('a')} ~> {step('bad')} ~> {step('c')}", ["a"], ["bad", "c"]),
    "join": (f"df.join({step('a')}, {step('bad')}, {step('c')}) ~> {step('d')}", ["a", "c"], ["bad", "d"]),
    "group that cancels": (
        f"df.join(ARRAY[{step('a')}, {step('bad')}, {step('c')}], on_failure => 'cancel') ~> {step('d')}",
        [],
        ["bad", "d"],
    ),
    "if": (
        f"df.if({step('a')}, {step('b')} ~> {step('bad')}, {step('c')}) ~> {step('d')}",
        ["a", "b"],
        ["bad", "d"],
    ),
    "condition": (f"df.if({step('bad')}, {step('a')}) ~> {step('b')}", [], ["bad", "a", "b"]),
    "try": (
        f"df.try({step('a')} ~> df.sql('SELECT 1/0'), {step('b')} ~> {step('bad')}, {step('f')})"
        f" ~> {step('d')}",
        ["a", "b", "f"],
        ["bad", "f", "d"],
    ),
    "finally": (
        f"df.try({step('a')}, {step('b')}, {step('e')} ~> {step('bad')}) ~> {step('d')}",
        ["a", "e"],
        ["bad", "d"],
    ),
    "race": (
        f"df.race(df.sql('SELECT 1/0') ~> {step('a')}, {step('b')} ~> {step('bad')}) ~> {step('d')}",
        ["b"],
        ["bad", "d"],
    ),
    "timeout": (f"df.timeout({step('a')} ~> {step('bad')}, 60) ~> {step('d')}", ["a"], ["bad", "d"]),
    "atomic": (
        f"{step('a')} ~> df.atomic({step('b')} ~> {step('bad')}) ~> {step('d')}",
        ["a"],
        ["b", "bad", "d"],
    ),
    "compensate": (
        f"df.compensate({step('a')} ~> {step('bad')}, {step('u')}) ~> {step('d')}",
        ["a"],
        ["bad", "d"],
    ),
    "continue": (
        "df.step('k', $$SELECT wrote('k')$$, on_error => 'continue') ~> " + step("bad"),
        [],
        ["bad"],
    ),
}
"""The workflow; what has been written when it has failed; what is written after the retry."""


@pytest.fixture(scope="module")
def shared(shared_database: str) -> Iterator[tuple[Connection, WorkerProcess]]:
    with psycopg.connect(shared_database, autocommit=True) as connection:
        operating.prepare(connection)
        with WorkerProcess(shared_database) as worker:
            worker.registered()
            yield connection, worker


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_from_the_failed_step(shared: tuple[Connection, WorkerProcess], name: str) -> None:
    session, _ = shared
    expression, before, after = CASES[name]
    operating.mend(session)
    session.execute("TRUNCATE ledger")
    operating.break_step(session, "bad", *(["k"] if name == "continue" else []))
    instance = start(session, expression)
    fails(session, instance)
    if name == "group that cancels":
        before = ledger(session)  # whether the others had ended is a matter of time
    assert sorted(ledger(session)) == sorted(before)
    # Once more to no avail: it fails at the same place, and nothing but the cleaning up happens again.
    retry(session, instance)
    until(lambda: value(session, "SELECT attempt = 2 FROM df.instances WHERE id = %s", instance), "the retry")
    fails(session, instance)
    between = ledger(session)[len(before) :]
    if name == "group that cancels":
        assert len(set(before + between)) == len(before + between)
        after = [*after, *sorted({"a", "c"} - set(before + between))]
    else:
        assert between == (["f"] if name == "try" else [])
    operating.mend(session)
    retry(session, instance)
    completes(session, instance)
    assert sorted(ledger(session)[len(before + between) :]) == sorted(after)


def test_a_loop_goes_on_in_its_round(database: str, session: Connection) -> None:
    ticks = "(SELECT count(*) FROM ledger WHERE step = 'tick')"
    body = f"{step('tick')} ~> df.step('bad', $$SELECT wrote('bad') WHERE 11 <= {ticks}$$)"
    expression = f"df.loop({body}, $$SELECT {ticks} < 14$$) ~> {step('d')}"
    operating.break_step(session, "bad")
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, expression)
        fails(session, instance, "bad")
        assert ledger(session) == ["tick"] * 11
        operating.mend(session)
        retry(session, instance)
        completes(session, instance)
    assert ledger(session) == ["tick"] * 11 + ["bad"] + ["tick", "bad"] * 3 + ["d"]


def test_only_the_failed_items_of_a_map_run_again(database: str, session: Connection) -> None:
    items = "$$SELECT n FROM generate_series(1, 100) n$$"
    body = " ~> ".join(
        f"df.step('{name}', $$SELECT wrote('{name} ' || $item.n)$$)" for name in ("one", "two")
    )
    operating.break_step(session, "two 30", "two 31")
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, f"df.map({items}, {body}, max_parallel => 4) ~> {step('d')}")
        fails(session, instance)
        operating.mend(session)
        retry(session, instance)
        row = completes(session, instance)
    written = ledger(session)
    twice = {name for name in written if written.count(name) > 1}
    assert twice <= {"one 30", "one 31"} and "one 30" in twice
    assert {f"two {n}" for n in range(1, 101)} <= set(written)
    assert sum(name.startswith("two") for name in written) == 100
    assert row["completed_at"] is not None
    assert session.execute("SELECT failed, first_failed FROM df.maps").fetchone() == (0, None)


def test_all_attempts_of_a_df_retry_are_there_again(database: str, session: Connection) -> None:
    policy = "2, backoff => 0.01, retry_on => ARRAY['P0001']"
    expression = f"df.retry({step('a')} ~> {step('bad')}, {policy}) ~> {step('d')}"
    operating.break_step(session, "bad")
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, expression)
        fails(session, instance)
        assert ledger(session) == ["a", "a"]
        retry(session, instance)
        until(lambda: len(ledger(session)) == 4, "two more attempts")
        fails(session, instance)
        operating.mend(session)
        retry(session, instance)
        completes(session, instance)
    assert ledger(session) == ["a"] * 5 + ["bad", "d"]


def test_a_time_limit_begins_anew(database: str, session: Connection) -> None:
    expression = f"df.timeout({step('a')} ~> df.sleep(3600) ~> {step('b')}, 1) ~> {step('d')}"
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, expression)
        row = fails(session, instance)
        assert row["error"]["sqlstate"] == "timeout", row["error"]
        session.execute(
            "UPDATE df.marks SET due_at = now() WHERE kind = 'timer' AND path NOT LIKE 'timeout%'"
        )
        retry(session, instance)
        completes(session, instance)
        whole = start(session, f"{step('x')} ~> df.sleep(3600)", ", timeout => 1")
        fails(session, whole, "(workflow)")
        session.execute("UPDATE df.marks SET due_at = now() WHERE kind = 'timer' AND path NOT LIKE '(%'")
        retry(session, whole)
        completes(session, whole)
    assert ledger(session) == ["a", "b", "d", "x"]


def test_a_call_starts_another_instance(database: str, session: Connection) -> None:
    session.execute(f"SELECT df.define('inner', {step('bad')})".encode())
    operating.break_step(session, "bad")
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, f"{step('a')} ~> df.call('inner') ~> {step('d')}")
        fails(session, instance)
        operating.mend(session)
        retry(session, instance)
        completes(session, instance)
    assert ledger(session) == ["a", "bad", "d"]
    rows = session.execute("SELECT status FROM df.instances WHERE parent = %s ORDER BY id", [instance])
    assert [row[0] for row in rows] == ["failed", "completed"]


def test_a_wait_computes_anew_what_it_is_for(database: str, session: Connection) -> None:
    session.execute("CREATE TABLE moment (seconds int)")
    session.execute("INSERT INTO moment VALUES (-1)")
    expression = "df.step('s', 'SELECT seconds FROM moment') ~> df.sleep('$s seconds')"
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, expression)
        fails(session, instance)
        retry(session, instance)
        until(lambda: value(session, "SELECT attempt = 2 FROM df.instances"), "the retry")
        fails(session, instance)


def test_what_may_happen_once_only_may_happen_again(database: str, session: Connection) -> None:
    operating.shut(session)
    expression = "df.sql('SELECT wrote(''bad'', true)', autocommit => true, delivery => 'at_most_once')"
    with WorkerProcess(database) as first:
        first.registered()
        instance = start(session, expression)
        operating.held_up(session)
        first.signal(signal.SIGKILL)
        first.wait()
    operating.break_step(session, "bad")
    operating.open_gate(session)
    with WorkerProcess(database) as second:
        second.registered()
        assert fails(session, instance)["error"]["sqlstate"] == "ambiguous"
        operating.mend(session)
        retry(session, instance)
        completes(session, instance)
    assert ledger(session) == ["bad"]


def test_a_workflow_that_did_not_compile(database: str, session: Connection) -> None:
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, "'SELEC 1'")
        before = fails(session, instance)["error"]
        retry(session, instance)
        until(lambda: value(session, "SELECT attempt = 2 FROM df.instances"), "the retry")
        assert fails(session, instance)["error"] == before


def test_its_definition_is_told_of_another_failure(database: str, session: Connection) -> None:
    session.execute(f"SELECT df.define('job', {step('bad')}, on_failure => {step('alarm')})".encode())
    operating.break_step(session, "bad")
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, "'job'")
        for times in (1, 2):
            fails(session, instance)
            until(lambda times=times: ledger(session) == ["alarm"] * times, "the alarm")
            if times == 1:
                retry(session, instance)
                until(
                    lambda: value(session, "SELECT attempt = 2 FROM df.instances WHERE id = %s", instance),
                    "it",
                )


def test_a_retry_waits_for_its_key_and_can_be_cancelled(database: str, session: Connection) -> None:
    operating.break_step(session, "bad")
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, f"{step('a')} ~> {step('bad')}", ", concurrency_key => 'k'")
        fails(session, instance)
        other = start(session, "df.sleep(3600)", ", concurrency_key => 'k'")
        comes_to(session, other, "running")
        retry(session, instance)
        comes_to(session, instance, "pending")
        ended(session, start(session, "'SELECT 1'"))
        assert status(session, instance) == "pending"
        session.execute("SELECT df.cancel(%s)", [instance])
        assert ended(session, instance)["status"] == "cancelled"
    assert ledger(session) == ["a"]


@pytest.mark.long
def test_kills_in_the_middle_change_nothing(database: str, session: Connection) -> None:
    """Workers die while many instances are retried; each step of each has happened once in the end."""
    names = [f"i{n}" for n in range(12)]
    steps = " ~> ".join(f"df.step('{name}', $$SELECT wrote('{name} {{0}}')$$)" for name in ("a", "bad", "c"))
    operating.break_step(session, *[f"bad {name}" for name in names])
    with WorkerProcess(database) as worker:
        worker.registered()
        instances = [start(session, steps.format(name)) for name in names]
        for instance in instances:
            fails(session, instance, "bad")
    operating.mend(session)
    for instance in instances:
        retry(session, instance)
    for _ in range(4):
        with WorkerProcess(database, slots=3) as worker:
            worker.registered()
            done = len(ledger(session))
            until(lambda done=done: len(ledger(session)) > done, "something to happen")
            worker.signal(signal.SIGKILL)
            worker.wait()
    with WorkerProcess(database) as worker:
        worker.registered()
        for instance in instances:
            completes(session, instance)
    assert sorted(ledger(session)) == sorted(f"{step} {name}" for step in ("a", "bad", "c") for name in names)


def test_results_that_are_not_at_hand_are_looked_at(database: str, session: Connection) -> None:
    """What a condition has gone by is read again before it is known where the workflow has failed."""
    operating.break_step(session, "bad")
    big = "df.step('big', $$SELECT repeat('x', 1000000) AS t, wrote('big')$$)"
    with WorkerProcess(database) as worker:
        worker.registered()
        instance = start(session, f"{big} ~> df.if('$big.t', {step('bad')}) ~> {step('d')}")
        fails(session, instance, "bad")
        operating.mend(session)
        retry(session, instance)
        completes(session, instance)
    assert ledger(session) == ["big", "bad", "d"]


def test_a_call_that_was_stopped_starts_another_instance(database: str, session: Connection) -> None:
    session.execute("SELECT df.define('inner', df.sleep(3))")
    operating.break_step(session, "bad")
    with WorkerProcess(database) as worker:
        worker.registered()
        branches = f"ARRAY[df.call('inner'), df.sleep(1) ~> {step('bad')}]"
        instance = start(session, f"df.join({branches}, on_failure => 'cancel') ~> {step('d')}")
        fails(session, instance, "bad")
        operating.mend(session)
        retry(session, instance)
        completes(session, instance)
    rows = session.execute("SELECT status FROM df.instances WHERE parent = %s ORDER BY id", [instance])
    assert [row[0] for row in rows] == ["cancelled", "completed"]
    assert ledger(session) == ["bad", "d"]
