"""Transactions of several steps: all of them with their checkpoints, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from dfc.compiler.plan import DEFAULT_POLICY, Block, Duration, Form, OnError, Policy, SqlBody
from dfc.executor.actions import RunAtomic
from dfc.executor.failures import AlreadyRecorded, FenceLost, StepFailed, Transient
from dfc.executor.journal import AtomicDone, Completed, StepError
from dfc.executor.ports import Transaction
from dfc.executor.runners import around, atomic
from tests.executor.support import Bench, count_of, reference, rows_of, until
from tests.executor.test_sql_policies import SLEEPING
from tests.executor.test_sql_runner import ask, run

Steps = Callable[["Inside"], Awaitable[None]]
HELD = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dfc step'"
    " AND datname = current_database() AND xact_start IS NOT NULL"
)


class Inside:
    """Runs steps of a transaction."""

    def __init__(self, on: Bench, transaction: Transaction) -> None:
        self.on = on
        self.transaction = transaction

    async def step(self, body: SqlBody, *, name: str | None = None, policy: Policy = DEFAULT_POLICY) -> Any:
        """Run a step and return its result; it can be referred to by `name`."""
        action = self.on.action(body, name=name, policy=policy)
        record = await self.transaction.run(action)
        if record.result is not None:
            self.on.results[action.path] = record.result
        return record.result


async def together(on: Bench, steps: Steps, policy: Policy = DEFAULT_POLICY) -> AtomicDone:
    """Run steps in one transaction."""
    action = RunAtomic(path="all", frame="", block=Block(nodes=(), result=""), sources={}, policy=policy)

    async def work(transaction: Transaction) -> None:
        await steps(Inside(on, transaction))

    return await on.sql.run_atomic(on.claim, action, work)


async def failure(on: Bench, steps: Steps, policy: Policy = DEFAULT_POLICY) -> StepError:
    with pytest.raises(StepFailed) as caught:
        await together(on, steps, policy)
    return caught.value.error


@pytest.fixture
def table(database: str) -> str:
    ask(database, "CREATE TABLE t (a int)")
    return database


def counts(database: str) -> tuple[int, int]:
    """Rows of t and checkpoints."""
    return ask(database, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM df.checkpoints)")[0]


def test_several_steps_are_one_transaction(table: str) -> None:
    async def steps(inside: Inside) -> None:
        first = await inside.step(count_of("INSERT INTO t VALUES (1), (2)"), name="first")
        assert first.row_count == 2
        assert counts(table) == (0, 0)
        for form in (Form.WITH, Form.QUERY):
            sql = "SELECT count(*) + $first AS n, txid_current() AS x FROM t"
            await inside.step(rows_of(sql, reference(sql, "$first"), form=form), name=f"n_{form}")
        await inside.step(count_of("CREATE TABLE made AS SELECT 1 AS b", form=Form.EXECUTE, kind="create"))
        assert (await inside.step(rows_of("SELECT * FROM made"))).cells == ("1",)

    async def work(on: Bench) -> None:
        done = await together(on, steps)
        assert done.path == "all"
        assert [record.path for record in done.records] == ["first", "n_with", "n_query", "step4", "step5"]
        assert all(isinstance(record, Completed) and record.number for record in done.records)
        results = [on.results[f"n_{form}"] for form in (Form.WITH, Form.QUERY)]
        assert [result.cells[0] for result in results] == ["4", "4"]  # type: ignore[union-attr]
        assert results[0].cells[1] == results[1].cells[1]  # type: ignore[union-attr]

    run(table, work)
    assert counts(table) == (2, 5)


@pytest.mark.parametrize("known", [False, True])
def test_an_error_undoes_all_of_it(table: str, known: bool) -> None:
    async def work(on: Bench) -> None:
        async def steps(inside: Inside) -> None:
            await inside.step(count_of("INSERT INTO t VALUES (1)"), name="one")
            await inside.step(rows_of("SELECT 1 / (SELECT count(*) FROM t WHERE a = 7)"), name="two")

        if known:
            await on.step(count_of("INSERT INTO t VALUES (7)"))
            await on.step(rows_of("SELECT 1 / (SELECT count(*) FROM t WHERE a = 7)"))
            await on.step(count_of("DELETE FROM t", kind="delete"))
        before = counts(table)
        for _ in range(3):
            error = await failure(on, steps)
            assert (error.step, error.sqlstate) == ("two", "22012")
            assert counts(table) == before
            assert ask(table, HELD) == [(0,)]

        async def other(_: Inside) -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError):
            await together(on, other)

    run(table, work)


def test_a_failure_that_nobody_passes_on_commits_nothing(table: str) -> None:
    async def steps(inside: Inside) -> None:
        await inside.step(count_of("INSERT INTO t VALUES (1)"))
        with pytest.raises(StepFailed):
            await inside.step(rows_of("SELECT 1/0"))
        with pytest.raises(StepFailed, match="division"):
            await inside.step(rows_of("SELECT 1"))

    async def work(on: Bench) -> None:
        assert (await failure(on, steps)).sqlstate == "22012"

    run(table, work)
    assert counts(table) == (0, 0)


def test_a_step_that_goes_on_after_an_error_costs_only_itself(table: str) -> None:
    policy = Policy(on_error=OnError.CONTINUE)

    async def steps(inside: Inside) -> None:
        for body in (rows_of("SELECT 1/0"), rows_of("SELECT nope"), count_of("INSERT INTO t SELECT 1/0")):
            await inside.step(count_of("INSERT INTO t VALUES (1)"))
            with pytest.raises(StepFailed):
                await inside.step(body, policy=policy)
        with pytest.raises(StepFailed) as caught:
            await inside.step(
                rows_of("SELECT pg_sleep(60)"),
                policy=Policy(on_error=OnError.CONTINUE, timeout=Duration(microseconds=100_000)),
            )
        assert caught.value.error.sqlstate == "timeout"

    async def work(on: Bench) -> None:
        for _ in range(2):
            await together(on, steps)

    run(table, work)
    assert counts(table) == (6, 6)


def test_a_deferred_check_fails_the_whole(table: str) -> None:
    ask(
        table,
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )

    async def work(on: Bench) -> None:
        async def orphan(inside: Inside) -> None:
            await inside.step(count_of("INSERT INTO child VALUES (1)"))
            await inside.step(count_of("INSERT INTO t VALUES (1)"))

        async def both(inside: Inside) -> None:
            await orphan(inside)
            await inside.step(count_of("INSERT INTO parent VALUES (1)"))

        assert (await failure(on, orphan)).sqlstate == "23503"
        assert counts(table) == (0, 0)
        await together(on, both)

    run(table, work)
    assert counts(table) == (1, 3)


@pytest.mark.parametrize("level", [None, "repeatable read", "serializable"])
def test_the_whole_has_a_level_of_isolation_and_settings(table: str, level: str | None) -> None:
    sql = "SELECT current_setting('transaction_isolation'), current_setting('work_mem')"
    sql += ", current_setting('a.b', true), current_setting('search_path')"
    sql += ", current_setting('TimeZone'), current_setting('df.in_workflow')"

    async def work(on: Bench) -> None:
        usual = (on.claim.search_path, on.claim.time_zone, "true")

        async def steps(inside: Inside) -> None:
            own = Policy(settings=(("Work_Mem", "100MB"), ("a.b", "x"), ("search_path", "df")))
            expected = (level or "read committed", "50MB", "y", *usual)
            for form in (Form.WITH, Form.QUERY):
                assert (await inside.step(rows_of(sql, form=form))).cells == expected
                found = (await inside.step(rows_of(sql, form=form), policy=own)).cells
                assert found == (level or "read committed", "100MB", "x", "df", *usual[1:])
                for _ in range(2):
                    assert (await inside.step(rows_of(sql, form=form))).cells == expected

        policy = Policy(isolation=level, settings=(("work_mem", "50MB"), ("a.b", "y")))
        await together(on, steps, policy)
        assert (await on.step(rows_of(sql))).cells == ("read committed", "4MB", "", *usual)

    run(table, work)


def test_settings_that_cannot_be_had(table: str) -> None:
    async def nothing(_: Inside) -> None:
        raise AssertionError("it has begun")

    async def work(on: Bench) -> None:
        error = await failure(on, nothing, Policy(settings=(("work_mem", "x"),)))
        assert error.message.startswith("setting `work_mem` of step `all`")
        error = await failure(on, nothing, Policy(settings=(("df.x", "x"),)))
        assert "cannot have" in error.message

        async def steps(inside: Inside) -> None:
            await inside.step(rows_of("SELECT 1"), name="s", policy=Policy(settings=(("work_mem", "x"),)))

        assert (await failure(on, steps)).message.startswith("setting `work_mem` of step `s`")

    run(table, work)


def test_a_step_has_its_time_limit_and_the_whole_one(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = rows_of("SELECT pg_sleep(60)"), rows_of("SELECT pg_sleep(0.1)")
    soon = Policy(timeout=Duration(microseconds=250_000))

    async def own(inside: Inside) -> None:
        for _ in range(3):
            await inside.step(quick, policy=soon)
        await inside.step(slow, name="slow", policy=soon)

    async def whole(inside: Inside) -> None:
        for _ in range(10):
            await inside.step(quick, name=None)

    async def idle(inside: Inside) -> None:
        await inside.step(quick)
        await asyncio.sleep(0.3)

    async def idle_and_on(inside: Inside) -> None:
        await idle(inside)
        await inside.step(quick)

    async def work(on: Bench) -> None:
        error = await failure(on, own)
        assert (error.step, error.sqlstate) == ("slow", "timeout")
        assert error.message == "step `slow` has taken longer than its timeout of 0.25 s"
        for steps in (whole, idle, idle_and_on):
            error = await failure(on, steps, soon)
            assert error.message == "atomic `all` has taken longer than its timeout of 0.25 s"
            assert error.sqlstate == "timeout"
        monkeypatch.setattr(atomic, "ATOMIC_SECONDS_MAX", 0.25)
        for policy in (DEFAULT_POLICY, Policy(timeout=Duration(days=1))):
            error = await failure(on, whole, policy)
            assert error.message == "atomic `all` has taken longer than atomic_seconds_max, 0.25 s"
        assert (await on.step(rows_of("SELECT pg_sleep(0.3)"))).row_count == 1

    run(table, work)
    assert counts(table) == (0, 1)


def test_a_transaction_that_nobody_goes_on_with_ends(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is paused must not hold its fence for long."""
    monkeypatch.setattr(around, "ATOMIC_IDLE_SECONDS_MAX", 0.2)

    async def work(on: Bench) -> None:
        async def steps(inside: Inside) -> None:
            await inside.step(count_of("INSERT INTO t VALUES (1)"))
            await asyncio.to_thread(until, lambda: ask(table, HELD) == [(0,)], "the server to end it")
            await inside.step(count_of("INSERT INTO t VALUES (2)"))

        with pytest.raises(Transient) as caught:
            await together(on, steps)
        assert caught.value.sqlstate == "08006"
        await on.step(count_of("INSERT INTO t VALUES (3)"))

    run(table, work)
    assert counts(table) == (1, 1)


