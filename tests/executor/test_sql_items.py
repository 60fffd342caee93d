"""The query of a map: its rows become items on the server, in order, and in bounded memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dfc.compiler.plan import Form, SqlBody
from dfc.executor.actions import RunItems
from dfc.executor.failures import AlreadyRecorded, FenceLost, StepFailed
from dfc.executor.journal import Completed, Rows
from dfc.executor.ports import Answer
from tests.executor.support import Bench, count_of, reference, rows_of, until
from tests.executor.test_sql_runner import ask, run

FORMS = [Form.WITH, Form.QUERY]


async def fill(on: Bench, body: SqlBody, *, path: str = "m", batch_size: int = 1) -> Answer:
    """Store the rows of a statement as the items of a map."""
    action = RunItems(path=f"{path}/items", body=body, sources=dict(on.results), batch_size=batch_size)
    return await on.sql.run_items(on.claim, action)


def items(database: str, path: str = "m") -> list[tuple[int, int, list[str | None]]]:
    """Number, rows and cells of the items of a map, in the order in which they were stored."""
    sql = "SELECT item, rows, cells FROM df.map_items i JOIN df.maps m USING (map)"
    return ask(database, f"{sql} WHERE m.path = '{path}' ORDER BY item")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [1, 7, 1000, 4000])
def test_rows_become_items_in_the_order_of_the_query(database: str, form: Form, batch_size: int) -> None:
    count = 9_999
    sql = f"SELECT -g AS n, 'x' || g AS \"a b\" FROM generate_series(1, {count}) AS g ORDER BY g DESC"

    async def work(on: Bench) -> None:
        answer = await fill(on, rows_of(sql, form=form), batch_size=batch_size)
        number = -(-count // batch_size)
        assert isinstance(answer.event, Completed)
        assert answer.event.path == "m/items"
        assert answer.event.result == Rows(columns=("n", "a b"), types=(23, 25), cells=(), row_count=number)
        found = items(database)
        assert [item for item, _, _ in found] == list(range(1, number + 1))
        assert [rows for _, rows, _ in found[:-1]] == [batch_size] * (number - 1)
        cells = [cell for _, _, cells in found for cell in cells]
        assert cells == [text for n in range(count, 0, -1) for text in (str(-n), f"x{n}")]
        with pytest.raises(AlreadyRecorded):
            await fill(on, rows_of(sql, form=form), batch_size=batch_size)

    run(database, work)
    assert ask(database, "SELECT path, kind FROM df.checkpoints") == [("m/items", "completed")]


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_are_no_items(database: str, form: Form) -> None:
    async def work(on: Bench) -> None:
        answer = await fill(on, rows_of("SELECT 1::numeric AS a, now() AS b WHERE false", form=form))
        assert isinstance(answer.event, Completed)
        expected = Rows(columns=("a", "b"), types=(1700, 1184), cells=(), row_count=0)
        assert answer.event.result == expected

    run(database, work)
    assert items(database) == []


@pytest.mark.parametrize("form", FORMS)
def test_odd_columns(database: str, form: Form) -> None:
    """Columns twice, named as ours are, of special types, NULL; none at all."""
    ask(database, "CREATE TYPE mood AS ENUM ('calm', 'wild'); CREATE DOMAIN positive AS int")
    sql = (
        "SELECT 1 AS n, 2 AS n, NULL::text AS block, true AS cells, 'calm'::mood AS first,'{a,NULL}'::text[]"
        ", 7::positive AS p, '{\"a\": 1}'::jsonb AS c0"
    )

    async def work(on: Bench) -> None:
        answer = await fill(on, rows_of(sql, form=form))
        assert isinstance(answer.event, Completed)
        assert isinstance(answer.event.result, Rows)
        assert answer.event.result.columns == ("n", "n", "block", "cells", "first", "text", "p", "c0")
        await fill(on, rows_of("SELECT FROM generate_series(1, 3)", form=form), path="none", batch_size=2)

    run(database, work)
    assert items(database) == [(1, 1, ["1", "2", None, "t", "calm", "{a,NULL}", "7", '{"a": 1}'])]
    assert items(database, "none") == [(1, 2, []), (2, 1, [])]


def test_a_statement_that_changes_data_gives_items_too(database: str) -> None:
    ask(database, "CREATE TABLE t (a int)")

    async def work(on: Bench) -> None:
        await on.step(rows_of("SELECT 3 AS n"), name="v")
        sql = "INSERT INTO t SELECT generate_series(1, $v) RETURNING a * 10 AS b"
        body = rows_of(sql, reference(sql, "$v"), kind="insert")
        await fill(on, body)
        with pytest.raises(StepFailed) as caught:
            await fill(on, count_of("INSERT INTO t VALUES (1)"), path="other")
        assert caught.value.error.message == "the statement of map `other/items` returns no rows"

    run(database, work)
    assert [cells for _, _, cells in items(database)] == [["10"], ["20"], ["30"]]
    assert ask(database, "SELECT count(*) FROM t") == [(3,)]


@pytest.mark.parametrize("form", FORMS)
def test_an_error_leaves_no_items(database: str, form: Form) -> None:
    sql = "SELECT 1 / (2999 - n) AS x FROM generate_series(1, 3000) AS n"

    async def work(on: Bench) -> None:
        with pytest.raises(StepFailed) as caught:
            await fill(on, rows_of(sql, form=form))
        assert caught.value.error.sqlstate == "22012"
        with pytest.raises(StepFailed) as caught:
            await fill(on, rows_of("SELECT 1 AS a, nope FROM pg_class", form=form))
        assert caught.value.error.position == 15
        await asyncio.to_thread(ask, database, "UPDATE df.fences SET token = decode(repeat('00', 16), 'hex')")
        for query in ("SELECT 1 AS a", "SELECT 1 AS a WHERE false"):
            with pytest.raises(FenceLost):
                await fill(on, rows_of(query, form=form))

    run(database, work)
    assert ask(database, "SELECT (SELECT count(*) FROM df.maps), (SELECT count(*) FROM df.map_items)") == [
        (0, 0)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_columns_that_have_changed_are_described_again(database: str, form: Form) -> None:
    ask(database, "CREATE TABLE t AS SELECT 1 AS a")

    async def work(on: Bench) -> None:
        await fill(on, rows_of("SELECT * FROM t", form=form), path="one")
        await asyncio.to_thread(ask, database, "ALTER TABLE t ALTER a TYPE text; ALTER TABLE t ADD b int")
        answer = await fill(on, rows_of("SELECT * FROM t", form=form), path="two")
        assert isinstance(answer.event, Completed)
        assert answer.event.result == Rows(columns=("a", "b"), types=(25, 23), cells=(), row_count=1)

    run(database, work)


def test_cancelling_cancels_the_query(database: str) -> None:
    async def work(on: Bench) -> None:
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'"
        slow = rows_of("SELECT pg_sleep(3600)")
        task = asyncio.create_task(fill(on, slow))
        await asyncio.to_thread(until, lambda: ask(database, sleeping) == [(1,)], "the query")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ask(database, sleeping) == [(0,)]
        await fill(on, rows_of("SELECT 1 AS a"))

    run(database, work)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.long), 10])
def test_memory_is_bounded_however_many_rows_there_are(database: str, form: Form, batch_size: int) -> None:
    """Rows of 100 kB, 150 MB of them, and then many small ones, at 4 MB of work_mem."""
    wide = "SELECT n, repeat(md5(n::text), 3200) AS t FROM generate_series(1, 1500) AS n"
    narrow = "SELECT n, md5(n::text) AS t FROM generate_series(1, 100000) AS n"

    async def work(on: Bench) -> None:
        [pid] = (await on.step(rows_of("SELECT pg_backend_pid()"))).cells
        await fill(on, rows_of("SELECT 1 AS n, 'x' AS t"), path="warm")
        before = _private_kb(pid)
        for path, sql in (("wide", wide), ("narrow", narrow)):
            await fill(on, rows_of(sql, form=form), path=path, batch_size=batch_size)
        assert _private_kb(pid) - before < 60_000

    run(database, work)


def _private_kb(pid: str) -> int:
    """The most memory that a process has had of its own; shared buffers do not count."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    )
    return int(status["VmHWM"].split()[0]) - int(status["RssShmem"].split()[0])
