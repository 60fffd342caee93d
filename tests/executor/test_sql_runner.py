"""SQL steps against a real server: types, hygiene of sessions, errors, cancelling."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from dfc.compiler.plan import Form, SqlBody
from dfc.executor.actions import Finish
from dfc.executor.failures import AlreadyRecorded, FenceLost, StepFailed, Transient
from dfc.executor.journal import Rows
from tests.executor.support import Bench, bench, count_of, reference, rows_of, until

Work = Callable[[Bench], Awaitable[None]]


def run(database: str, work: Work, *, connections_max: int = 1) -> None:
    """Run a coroutine against a bench on this database."""

    async def go() -> None:
        async with bench(database, connections_max=connections_max) as on:
            await work(on)

    asyncio.run(go())


def ask(database: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute(sql.encode())
        return found.fetchall() if found.description else []


VALUES = [
    "42",
    "-7::smallint",
    "9223372036854775807::bigint",
    "12345678901234567890.123456789",
    "'NaN'::numeric",
    "0.1::float8",
    "'Infinity'::float8",
    "true",
    "'it''s \\ \"quoted\" {x}, é 漢 🐘'::text",
    "''",
    "'  padded '::char(12)",
    "'2024-02-29 12:34:56.789012+02'::timestamptz",
    "'infinity'::timestamptz",
    "'4713-01-01 00:00:00 BC'::timestamp",
    "date '0001-01-01'",
    "interval '1 year -2 mons 3 days 04:05:06.789'",
    "'\\x00ff5c27'::bytea",
    "'{}'::int[]",
    "ARRAY[[1,2],[3,NULL]]",
    "ARRAY['a,b','{c}','\"d\\', NULL, '']",
    "'[2:3]={7,8}'::int[]",
    '\'{"b": 1, "a": [1.10, null, "x"]}\'::jsonb',
    '\'{"b": 1,  "b": 2}\'::json',
    "'calm'::mood",
    "ARRAY['calm','wild']::mood[]",
    "ROW(1, NULL, 'x,y')::pair",
    "ROW(NULL, NULL, NULL)::pair",
    "'[1,5)'::int4range",
    "'{[1,3),[5,7)}'::int4multirange",
    "7::positive",
    "'10.0.0.1'::inet",
    "'10.0.0.0/8'::cidr",
    "'(1,2)'::point",
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
    "'$12.30'::money",
    "B'1010'",
    "'a & b'::tsquery",
    "'pg_class'::regclass",
    "'x'::\"char\"",
    "'n'::name",
    "'00:00:01+05'::timetz",
]


@pytest.fixture
def typed(database: str) -> str:
    ask(
        database,
        "CREATE TYPE mood AS ENUM ('calm', 'wild'); CREATE TYPE pair AS (a int, b int, c text);"
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    )
    return database


@pytest.mark.parametrize("form", [Form.WITH, Form.QUERY])
def test_types_survive_references(typed: str, form: Form) -> None:
    async def work(on: Bench) -> None:
        for number, value in enumerate(VALUES):
            name = f"v{number}"
            await on.step(rows_of(f"SELECT {value} AS x", form=form), name=name)
            compare = (
                f"SELECT ${name} IS NOT DISTINCT FROM y AS same, pg_typeof(${name}) AS t, pg_typeof(y) AS u,"
                f" (SELECT r.x::text FROM ${name}.* AS r) IS NOT DISTINCT FROM (y)::text AS rows_same"
                f" FROM (SELECT {value} AS y) AS z"
            )
            if any(kind in value for kind in ("::json", "::xml", "::point")) and "jsonb" not in value:
                compare = compare.replace(f"${name} IS NOT DISTINCT FROM y", f"${name}::text = y::text", 1)
            parameters = sorted(
                (
                    reference(compare, f"${name} IS")
                    if f"${name} IS" in compare
                    else reference(compare, f"${name}::text"),
                    reference(compare, f"${name})"),
                    reference(compare, f"${name}.*", aliased=True),
                ),
                key=lambda p: p.start,
            )
            cut = [_only_name(compare, p.start, name, p.use.value, p.aliased) for p in parameters]
            result = await on.step(rows_of(compare, *cut, form=form))
            same, left, right, rows_same = result.cells
            assert (same, rows_same) == ("t", "t"), value
            if value != "7::positive":  # a described domain is its base type
                assert left == right, value

    run(typed, work)


def _only_name(sql: str, start: int, name: str, use: str, aliased: bool) -> Any:
    from dfc.compiler.plan import Parameter, Use

    end = start + len(f"${name}") + (2 if use == "rows" else 0)
    return Parameter(name=name, source=name, use=Use(use), start=start, end=end, aliased=aliased)


@pytest.mark.parametrize("form", [Form.WITH, Form.QUERY])
def test_null_and_empty_row_sets(database: str, form: Form) -> None:
    async def work(on: Bench) -> None:
        empty = "SELECT 1::numeric AS a, now() AS b, ARRAY[1] AS c WHERE false"
        await on.step(rows_of(empty, form=form), name="none")
        sql = "SELECT pg_typeof(sum(a)), pg_typeof(max(b)), pg_typeof(max(c)), count(*) FROM $none.*"
        result = await on.step(rows_of(sql, reference(sql, "$none.*"), form=form))
        assert result.cells == ("numeric", "timestamp with time zone", "integer[]", "0")
        sql = "SELECT $none? AS a, pg_typeof($none?) AS t, $none.row_count AS n"
        result = await on.step(
            rows_of(
                sql,
                reference(sql, "$none?"),
                reference(sql, "$none?", nth=1),
                reference(sql, "$none.row_count"),
                form=form,
            )
        )
        assert result.cells == (None, "numeric", "0")
        sql = "SELECT $none"
        with pytest.raises(
            StepFailed, match="needs `\\$none`, but step `none` has returned no rows"
        ) as caught:
            await on.step(rows_of(sql, reference(sql, "$none"), form=form))
        assert caught.value.error.sqlstate == "P0002"
        await on.step(rows_of("SELECT NULL::int AS x, 1 AS y", form=form), name="null")
        sql = "SELECT $null.x"
        with pytest.raises(StepFailed, match="`x` of the first row of step `null` is NULL"):
            await on.step(rows_of(sql, reference(sql, "$null.x"), form=form))
        sql = "SELECT $null.z"
        with pytest.raises(StepFailed, match="no column `z`; its columns are `x`, `y`"):
            await on.step(rows_of(sql, reference(sql, "$null.z"), form=form))

    run(database, work)


def test_counts_duplicates_and_odd_columns(database: str) -> None:
    ask(database, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")

    async def work(on: Bench) -> None:
        result = await on.step(count_of("UPDATE t SET a = a + 1 -- why", kind="update"), name="n")
        assert result == Rows(columns=(), types=(), cells=(), row_count=2)
        sql = "SELECT $n + $n.row_count AS twice"
        result = await on.step(rows_of(sql, reference(sql, "$n"), reference(sql, "$n.row_count")))
        assert result.cells == ("4",)
        result = await on.step(rows_of('SELECT 1 AS a, 2 AS a, 3 AS "A "" b", 4'), name="twins")
        assert result.columns == ("a", "a", 'A " b', "?column?")
        sql = "SELECT a, a_2, $twins.a_2 AS x FROM $twins.*"
        result = await on.step(rows_of(sql, reference(sql, "$twins.a_2"), reference(sql, "$twins.*")))
        assert result.cells == ("1", "2", "2")
        for form in (Form.WITH, Form.QUERY):
            result = await on.step(rows_of("SELECT FROM t", form=form))
            assert (result.columns, result.row_count) == ((), 2)
        result = await on.step(rows_of("SELECT pg_notify('c', '') FROM t", form=Form.QUERY))
        assert result.cells == (None, None)
        result = await on.step(rows_of("EXPLAIN SELECT 1", form=Form.EXECUTE, kind="explain"))
        assert result.columns == ("QUERY PLAN",)
        made = "CREATE TABLE made AS SELECT * FROM $twins.* AS r(a, b, c, d) WHERE d = $twins.a + 3"
        body = count_of(
            made,
            reference(made, "$twins.*", aliased=True),
            reference(made, "$twins.a"),
            form=Form.EXECUTE,
            kind="create table as",
        )
        assert (await on.step(body)).row_count == 1
        nested = "WITH gone AS (DELETE FROM t RETURNING a) INSERT INTO t SELECT a * 10 FROM gone"
        assert (await on.step(count_of(nested))).row_count == 2

    run(database, work)
    assert ask(database, "SELECT a FROM t ORDER BY a") == [(20,), (30,)]
    assert ask(database, "SELECT a, d FROM made") == [(1, 4)]


LEFTOVERS = [
    "SELECT set_config('search_path', 'elsewhere', false)",
    "SELECT set_config('statement_timeout', '1', false)",
    "SELECT set_config('client_encoding', 'LATIN1', false), 'é'",
    "SELECT nextval('numbers')",
    "SELECT pg_advisory_lock(4711)",
    "SELECT dirty('CREATE TEMP TABLE notes (a int)')",
    "SELECT dirty('LISTEN gossip')",
    "SELECT dirty('DECLARE c CURSOR WITH HOLD FOR SELECT 1')",
    "SELECT dirty('PREPARE p AS SELECT 1')",
    "SELECT dirty('SET ROLE other_role')",
    "SELECT dirty('SET SESSION AUTHORIZATION DEFAULT; SET DateStyle = ''SQL, DMY''')",
    "SELECT set_config('default_transaction_read_only', 'on', false)",
    "SELECT set_config('default_transaction_isolation', 'serializable', false)",
    "SELECT dirty('DEALLOCATE ALL')",
    "SELECT dirty('DEALLOCATE ALL; PREPARE _pg3_dfc_1 (text, text) AS SELECT 1')",
]


@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_no_session_state_reaches_the_next_step(database: str, leftover: str) -> None:
    ask(
        database,
        "CREATE FUNCTION dirty(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END';"
        "CREATE TABLE notes (a int); CREATE SEQUENCE numbers;"
        "CREATE FUNCTION last_value() RETURNS text LANGUAGE plpgsql AS"
        " 'BEGIN RETURN lastval();"
        " EXCEPTION WHEN object_not_in_prerequisite_state THEN RETURN ''none''; END';"
        "DO $$ BEGIN CREATE ROLE other_role; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    )

    async def work(on: Bench) -> None:
        with contextlib.suppress(Transient):  # an answer that cannot be read: the journal has it
            await on.step(rows_of(leftover))
        assert ask(database, "SELECT count(*) FROM df.checkpoints") == [(1,)]
        await on.step(count_of("INSERT INTO notes VALUES (1)"))
        state = await on.step(
            rows_of(
                "SELECT current_setting('search_path'), current_setting('statement_timeout'), current_user,"
                " (SELECT count(*) FROM pg_cursors WHERE name <> ''),"
                " (SELECT count(*) FROM pg_listening_channels()),"
                " (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),"
                " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
                " current_setting('DateStyle'), current_setting('df.in_workflow'), last_value()"
            )
        )
        assert state.cells[2:] == ("postgres", "0", "0", "0", "0", "ISO, MDY", "true", "none")
        assert state.cells[0] == on.claim.search_path
        assert state.cells[1] == "0"

    run(database, work)
    assert ask(database, "SELECT count(*) FROM public.notes") == [(1,)]


def test_settings_of_roles_do_not_change_the_text_of_values(database: str) -> None:
    ask(
        database,
        "ALTER ROLE postgres SET DateStyle = 'German'; ALTER ROLE postgres SET bytea_output = 'escape';"
        "ALTER ROLE postgres SET IntervalStyle = 'iso_8601'; ALTER ROLE postgres SET extra_float_digits = -5",
    )
    try:

        async def work(on: Bench) -> None:
            result = await on.step(
                rows_of(
                    r"SELECT date '2024-12-31', '\x00ff'::bytea, interval '1 day 02:00', 0.1::float8 + 0.2"
                )
            )
            assert result.cells == ("2024-12-31", r"\x00ff", "1 day 02:00:00", "0.30000000000000004")

        run(database, work)
    finally:
        ask(database, "ALTER ROLE postgres RESET ALL")


def test_a_deferred_constraint_that_fails_at_commit_fails_the_step(database: str) -> None:
    ask(
        database,
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )

    async def work(on: Bench) -> None:
        for _ in range(3):
            with pytest.raises(StepFailed, match="violates foreign key") as caught:
                await on.step(count_of("INSERT INTO child VALUES (7)"), name="orphan")
            assert caught.value.error.sqlstate == "23503"
        await on.step(count_of("INSERT INTO parent VALUES (7)"), name="orphan")

    run(database, work)
    assert ask(database, "SELECT count(*) FROM child") == [(0,)]
    assert ask(database, "SELECT path FROM df.checkpoints") == [("orphan",)]


POSITIONS: list[tuple[SqlBody, str]] = [
    (rows_of("SELECT 'é', nope FROM pg_class"), "nope"),
    (rows_of("SELECT nope FROM pg_class", form=Form.QUERY), "nope"),
    (count_of("UPDATE t SET b = 1", kind="update"), "b ="),
    (count_of("CREATE TABLE u (a nonsense)", form=Form.EXECUTE, kind="create table"), "nonsense"),
]


@pytest.mark.parametrize(("body", "where"), POSITIONS)
def test_positions_are_those_of_the_step_itself(database: str, body: SqlBody, where: str) -> None:
    ask(database, "CREATE TABLE t (a int)")

    async def work(on: Bench) -> None:
        for _ in range(2):
            with pytest.raises(StepFailed) as caught:
                await on.step(body)
            assert caught.value.error.position == body.sql.index(where)

    run(database, work)


def test_positions_behind_references(database: str) -> None:
    async def work(on: Bench) -> None:
        await on.step(rows_of("SELECT 1 AS a, 'x' AS b"), name="first")
        sql = "SELECT $first.a, (SELECT max(a) FROM $first.*), nope"
        parameters = (reference(sql, "$first.a"), reference(sql, "$first.*"))
        for form in (Form.WITH, Form.QUERY):
            with pytest.raises(StepFailed) as caught:
                await on.step(rows_of(sql, *parameters, form=form))
            assert caught.value.error.position == sql.index("nope")

    run(database, work)


def test_other_columns_than_described_are_described_again(database: str) -> None:
    ask(database, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')")
    changes = [
        "SELECT 1",
        "ALTER TABLE t ALTER a TYPE numeric",
        "ALTER TABLE t ADD c bool DEFAULT true",
        "ALTER TABLE t RENAME b TO d",
        "ALTER TABLE t DROP COLUMN a",
    ]

    for form in (Form.WITH, Form.QUERY):

        async def work(on: Bench, form: Form = form) -> None:
            for change in (
                changes if form is Form.WITH else ["SELECT 1", "ALTER TABLE t ADD e numeric DEFAULT 1"]
            ):
                for _ in range(3):
                    await on.step(rows_of("SELECT * FROM t", form=form))
                await asyncio.to_thread(ask, database, change)
                result = await on.step(rows_of("SELECT * FROM t", form=form))
                names = await asyncio.to_thread(
                    ask,
                    database,
                    "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"
                    " AND NOT attisdropped ORDER BY attnum",
                )
                assert list(zip(result.columns, result.types, strict=True)) == names, change

        run(database, work)


def test_a_result_over_the_limit_has_no_effect(database: str) -> None:
    ask(database, "CREATE TABLE t (a int)")

    async def work(on: Bench) -> None:
        with pytest.raises(StepFailed) as caught:
            await on.step(
                rows_of("INSERT INTO t SELECT generate_series(1, 10001) RETURNING a", kind="insert")
            )
        assert caught.value.error.sqlstate == "DF501"
        for many in ("SELECT n FROM generate_series(1, 10001) AS n", "SELECT repeat('x', 17000000) AS x"):
            for form in (Form.WITH, Form.QUERY):
                with pytest.raises(StepFailed) as caught:
                    await on.step(rows_of(many, form=form))
                assert caught.value.error.sqlstate == "DF501"
        result = await on.step(
            rows_of("INSERT INTO t SELECT generate_series(1, 10000) RETURNING a", kind="insert")
        )
        assert (result.row_count, len(result.cells)) == (10000, 10000)

    run(database, work)
    assert ask(database, "SELECT count(*) FROM t") == [(10000,)]


def test_a_step_is_recorded_once(database: str) -> None:
    ask(database, "CREATE TABLE t (a int)")

    async def work(on: Bench) -> None:
        await on.step(count_of("INSERT INTO t VALUES (1)"), name="once")
        with pytest.raises(AlreadyRecorded):
            await on.step(count_of("INSERT INTO t VALUES (1)"), name="once")
        await asyncio.to_thread(ask, database, "UPDATE df.fences SET token = decode(repeat('00', 16), 'hex')")
        with pytest.raises(FenceLost):
            await on.step(count_of("INSERT INTO t VALUES (1)"), name="twice")
        with pytest.raises(FenceLost):
            await on.store.finish(on.claim, Finish(status="completed", shape="once"))

    run(database, work)
    assert ask(database, "SELECT count(*) FROM t") == [(1,)]


def test_a_statement_cannot_pretend_that_its_fence_is_lost(database: str) -> None:
    ask(
        database,
        "CREATE FUNCTION lie() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'ha' USING ERRCODE = 'DX001'; END $$",
    )

    async def work(on: Bench) -> None:
        with pytest.raises(StepFailed):
            await on.step(rows_of("SELECT lie()"))

    run(database, work)


def test_cancelling_a_step_cancels_its_statement(database: str) -> None:
    async def work(on: Bench) -> None:
        def sleeping() -> int:
            return ask(
                database,
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'",
            )[0][0]

        task = asyncio.create_task(on.step(rows_of("SELECT pg_sleep(3600)")))
        await asyncio.to_thread(until, lambda: sleeping() == 1, "the statement to run")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(sleeping) == 0
        assert (await on.step(rows_of("SELECT 1 AS a"))).cells == ("1",)

    run(database, work)


def test_one_connections_limit_over_all(database: str) -> None:
    async def work(on: Bench) -> None:
        results = await asyncio.gather(*(on.step(rows_of("SELECT pg_backend_pid()")) for _ in range(20)))
        assert len({result.cells for result in results}) <= 3

    run(database, work, connections_max=3)


def test_a_lock_of_an_ended_step_is_let_go_although_nobody_uses_its_session(database: str) -> None:
    async def work(on: Bench) -> None:
        first = await on.step(rows_of("SELECT pg_backend_pid() FROM pg_advisory_lock(4712)"))

        def free() -> bool:
            return ask(database, "SELECT pg_try_advisory_lock(4712)") == [(True,)]

        await asyncio.to_thread(until, free, "the lock")
        assert (await on.step(rows_of("SELECT pg_backend_pid()"))).cells == first.cells

    run(database, work)


def test_a_time_limit_of_a_step_does_not_fail_the_next(database: str) -> None:
    """A guard that takes longer than an earlier step's statement_timeout costs its session, not the step."""

    async def work(on: Bench) -> None:
        for _ in range(20):
            await on.step(rows_of("SELECT set_config('statement_timeout', '1', false)"))
        assert (await on.step(rows_of("SELECT pg_sleep(0.01)"))).row_count == 1

    run(database, work)


def test_sessions_are_tidied_while_others_work(database: str) -> None:
    """Steps of very different length on many sessions: no session is lost, none is used by two."""

    async def work(on: Bench) -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        lengths = [0.0, 0.02, 0.06, 0.11, 0.0, 0.06, 0.15, 0.0] * 5
        steps = (
            on.step(rows_of(f"SELECT pg_sleep({seconds})"), name=f"s{number}")
            for number, seconds in enumerate(lengths)
        )
        await asyncio.gather(*steps)
        await asyncio.to_thread(until, lambda: ask(database, TIDIED) == [(0,)], "all tidied")
        assert faults == []

    run(database, work, connections_max=6)


TIDIED = (
    "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'dfc step'"
    " AND datname = current_database() AND query NOT LIKE '%begin_step%'"
)