def test_cancelling_rolls_back(table: str) -> None:
    async def running(inside: Inside) -> None:
        await inside.step(count_of("INSERT INTO t VALUES (1)"))
        await inside.step(rows_of("SELECT pg_sleep(3600)"))

    async def waiting(inside: Inside) -> None:
        await inside.step(count_of("INSERT INTO t VALUES (1)"))
        await asyncio.Event().wait()

    idle = f"{HELD} AND state = 'idle in transaction'"

    async def work(on: Bench) -> None:
        pid = (await on.step(rows_of("SELECT pg_backend_pid()"))).cells
        for steps, state in ((running, SLEEPING), (waiting, idle)):
            task = asyncio.create_task(together(on, steps))
            await asyncio.to_thread(until, lambda sql=state: ask(table, sql) == [(1,)], "the transaction")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ask(table, HELD) == [(0,)]
        assert (await on.step(rows_of("SELECT pg_backend_pid()"))).cells == pid

    run(table, work)
    assert counts(table) == (0, 2)


def test_what_a_session_has_left_costs_no_transaction(table: str) -> None:
    ask(table, "CREATE FUNCTION dirty(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END'")

    async def steps(inside: Inside) -> None:
        await inside.step(count_of("INSERT INTO t VALUES (1)"))

    async def work(on: Bench) -> None:
        for leftover in ("CREATE TEMP TABLE t (a int)", "LISTEN x", "SET default_transaction_read_only = on"):
            await on.step(rows_of(f"SELECT dirty('{leftover}')"))
            await together(on, steps)

    run(table, work)
    assert counts(table) == (3, 6)


