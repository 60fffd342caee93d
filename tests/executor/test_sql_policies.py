"""What a policy puts around a statement: time limits, isolation, settings."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import psycopg
import pytest

from dfc.compiler.plan import Duration, Form, Policy
from dfc.executor.failures import StepFailed, Transient
from dfc.executor.journal import StepError
from tests.executor.support import Bench, count_of, rows_of, until
from tests.executor.test_sql_runner import ask, run

SOON = Duration(microseconds=200_000)
LONG = Duration(microseconds=30_000_000)
FORMS = [Form.WITH, Form.QUERY]


async def failure(on: Bench, *arguments: Any, **named: Any) -> StepError:
    with pytest.raises(StepFailed) as caught:
        await on.step(*arguments, **named)
    return caught.value.error


def settings(**given: str) -> Policy:
    return Policy(settings=tuple(given.items()))


# Time


@pytest.mark.parametrize("isolation", [None, "serializable"])
@pytest.mark.parametrize("form", FORMS)
def test_a_statement_is_stopped_at_its_time_limit(database: str, form: Form, isolation: str | None) -> None:
    ask(database, "CREATE TABLE t (a int)")
    policy = Policy(timeout=SOON, isolation=isolation)

    async def work(on: Bench) -> None:
        slow = "SELECT count(*) FROM (SELECT pg_sleep(30)) AS s"
        error = await failure(on, rows_of(slow, form=form), name="slow", policy=policy)
        assert (error.sqlstate, error.step) == ("timeout", "slow")
        assert error.message == "step `slow` has taken longer than its timeout of 0.2 s"
        # It is the statement's own: the same step goes on without it, on the same session.
        assert (await on.step(rows_of("SELECT pg_sleep(0.3)", form=form), name="slow")).row_count == 1
        assert (await on.step(rows_of("SHOW statement_timeout", form=Form.QUERY))).cells == ("0",)
        limited = await on.step(rows_of("SHOW statement_timeout", form=Form.QUERY), policy=policy)
        assert 100 < int(limited.cells[0].removesuffix("ms")) <= 200

    run(database, work)


@pytest.mark.parametrize("form", FORMS)
def test_a_time_limit_counts_waiting_for_locks(database: str, form: Form) -> None:
    """To describe a statement means waiting for the locks of its tables, too."""
    ask(database, "CREATE TABLE t (a int)")

    async def work(on: Bench) -> None:
        with psycopg.connect(database) as other:
            other.execute("LOCK TABLE t")
            for known in (False, True):
                if known:
                    other.rollback()
                    await on.step(rows_of("SELECT * FROM t", form=form))
                    other.execute("LOCK TABLE t")
                error = await failure(on, rows_of("SELECT * FROM t", form=form), policy=Policy(timeout=SOON))
                assert error.sqlstate == "timeout"

    run(database, work)


def test_a_time_limit_counts_deferred_checks(database: str) -> None:
    ask(
        database,
        "CREATE TABLE t (a int); CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION slow()",
    )

    async def work(on: Bench) -> None:
        for isolation in (None, "repeatable read"):
            policy = Policy(timeout=SOON, isolation=isolation)
            error = await failure(on, count_of("INSERT INTO t VALUES (1)"), policy=policy)
            assert error.sqlstate == "timeout"

    run(database, work)
    assert ask(database, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM df.checkpoints)") == [(0, 0)]


def test_a_cancel_that_nobody_asked_for_is_no_time_limit(database: str) -> None:
    async def work(on: Bench) -> None:
        with pytest.raises(Transient) as caught:
            await on.step(
                rows_of("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(30)"),
                policy=Policy(timeout=LONG),
            )
        assert caught.value.sqlstate == "57014"
        assert (await on.step(rows_of("SELECT 1"), policy=Policy(timeout=LONG))).cells == ("1",)

    run(database, work)


def test_a_time_limit_that_postgres_does_not_know_is_none(database: str) -> None:
    async def work(on: Bench) -> None:
        shown = rows_of("SHOW statement_timeout", form=Form.QUERY)
        assert (await on.step(shown, policy=Policy(timeout=Duration(months=2)))).cells == ("0",)

    run(database, work)


# Isolation


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_a_step_runs_at_its_level_of_isolation(database: str, level: str, form: Form) -> None:
    async def work(on: Bench) -> None:
        policy = Policy(isolation=level)
        sql = (
            "SELECT current_setting('transaction_isolation'), current_setting('search_path'),"
            " current_setting('TimeZone'), current_setting('df.in_workflow')"
        )
        for _ in range(3):  # described, sent, and sent as a prepared statement
            cells = (await on.step(rows_of(sql, form=form), policy=policy)).cells
            assert cells == (level, on.claim.search_path, on.claim.time_zone, "true")
        assert (await on.step(rows_of(sql, form=form))).cells[0] == "read committed"

    run(database, work)
    assert ask(database, "SELECT count(*) FROM df.checkpoints") == [(4,)]


def test_what_a_transaction_of_its_own_leaves_behind(database: str) -> None:
    """An error, a cancel, a failed commit: the session is not in a transaction afterwards."""
    ask(
        database,
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )
    policy = Policy(isolation="serializable")

    async def work(on: Bench) -> None:
        pid = (await on.step(rows_of("SELECT pg_backend_pid()"))).cells
        assert (await failure(on, rows_of("SELECT 1/0"), policy=policy)).sqlstate == "22012"
        assert (
            await failure(on, count_of("INSERT INTO child VALUES (1)"), policy=policy)
        ).sqlstate == "23503"
        task = asyncio.create_task(on.step(rows_of("SELECT pg_sleep(3600)"), policy=policy))
        await asyncio.to_thread(until, lambda: ask(database, SLEEPING) == [(1,)], "the statement to run")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        state = "SELECT state FROM pg_stat_activity WHERE application_name = 'dfc step'"
        state += " AND datname = current_database()"
        assert await asyncio.to_thread(ask, database, state) == [("idle",)]
        assert (await on.step(rows_of("SELECT pg_backend_pid()"))).cells == pid

    run(database, work)
    assert ask(database, "SELECT count(*) FROM child") == [(0,)]


SLEEPING = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'"
    " AND datname = current_database()"
)


@pytest.mark.parametrize(
    ("level", "fails"), [("read committed", False), ("repeatable read", True), ("serializable", True)]
)
def test_a_serialization_failure_is_transient(database: str, level: str, fails: bool) -> None:
    ask(database, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    # It has its snapshot, and waits here until somebody else has changed the row.
    sql = "UPDATE t SET a = a + 1 WHERE (SELECT true FROM (SELECT pg_advisory_lock_shared(77)) AS s)"

    async def work(on: Bench) -> None:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(77)")
            step = asyncio.create_task(
                on.step(count_of(sql, kind="update"), name="slow", policy=Policy(isolation=level))
            )
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await asyncio.to_thread(until, lambda: ask(database, waiting) == [(1,)], "the step to wait")
            other.execute("UPDATE t SET a = 10")
            other.execute("SELECT pg_advisory_unlock(77)")
        expected = pytest.raises(Transient) if fails else contextlib.nullcontext()
        with expected as caught:
            await step
        if caught is not None:
            assert caught.value.sqlstate == "40001"

    run(database, work)
    assert ask(database, "SELECT a FROM t") == [(10 if fails else 11,)]


def test_a_session_that_begins_otherwise_by_default_does_not_change_a_level(database: str) -> None:
    leftover = "SELECT set_config('default_transaction_isolation', 'serializable', false)"
    readonly = "SELECT set_config('default_transaction_read_only', 'on', false)"

    async def work(on: Bench) -> None:
        for left in (leftover, readonly):
            await on.step(rows_of(left))
            sql = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
            found = await on.step(rows_of(sql), policy=Policy(isolation="repeatable read"))
            assert found.cells == ("repeatable read", "off")

    run(database, work)


# Settings


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("isolation", [None, "serializable"])
def test_settings_are_the_steps_own(database: str, form: Form, isolation: str | None) -> None:
    sql = (
        "SELECT current_setting('work_mem'), current_setting('app.tenant', true), current_setting('TimeZone')"
    )

    async def work(on: Bench) -> None:
        policy = Policy(
            isolation=isolation,
            settings=(("work_mem", "123MB"), ("app.tenant", "it's \\ 7"), ("TimeZone", "Asia/Tokyo")),
        )
        for _ in range(3):
            found = await on.step(rows_of(sql, form=form), policy=policy)
            assert found.cells == ("123MB", "it's \\ 7", "Asia/Tokyo")
        found = await on.step(rows_of(sql, form=form))
        assert found.cells == ("4MB", "", on.claim.time_zone)

    run(database, work)


def test_a_statement_with_settings_is_planned_with_them(database: str) -> None:
    """A prepared statement may have its plan from before."""
    ask(database, "CREATE TABLE t AS SELECT generate_series(1, 100) AS a; CREATE INDEX ON t (a); ANALYZE t")
    sql = "SELECT a FROM t WHERE a = 7"
    scans = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 't'"

    async def work(on: Bench) -> None:
        flush = rows_of("SELECT pg_stat_force_next_flush()")
        for _ in range(8):
            await on.step(rows_of(sql))
        await on.step(flush)
        await asyncio.to_thread(until, lambda: ask(database, scans)[0][0] >= 8, "statistics")
        assert ask(database, scans)[0][1] == 0
        await on.step(rows_of(sql), policy=settings(enable_seqscan="off"))
        await on.step(flush)
        await asyncio.to_thread(until, lambda: ask(database, scans)[0][1] == 1, "statistics")

    run(database, work)


@pytest.mark.parametrize("form", FORMS)
def test_a_search_path_of_a_step_counts_when_it_is_described_too(database: str, form: Form) -> None:
    ask(database, "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 2 AS b; CREATE TABLE t AS SELECT 1 AS a")

    async def work(on: Bench) -> None:
        for _ in range(2):
            assert (await on.step(rows_of("SELECT * FROM t", form=form))).columns == ("a",)
            policy = settings(search_path="s, public")
            found = await on.step(rows_of("SELECT * FROM t", form=form), policy=policy)
            assert (found.columns, found.cells) == (("b",), ("2",))

    run(database, work)


@pytest.mark.parametrize(
    "name",
    [
        "role",
        "Session_Authorization",
        "client_encoding",
        "transaction_isolation",
        "statement_timeout",
        "df.in_workflow",
        "DF.anything",
        "datestyle",
        "default_transaction_read_only",
        "row_security",
    ],
)
def test_settings_that_a_step_cannot_have(database: str, name: str) -> None:
    async def work(on: Bench) -> None:
        error = await failure(on, rows_of("SELECT 1"), name="s", policy=settings(**{name: "x"}))
        assert error.message.startswith(f"step `s` cannot have the setting `{name}`: ")
        assert error.sqlstate == "22023"

    run(database, work)


@pytest.mark.parametrize(
    ("name", "value", "sqlstate"),
    [
        ("work_mem", "lots", "22023"),
        ("no_such_setting", "1", "42704"),
        ("shared_buffers", "1GB", "55P02"),
        ("no.such thing", "1", "42602"),
    ],
)
def test_a_setting_that_postgres_refuses_is_named(
    database: str, name: str, value: str, sqlstate: str
) -> None:
    async def work(on: Bench) -> None:
        policy = Policy(settings=(("jit", "off"), (name, value)))
        for body in (rows_of("SELECT 1"), count_of("SELECT 1", form=Form.EXECUTE, kind="do")):
            error = await failure(on, body, name="s", policy=policy)
            assert error.message.startswith(f"setting `{name}` of step `s`: ")
            assert (error.sqlstate, error.position) == (sqlstate, None)
        assert (await on.step(rows_of("SELECT 1"))).cells == ("1",)

    run(database, work)


# Hints


def test_a_call_or_do_that_commits_is_told_how(database: str) -> None:
    ask(database, "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'")

    async def work(on: Bench) -> None:
        for sql, kind in (("CALL p()", "call"), ("DO 'BEGIN COMMIT; END'", "do")):
            error = await failure(on, count_of(sql, form=Form.EXECUTE, kind=kind))
            assert error.sqlstate == "2D000"
            assert error.hint is not None
            assert "autocommit => true" in error.hint

    run(database, work)


@pytest.mark.parametrize("form", [Form.EXECUTE, Form.AUTOCOMMIT])
def test_copy_to_and_from_the_client_is_refused(database: str, form: Form) -> None:
    ask(database, "CREATE TABLE t (a int)")

    async def work(on: Bench) -> None:
        for sql in ("COPY t TO STDOUT", "COPY t FROM STDIN"):
            error = await failure(on, count_of(sql, form=form, kind="copy"))
            assert error.sqlstate == "0A000"
        assert (await on.step(rows_of("SELECT 1"))).cells == ("1",)

    run(database, work)
