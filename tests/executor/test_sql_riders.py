"""What goes along with a step's checkpoint: the end of the instance, a decision, the end of a map's item."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from dfc.compiler.plan import Form, SqlBody
from dfc.executor.actions import EndItem, Finish, RecordDecision, Rider, RunItems
from dfc.executor.failures import AlreadyRecorded, Beaten
from dfc.executor.journal import Cell, Completed, Constant, Decided, ItemEnded, StepError
from dfc.executor.ports import Answer
from tests.executor.support import Bench, count_of, rows_of, until
from tests.executor.test_sql_runner import ask, run

FORMS = [Form.WITH, Form.QUERY]


async def ride(on: Bench, body: SqlBody, name: str, rider: Rider) -> Answer:
    """Run a step that carries something along."""
    return await on.sql.run(on.claim, on.action(body, name=name, rider=rider))


@pytest.fixture
def table(database: str) -> str:
    ask(database, "CREATE TABLE t (a int)")
    return database


def inserts(value: int, form: Form) -> SqlBody:
    """A step with an effect, in a form."""
    if form is Form.WITH:
        return count_of(f"INSERT INTO t VALUES ({value})")
    return count_of(f"INSERT INTO t VALUES ({value})", form=Form.EXECUTE)


def decision(value: str) -> RecordDecision:
    return RecordDecision(path="race_1/decision", value=value)


@pytest.mark.parametrize("form", FORMS)
def test_a_decision_is_made_with_the_step(table: str, form: Form) -> None:
    async def work(on: Bench) -> None:
        answer = await ride(on, inserts(1, form), "a", decision('{"winner": 1.50}'))
        assert isinstance(answer.event, Completed)
        expected = Decided(number=answer.event.number, path="race_1/decision", value='{"winner": 1.50}')
        assert (answer.decided, answer.finished) == (expected, False)
        for _ in range(2):
            with pytest.raises(Beaten):
                await ride(on, inserts(2, form), "b", decision('{"winner": 2}'))
        with pytest.raises(AlreadyRecorded):
            await ride(on, inserts(1, form), "a", decision('{"winner": 1}'))

    run(table, work)
    assert ask(table, "SELECT a FROM t") == [(1,)]
    assert ask(table, "SELECT path, value::text FROM df.marks") == [("race_1/decision", '{"winner": 1.50}')]
    assert ask(table, "SELECT path FROM df.checkpoints") == [("a",)]


def test_of_two_steps_that_decide_at_once_one_commits(table: str) -> None:
    async def work(on: Bench) -> None:
        with psycopg.connect(table) as other:
            other.execute("SELECT FROM df.fences FOR UPDATE")
            steps = [
                asyncio.create_task(ride(on, inserts(n, Form.WITH), f"s{n}", decision(str(n))))
                for n in range(4)
            ]
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await asyncio.to_thread(until, lambda: ask(table, waiting) == [(4,)], "all to be there")
        found = await asyncio.gather(*steps, return_exceptions=True)
        assert sorted(type(each).__name__ for each in found) == ["Answer", "Beaten", "Beaten", "Beaten"]

    run(table, work, connections_max=4)
    assert ask(table, "SELECT count(*) FROM t") == [(1,)]
    assert ask(table, "SELECT value::text FROM df.marks") == [(str(ask(table, "SELECT a FROM t")[0][0]),)]


def test_a_statement_cannot_pretend_to_be_beaten(table: str) -> None:
    ask(
        table,
        "CREATE FUNCTION lie() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'ha' USING ERRCODE = 'DX004'; END $$",
    )

    async def work(on: Bench) -> None:
        with pytest.raises(Exception, match="ha") as caught:
            await ride(on, rows_of("SELECT lie()"), "a", decision("1"))
        assert type(caught.value).__name__ == "StepFailed"

    run(table, work)


@pytest.mark.parametrize("form", FORMS)
def test_an_item_ends_with_its_last_step(table: str, form: Form) -> None:
    async def work(on: Bench) -> None:
        query = rows_of("SELECT n FROM generate_series(1, 3) AS n")
        await on.sql.run_items(on.claim, RunItems(path="m/items", body=query, sources={}, batch_size=1))
        await on.step(rows_of("SELECT 'first'"), name="m[2]/a")
        rider = EndItem(path="m", item=2, shape="m[2]/b", error=None, forget=("m[2]/a",))
        answer = await ride(on, rows_of("SELECT 42 AS x", form=form), "m[2]/b", rider)
        assert isinstance(answer.event, Completed)
        assert (answer.event.path, answer.event.result) == ("m[2]/b", None)
        assert (answer.item, answer.finished) == (ItemEnded(path="m", item=2), False)
        with pytest.raises(AlreadyRecorded):
            await ride(on, rows_of("SELECT 43 AS x", form=form), "m[2]/b", rider)
        rider = EndItem(path="m", item=3, shape=("m[3]/b", Constant(json="1.50")), error=None, forget=())
        await ride(on, rows_of("SELECT 7 AS x", form=form), "m[3]/b", rider)

    run(table, work)
    assert ask(table, "SELECT path FROM df.checkpoints") == [("m/items",)]
    assert ask(table, "SELECT item, status, result::text FROM df.map_items ORDER BY item") == [
        (1, "pending", None),
        (2, "completed", '{"rows": [{"x": 42}], "row_count": 1}'),
        (3, "completed", '[{"rows": [{"x": 7}], "row_count": 1}, 1.50]'),
    ]


def test_the_end_of_the_instance(table: str) -> None:
    problem = StepError(
        step="a", message="no", sqlstate="P0001", cause=StepError(step="b", message="why", sqlstate="22012")
    )
    undo = StepError(step="u", message="stuck", sqlstate="55000")
    finish = Finish(status="failed", error=problem, undo_errors=(undo,))

    async def work(on: Bench) -> None:
        answer = await ride(on, count_of("INSERT INTO t VALUES (1)"), "last", finish)
        assert answer.finished

    run(table, work)
    [(error,)] = ask(table, "SELECT error FROM df.instances")
    assert (error["message"], error["cause"]["message"]) == ("no", "why")
    assert [each["message"] for each in error["undo"]] == ["stuck"]


def test_a_result_is_made_of_cells_and_constants(table: str) -> None:
    async def work(on: Bench) -> None:
        await on.step(rows_of("SELECT 1.50 AS a, 'x' AS b"), name="v")
        shape = (Cell(path="v", column="b"), Cell(path="v", column=None), Constant(json='{"n": 1.10}'))
        answer = await ride(on, rows_of("SELECT 1"), "w", Finish(status="completed", shape=shape))
        assert answer.finished

    run(table, work)
    assert ask(table, "SELECT result::text FROM df.instances") == [('["x", 1.50, {"n": 1.10}]',)]
