"""Statements outside of a transaction: each alone, with its checkpoint behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from dfc.compiler.plan import Duration, Form, Policy, SqlBody
from dfc.executor.actions import Finish
from dfc.executor.failures import AlreadyRecorded, FenceLost, StepFailed, Transient, Unreachable
from dfc.executor.journal import Rows
from tests.executor.support import Bench, count_of, reference, rows_of, until
from tests.executor.test_sql_policies import SLEEPING
from tests.executor.test_sql_runner import ask, run


def alone(sql: str, *parameters: Any, kind: str = "call") -> SqlBody:
    """A statement that runs outside of a transaction."""
    return count_of(sql, *parameters, form=Form.AUTOCOMMIT, kind=kind)


STATEMENTS = [
    ("VACUUM t", "vacuum"),
    ("VACUUM (ANALYZE) t", "vacuum"),
    ("CREATE INDEX CONCURRENTLY t_a ON t (a)", "create index"),
    ("REINDEX TABLE CONCURRENTLY t", "reindex"),
    ("DROP INDEX CONCURRENTLY t_b", "drop index"),
    ("CALL commits_only(5)", "call"),
    ("DO 'BEGIN INSERT INTO t VALUES (9); COMMIT; END'", "do"),
    ("ALTER SYSTEM RESET work_mem", "alter system"),
]


@pytest.fixture
def filled(database: str) -> str:
    ask(
        database,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); CREATE INDEX t_b ON t (a);"
        "CREATE PROCEDURE commits(n int, OUT m int) LANGUAGE plpgsql AS $$ BEGIN"
        " FOR i IN 1..n LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; m := n; END $$;"
        "CREATE PROCEDURE commits_only(n int) LANGUAGE plpgsql AS"
        " $$ DECLARE m int; BEGIN CALL commits(n, m); END $$",
    )
    return database


@pytest.mark.parametrize(("sql", "kind"), STATEMENTS)
def test_what_cannot_run_in_a_transaction_runs_alone(filled: str, sql: str, kind: str) -> None:
    async def work(on: Bench) -> None:
        assert await on.step(alone(sql, kind=kind), name="s") == Rows(
            columns=(), types=(), cells=(), row_count=0
        )
        with pytest.raises(AlreadyRecorded):
            await on.step(alone("VACUUM t", kind="vacuum"), name="s")

    run(filled, work)
    assert ask(filled, "SELECT path, kind, row_count FROM df.checkpoints") == [("s", "completed", 0)]


def test_a_call_gives_its_row(filled: str) -> None:
    ask(filled, "CREATE PROCEDURE odd(INOUT a text, OUT b numeric[]) LANGUAGE plpgsql AS $$ BEGIN"
        " COMMIT; a := a || '\"'; b := ARRAY[1.50, NULL]; END $$")  # fmt: skip

    async def work(on: Bench) -> None:
        found = await on.step(alone("CALL commits(5, NULL)"), name="s")
        assert found == Rows(columns=("m",), types=(23,), cells=("5",), row_count=1)
        found = await on.step(alone("CALL odd('it''s', NULL)"), name="o")
        assert found == Rows(
            columns=("a", "b"), types=(25, 1231), cells=("it's\"", "{1.50,NULL}"), row_count=1
        )
        sql = "SELECT $o.b[1] + $s AS n"
        assert (await on.step(rows_of(sql, reference(sql, "$o.b"), reference(sql, "$s")))).cells == ("6.50",)

    run(filled, work)
    assert ask(filled, "SELECT columns, cells, row_count FROM df.checkpoints WHERE path = 's'") == [
        (["m"], ["5"], 1)
    ]


def test_the_number_of_rows_is_that_of_the_command(filled: str) -> None:
    async def work(on: Bench) -> None:
        assert (await on.step(alone("UPDATE t SET a = a", kind="update"), name="n")).row_count == 2
        sql = "SELECT $n"
        assert (await on.step(rows_of(sql, reference(sql, "$n")))).cells == ("2",)

    run(filled, work)


def test_the_session_is_the_submitters_during_the_statement_and_nobodys_after_it(database: str) -> None:
    ask(
        database,
        "CREATE SCHEMA mine; CREATE TABLE mine.seen (n int, name text, value text);"
        "CREATE PROCEDURE mine.look() LANGUAGE plpgsql AS $$ BEGIN"
        " FOR i IN 1..2 LOOP INSERT INTO seen SELECT i, name, setting FROM pg_settings WHERE name IN"
        " ('search_path', 'TimeZone', 'work_mem', 'transaction_isolation', 'statement_timeout'); COMMIT;"
        " INSERT INTO seen VALUES (i, 'df', current_setting('df.in_workflow')); END LOOP; END $$",
    )
    policy = Policy(
        isolation="serializable",
        timeout=Duration(microseconds=60_000_000),
        settings=(("work_mem", "123MB"), ("search_path", "mine, public")),
    )

    async def work(on: Bench) -> None:
        await on.step(alone("CALL look()"), policy=policy)
        state = await on.step(
            rows_of("SELECT current_setting(n) FROM unnest(ARRAY['work_mem', 'search_path']) AS n")
        )
        assert state.cells == ("4MB", on.claim.search_path)

    run(database, work)
    found = ask(database, "SELECT DISTINCT name, value FROM mine.seen WHERE name <> 'statement_timeout'")
    assert sorted(found) == [
        ("TimeZone", ask(database, "SELECT time_zone FROM df.instances")[0][0]),
        ("df", "true"),
        ("search_path", "mine, public"),
        ("transaction_isolation", "serializable"),
        ("work_mem", "125952"),
    ]
    [(limit,)] = ask(database, "SELECT DISTINCT value::int FROM mine.seen WHERE name = 'statement_timeout'")
    assert 50_000 < limit <= 60_000
    assert ask(database, "SELECT count(*) FROM mine.seen WHERE n = 2") == [(6,)]


def test_references_are_literals(filled: str) -> None:
    ask(filled, "CREATE TABLE notes (a text, b numeric)")
    ask(filled, "CREATE PROCEDURE put(text, numeric) LANGUAGE sql AS 'INSERT INTO notes VALUES ($1, $2)'")

    async def work(on: Bench) -> None:
        await on.step(rows_of("SELECT 'it''s \\ \"odd\"' AS a, 1.50 AS b"), name="v")
        sql = "CALL put($v.a, $v.b)"
        await on.step(alone(sql, reference(sql, "$v.a"), reference(sql, "$v.b")))

    run(filled, work)
    assert ask(filled, "SELECT a, b::text FROM notes") == [('it\'s \\ "odd"', "1.50")]


def test_an_error_leaves_no_checkpoint_and_a_clean_session(filled: str) -> None:
    async def work(on: Bench) -> None:
        policy = Policy(settings=(("work_mem", "123MB"),))
        sql = "VACUUM  nope"
        for _ in range(2):
            with pytest.raises(StepFailed) as caught:
                await on.step(alone(sql, kind="vacuum"), name="s", policy=policy)
            assert caught.value.error.sqlstate == "42P01"
            assert (await on.step(rows_of("SELECT current_setting('work_mem')"))).cells == ("4MB",)
        with pytest.raises(StepFailed) as caught:
            await on.step(alone("CALL nope()"))
        assert caught.value.error.position == 5
        with pytest.raises(StepFailed) as caught:
            await on.step(alone("VACUUM t", kind="vacuum"), policy=Policy(settings=(("work_mem", "x"),)))
        assert caught.value.error.message.startswith("setting `work_mem`")

    run(filled, work)
    assert ask(filled, "SELECT count(*) FROM df.checkpoints WHERE path = 's'") == [(0,)]


def test_a_time_limit_ends_the_statement(filled: str) -> None:
    ask(filled, "CREATE PROCEDURE slow() LANGUAGE sql AS 'SELECT pg_sleep(60)'")

    async def work(on: Bench) -> None:
        with pytest.raises(StepFailed) as caught:
            await on.step(alone("CALL slow()"), name="s", policy=Policy(timeout=Duration(microseconds=1)))
        assert caught.value.error.sqlstate == "timeout"
        assert (await on.step(rows_of("SELECT pg_sleep(0.1)"))).row_count == 1

    run(filled, work)


LEAVING = [
    "CREATE TEMP TABLE notes (a int)",
    "LISTEN gossip",
    "PREPARE p AS SELECT 1",
    "SET work_mem = ''64MB''",
]


@pytest.mark.parametrize("leftover", LEAVING)
def test_what_a_statement_leaves_does_not_make_it_run_again(filled: str, leftover: str) -> None:
    """Its checkpoint is written on another session where its own is of no use."""

    async def work(on: Bench) -> None:
        sql = f"DO $$ BEGIN INSERT INTO t VALUES (7); COMMIT; EXECUTE '{leftover}'; END $$"
        await on.step(alone(sql, kind="do"), name="s")
        state = rows_of("SELECT current_setting('work_mem'), pg_my_temp_schema()::text")
        assert (await on.step(state)).cells == ("4MB", "0")

    run(filled, work)
    assert ask(filled, "SELECT count(*) FROM t WHERE a = 7") == [(1,)]
    assert ask(filled, "SELECT count(*) FROM df.checkpoints") == [(2,)]


def test_riders_go_along_with_the_checkpoint(filled: str) -> None:
    async def work(on: Bench) -> None:
        action = on.action(
            alone("VACUUM t", kind="vacuum"), name="s", rider=Finish(status="completed", shape="s")
        )
        answer = await on.sql.run(on.claim, action)
        assert answer.finished

    run(filled, work)
    assert ask(filled, "SELECT status FROM df.instances") == [("completed",)]


def test_a_lost_fence_is_found_at_the_checkpoint(filled: str) -> None:
    async def work(on: Bench) -> None:
        await asyncio.to_thread(ask, filled, "UPDATE df.fences SET token = decode(repeat('00', 16), 'hex')")
        with pytest.raises(FenceLost):
            await on.step(alone("VACUUM t", kind="vacuum"))

    run(filled, work)


WAITING = "DO $$ BEGIN INSERT INTO t VALUES (7); COMMIT; PERFORM pg_advisory_lock_shared(78); COMMIT; END $$"


def waits(database: str) -> bool:
    return ask(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [
        (1,)
    ]


def test_cancelling_cancels_the_statement(filled: str) -> None:
    async def work(on: Bench) -> None:
        with psycopg.connect(filled, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(78)")
            task = asyncio.create_task(on.step(alone(WAITING, kind="do"), name="s"))
            await asyncio.to_thread(until, lambda: waits(filled), "the statement to wait")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not waits(filled)
        assert (await on.step(rows_of("SELECT 1"))).cells == ("1",)

    run(filled, work)
    assert ask(filled, "SELECT count(*) FROM df.checkpoints WHERE path = 's'") == [(0,)]


def test_a_cancel_that_comes_when_the_statement_has_run_lets_it_be_recorded(filled: str) -> None:
    async def work(on: Bench) -> None:
        with psycopg.connect(filled) as other:
            # Its checkpoint waits for the fence.
            other.execute("SELECT FROM df.fences FOR UPDATE")
            task = asyncio.create_task(on.step(alone("VACUUM t", kind="vacuum"), name="s"))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            await asyncio.to_thread(until, lambda: ask(filled, waiting) == [(1,)], "the checkpoint to wait")
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    run(filled, work)
    assert ask(filled, "SELECT path FROM df.checkpoints") == [("s",)]


def test_a_cancel_while_waiting_for_a_session(filled: str) -> None:
    async def work(on: Bench) -> None:
        slow = asyncio.create_task(on.step(rows_of("SELECT pg_sleep(3600)")))
        await asyncio.to_thread(until, lambda: ask(filled, SLEEPING) == [(1,)], "the other step to run")
        task = asyncio.create_task(on.step(alone("VACUUM t", kind="vacuum"), name="s"))
        await asyncio.sleep(0)
        for each in (task, slow):
            each.cancel()
            with pytest.raises(asyncio.CancelledError):
                await each
        await on.step(alone("VACUUM t", kind="vacuum"), name="s")

    run(filled, work)


def test_a_session_that_is_lost_behind_the_statement_costs_nothing(filled: str) -> None:
    """The checkpoint is written on another session, and the statement does not run again."""

    async def work(on: Bench) -> None:
        with psycopg.connect(filled) as other:
            other.execute("SELECT FROM df.fences FOR UPDATE")
            sql = "DO 'BEGIN INSERT INTO t VALUES (7); COMMIT; END'"
            task = asyncio.create_task(on.step(alone(sql, kind="do"), name="s"))
            waiting = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"
            await asyncio.to_thread(
                until, lambda: ask(filled, waiting) == [(True,)], "the checkpoint to wait"
            )
        await task

    run(filled, work)
    assert ask(filled, "SELECT path FROM df.checkpoints") == [("s",)]
    assert ask(filled, "SELECT count(*) FROM t WHERE a = 7") == [(1,)]


def test_a_session_that_is_lost_during_the_statement_is_an_attempt(filled: str) -> None:
    async def work(on: Bench) -> None:
        with psycopg.connect(filled, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(78)")
            task = asyncio.create_task(on.step(alone(WAITING, kind="do"), name="s"))
            await asyncio.to_thread(until, lambda: waits(filled), "the statement to wait")
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
            with pytest.raises(Transient):
                await task

    run(filled, work)
    assert ask(filled, "SELECT count(*) FROM t WHERE a = 7") == [(1,)]


def test_a_session_that_is_lost_before_the_statement_is_no_attempt(filled: str) -> None:
    ask(
        filled,
        "CREATE OR REPLACE FUNCTION df.begin_step(search_path text, time_zone text,"
        " isolation text DEFAULT 'read committed') RETURNS void LANGUAGE sql AS"
        " 'SELECT pg_terminate_backend(pg_backend_pid())'",
    )

    async def work(on: Bench) -> None:
        with pytest.raises(Unreachable):
            await on.step(alone("CALL commits(1, NULL)"))

    run(filled, work)
    assert ask(filled, "SELECT count(*) FROM t") == [(2,)]