def test_what_is_learned_of_a_statement_costs_no_attempt(table: str) -> None:
    """A WITH that is not possible, a domain column: the statement is sent again in its transaction."""
    ask(
        table,
        "CREATE TABLE log (a int); CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (NEW.a);"
        "CREATE DOMAIN positive AS int; CREATE TABLE d (p positive); INSERT INTO d VALUES (1)",
    )

    async def steps(inside: Inside) -> None:
        await inside.step(count_of("INSERT INTO t VALUES (1)"))
        found = await inside.step(rows_of("SELECT p FROM d", form=Form.QUERY))
        assert found.cells == ("1",)
        await inside.step(count_of("INSERT INTO t VALUES (2)"))

    async def work(on: Bench) -> None:
        for _ in range(2):
            await together(on, steps)

    run(table, work)
    assert counts(table) == (4, 6)
    assert ask(table, "SELECT count(*) FROM log") == [(4,)]


def test_columns_that_have_changed_cost_one_attempt(table: str) -> None:
    ask(table, "INSERT INTO t VALUES (1)")
    bodies = [
        rows_of(f"SELECT *, {n} AS n FROM t", form=form)
        for n in (1, 2, 3)
        for form in (Form.WITH, Form.QUERY)
    ]

    async def steps(inside: Inside) -> None:
        for body in bodies:
            await inside.step(body)

    async def work(on: Bench) -> None:
        for change in ("ALTER TABLE t ADD b text", "ALTER TABLE t ALTER a TYPE text"):
            await together(on, steps)
            await asyncio.to_thread(ask, table, change)
            with pytest.raises(Transient) as caught:
                await together(on, steps)
            assert caught.value.sqlstate == "40001"
            done = await together(on, steps)
            assert len(done.records) == len(bodies)

    run(table, work)


