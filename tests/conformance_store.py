"""What every Store and its SqlRunner have to do: one suite for the model and for PostgreSQL.

A `Bench` is a store under test with one empty database, made anew for each check. The checks use three
statements only, which a model has to know: ONE, TWO (one row, `answer`) and BAD (fails with 22012).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from dfc.compiler.plan import Form, JoinNode, Parameter, Plan, Returns, SqlBody, SqlNode, Use
from dfc.executor.actions import Finish, RecordFailure, RunSql
from dfc.executor.journal import Completed, Failed, Recorded, Rows, StepError
from dfc.executor.ports import AlreadyRecorded, Answer, Claim, FenceLost, SqlRunner, StepFailed, Store

ONE = "SELECT 1 AS answer"
TWO = "SELECT 2 AS answer"
BAD = "SELECT 1 / 0 AS answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An instance as a client sees it. `result` is parsed JSON; `error` has `message` and `sqlstate`."""

    status: str
    result: Any
    error: dict[str, Any] | None


class Bench(Protocol):
    """A store under test, with what the checks need around it."""

    @property
    def store(self) -> Store: ...

    @property
    def sql(self) -> SqlRunner: ...

    async def start(self, plan: Plan) -> str:
        """Start an instance of the plan; its id. The plan counts as stored already."""
        ...

    async def claim(self) -> Claim:
        """Claim what is to be claimed, as a worker of its own each time; fails when there is nothing."""
        ...

    async def kill(self, claim: Claim) -> None:
        """The worker that made this claim is dead, and that is known."""
        ...

    async def cancel(self, instance: str, reason: str) -> None:
        """Somebody requests the end of the instance."""
        ...

    async def look(self, instance: str) -> Row:
        """The instance as a client sees it."""
        ...


MakeBench = Callable[[], AbstractAsyncContextManager[Bench]]
Check = Callable[[MakeBench], Coroutine[Any, Any, None]]


def _body(sql: str) -> SqlBody:
    return SqlBody(sql=sql, kind="select", form=Form.WITH, returns=Returns.ROWS)


def _plan(*steps: tuple[str, str]) -> Plan:
    nodes: list[SqlNode] = []
    for name, sql in steps:
        after = (nodes[-1].id,) if nodes else ()
        nodes.append(SqlNode(id=name, after=after, body=_body(sql)))
    return Plan(nodes=tuple(nodes), result=nodes[-1].id)


def _used(plan: Plan) -> Plan:
    """The same plan with a last step that refers to the first, so that its result has to be brought back."""
    first = plan.nodes[0]
    assert isinstance(first, SqlNode)
    first = replace(first, used=True)
    text = "SELECT $a"
    parameter = Parameter(name="a", source=first.id, use=Use.VALUE, start=7, end=9)
    body = replace(_body(text), parameters=(parameter,))
    last = SqlNode(id="last", after=(plan.nodes[-1].id,), body=body)
    return Plan(nodes=(first, *plan.nodes[1:], last), result="last")


def _run(path: str, sql: str = ONE, finish: Finish | None = None, *, keep: bool = False) -> RunSql:
    return RunSql(path=path, body=_body(sql), sources={}, rider=finish, keep=keep)


def _error(path: str) -> StepError:
    return StepError(step=path, message="no luck", sqlstate="22012", detail="a detail", hint="a hint")


def _failure(path: str, finish: Finish | None = None) -> RecordFailure:
    return RecordFailure(path=path, error=_error(path), finish=finish)


def _rows(result: object) -> tuple[tuple[str, ...], tuple[str | None, ...], int]:
    assert isinstance(result, Rows)
    return result.columns, result.cells, result.row_count


def _one(number: int) -> tuple[tuple[str, ...], tuple[str | None, ...], int]:
    return ("answer",), (str(number),), 1


async def _history(bench: Bench, claim: Claim, plan: Plan) -> list[Recorded]:
    records = await bench.store.history(claim, plan)
    assert [record.number for record in records] == sorted({record.number for record in records})
    return records


CHAIN = _plan(("a", ONE), ("b", TWO))