def test_a_step_that_is_recorded_already_undoes_the_whole(table: str) -> None:
    async def steps(inside: Inside) -> None:
        await inside.step(count_of("INSERT INTO t VALUES (1)"), name="one")
        await inside.step(count_of("INSERT INTO t VALUES (1)"), name="two")

    async def work(on: Bench) -> None:
        await on.step(rows_of("SELECT 1"), name="two")
        with pytest.raises(AlreadyRecorded):
            await together(on, steps)

    run(table, work)
    assert counts(table) == (0, 1)


@pytest.mark.parametrize("when", ["step", "commit"])
def test_a_connection_that_is_lost_is_transient(table: str, when: str) -> None:
    ask(
        table,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t DEFERRABLE INITIALLY "
        + ("DEFERRED" if when == "commit" else "IMMEDIATE")
        + " FOR EACH ROW EXECUTE FUNCTION die()",
    )

    async def steps(inside: Inside) -> None:
        await inside.step(rows_of("SELECT 1"))
        await inside.step(count_of("INSERT INTO t VALUES (1)"))

    async def work(on: Bench) -> None:
        with pytest.raises(Transient):
            await together(on, steps)
        assert (await on.step(rows_of("SELECT 1"))).cells == ("1",)

    run(table, work)
    assert counts(table) == (0, 1)


def test_two_levels_that_collide_are_transient(table: str) -> None:
    ask(table, "INSERT INTO t VALUES (1)")

    async def work(on: Bench) -> None:
        async def steps(inside: Inside) -> None:
            await inside.step(rows_of("SELECT a FROM t"))
            with psycopg.connect(table, autocommit=True) as other:
                other.execute("UPDATE t SET a = a + 1")
            await inside.step(count_of("UPDATE t SET a = a + 10", kind="update"))

        with pytest.raises(Transient) as caught:
            await together(on, steps, Policy(isolation="repeatable read"))
        assert caught.value.sqlstate == "40001"

    run(table, work)
    assert ask(table, "SELECT a FROM t") == [(2,)]


def test_others_record_while_a_transaction_is_open(table: str) -> None:
    async def work(on: Bench) -> None:
        async def steps(inside: Inside) -> None:
            await inside.step(count_of("INSERT INTO t VALUES (1)"), name="one")
            await asyncio.wait_for(on.step(count_of("INSERT INTO t VALUES (2)"), name="beside"), 10)
            await inside.step(count_of("INSERT INTO t VALUES (3)"), name="two")

        await together(on, steps)

    run(table, work, connections_max=2)
    assert counts(table) == (3, 3)


@pytest.mark.parametrize("when", ["before the first step", "before the last", "before the commit"])
@pytest.mark.parametrize("level", [None, "serializable"])
def test_a_transaction_whose_fence_is_lost_commits_nothing(table: str, when: str, level: str | None) -> None:
    def take_over(now: str) -> None:
        if now == when:
            ask(table, "UPDATE df.fences SET token = decode(repeat('00', 16), 'hex')")

    async def steps(inside: Inside) -> None:
        take_over("before the first step")
        await inside.step(count_of("INSERT INTO t VALUES (1)"))
        take_over("before the last")
        await inside.step(count_of("INSERT INTO t VALUES (2)"))
        take_over("before the commit")

    async def work(on: Bench) -> None:
        # What is seen above read committed is what was there at the beginning: the lock finds that it is not.
        with pytest.raises((FenceLost, Transient)):
            await together(on, steps, Policy(isolation=level))

    run(table, work)
    assert counts(table) == (0, 0)