async def check_new_instance_has_no_history(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await bench.claim()
        assert (claim.instance, claim.resumed, claim.cancel_reason) == (instance, False, None)
        assert await _history(bench, claim, CHAIN) == []
        assert (await bench.look(instance)).status == "running"


async def check_journal_is_in_commit_order(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(CHAIN)
        claim = await bench.claim()
        first = await bench.sql.run(claim, _run("a"))
        second = await bench.store.record_failure(claim, _failure("b"))
        assert not first.finished
        assert first.event.number < second.event.number
        records = await _history(bench, claim, CHAIN)
        assert [(type(record), record.path) for record in records] == [(Completed, "a"), (Failed, "b")]
        assert await bench.store.record_of(claim, "b") == second.event
        assert await bench.store.record_of(claim, "c") is None
        assert records[1] == second.event
        assert isinstance(second.event, Failed)
        assert second.event.error == _error("b")


async def check_results_are_kept_where_wanted(make: MakeBench) -> None:
    async with make() as bench:
        plan = _used(CHAIN)
        await bench.start(plan)
        claim = await bench.claim()
        kept = await bench.sql.run(claim, _run("a", keep=True))
        assert isinstance(kept.event, Completed)
        assert _rows(kept.event.result) == _one(1)
        await bench.sql.run(claim, _run("b", TWO))
        records = await _history(bench, claim, plan)
        assert isinstance(records[0], Completed)
        assert records[0].result == kept.event.result


async def check_activation_is_recorded_once(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(CHAIN)
        claim = await bench.claim()
        done = await bench.sql.run(claim, _run("a", keep=True))
        assert isinstance(done.event, Completed)
        found = await bench.store.record_of(claim, "a")
        assert isinstance(found, Completed)
        assert (found.number, found.result) == (done.event.number, done.event.result)
        for _ in range(2):
            with pytest.raises(AlreadyRecorded):
                await bench.sql.run(claim, _run("a"))
            with pytest.raises(AlreadyRecorded):
                await bench.store.record_failure(claim, _failure("a"))
        assert len(await _history(bench, claim, CHAIN)) == 1


async def check_failing_step_leaves_nothing(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(_plan(("a", BAD)))
        claim = await bench.claim()
        with pytest.raises(StepFailed) as failure:
            await bench.sql.run(claim, _run("a", BAD, Finish(status="completed", shape="a")))
        assert failure.value.error.sqlstate == "22012"
        assert await _history(bench, claim, CHAIN) == []
        assert (await bench.look(claim.instance)).status == "running"


async def check_end_rides_on_the_last_step(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await bench.claim()
        await bench.sql.run(claim, _run("a"))
        answer = await bench.sql.run(claim, _run("b", TWO, Finish(status="completed", shape="b")))
        assert answer.finished
        expected = {"rows": [{"answer": 2}], "row_count": 1}
        assert await bench.look(instance) == Row(status="completed", result=expected, error=None)
        await _everything_is_lost(bench, claim)


async def check_end_rides_on_a_failure(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await bench.claim()
        finish = Finish(status="failed", error=_error("a"))
        assert (await bench.store.record_failure(claim, _failure("a", finish))).finished
        row = await bench.look(instance)
        assert (row.status, row.result) == ("failed", None)
        assert row.error is not None
        assert (row.error["message"], row.error["sqlstate"]) == ("no luck", "22012")
        await _everything_is_lost(bench, claim)


async def check_separate_end_of_a_join(make: MakeBench) -> None:
    async with make() as bench:
        branches = tuple(SqlNode(id=name, after=(), body=_body(ONE)) for name in "ab")
        plan = Plan(nodes=(*branches, JoinNode(id="j", after=("a", "b"))), result="j")
        instance = await bench.start(plan)
        claim = await bench.claim()
        await bench.sql.run(claim, _run("b", TWO))
        await bench.sql.run(claim, _run("a"))
        await bench.store.finish(claim, Finish(status="completed", shape=("a", ("b", "a"))))
        one, two = ({"rows": [{"answer": n}], "row_count": 1} for n in (1, 2))
        assert await bench.look(instance) == Row(status="completed", result=[one, [two, one]], error=None)
        await _everything_is_lost(bench, claim)


async def check_cancelled_end(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await bench.claim()
        await bench.cancel(instance, "enough")
        await bench.store.finish(claim, Finish(status="cancelled", reason="enough"))
        row = await bench.look(instance)
        assert (row.status, row.result) == ("cancelled", None)
        await _everything_is_lost(bench, claim)


async def check_cancel_beats_the_end_that_rides(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await bench.claim()
        await bench.cancel(instance, "enough")
        await bench.sql.run(claim, _run("a"))
        answer = await bench.sql.run(claim, _run("b", TWO, Finish(status="completed", shape="b")))
        assert (answer.finished, answer.cancel_reason) == (False, "enough")
        assert (await bench.look(instance)).status == "running"
        assert len(await _history(bench, claim, CHAIN)) == 2, "the effect stands"


async def check_cancel_beats_the_end_of_a_failure(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await bench.claim()
        await bench.cancel(instance, "enough")
        finish = Finish(status="failed", error=_error("a"))
        answer: Answer = await bench.store.record_failure(claim, _failure("a", finish))
        assert (answer.finished, answer.cancel_reason) == (False, "enough")


async def check_takeover_shuts_the_old_worker_out(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        old = await bench.claim()
        await bench.sql.run(old, _run("a"))
        await bench.kill(old)
        new = await bench.claim()
        assert (new.instance, new.resumed) == (instance, True)
        assert new.token != old.token
        await _everything_is_lost(bench, old)
        assert [record.path for record in await _history(bench, new, CHAIN)] == ["a"]
        with pytest.raises(AlreadyRecorded):
            await bench.sql.run(new, _run("a"))
        answer = await bench.sql.run(new, _run("b", TWO, Finish(status="completed", shape="b")))
        assert answer.finished


async def check_takeover_is_told_of_the_cancel(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        old = await bench.claim()
        await bench.cancel(instance, "enough")
        await bench.kill(old)
        assert (await bench.claim()).cancel_reason == "enough"


async def check_wrong_token_is_no_fence(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(CHAIN)
        claim = await bench.claim()
        await _everything_is_lost(bench, replace(claim, token=bytes(16)))
        assert await _history(bench, claim, CHAIN) == []


async def _everything_is_lost(bench: Bench, claim: Claim) -> None:
    with pytest.raises(FenceLost):
        await bench.store.history(claim, CHAIN)
    with pytest.raises(FenceLost):
        await bench.sql.run(claim, _run("b", TWO))
    with pytest.raises(FenceLost):
        await bench.store.record_failure(claim, _failure("b"))
    with pytest.raises(FenceLost):
        await bench.store.finish(claim, Finish(status="completed", shape="a"))


CHECKS: tuple[Check, ...] = (
    check_new_instance_has_no_history,
    check_journal_is_in_commit_order,
    check_results_are_kept_where_wanted,
    check_activation_is_recorded_once,
    check_failing_step_leaves_nothing,
    check_end_rides_on_the_last_step,
    check_end_rides_on_a_failure,
    check_separate_end_of_a_join,
    check_cancelled_end,
    check_cancel_beats_the_end_that_rides,
    check_cancel_beats_the_end_of_a_failure,
    check_takeover_shuts_the_old_worker_out,
    check_takeover_is_told_of_the_cancel,
    check_wrong_token_is_no_fence,
)
