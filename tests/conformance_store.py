"""What every Store and its SqlRunner have to do: one suite for the model and for PostgreSQL.

Here are records, claims and ends; the rest is in conformance_flow.py, conformance_maps.py and
conformance_waits.py.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dfc.compiler.plan import JoinNode, Plan, SqlNode
from dfc.executor.actions import Finish
from dfc.executor.failures import AlreadyRecorded, FenceLost, StepFailed
from dfc.executor.journal import Completed, Failed
from dfc.executor.ports import Answer
from tests import conformance_flow, conformance_maps, conformance_waits
from tests.conformance_bench import (
    BAD,
    CHAIN,
    ONE,
    TWO,
    Bench,
    Check,
    MakeBench,
    Row,
    begin,
    body_of,
    cells_of,
    claimed,
    error_of,
    everything_is_lost,
    failure_of,
    one,
    plan_of,
    recorded,
    run,
    shown,
    used,
)

__all__ = ["BAD", "CHECKS", "ONE", "TWO", "Bench", "Check", "MakeBench", "Row"]


async def check_new_instance_has_no_history(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        claim = await claimed(bench)
        assert (claim.instance, claim.resumed, claim.cancel_reason) == (instance, False, None)
        assert claim.input is None
        assert await bench.store.history(claim, CHAIN) == []
        assert (await bench.look(instance)).status == "running"
        assert await bench.claim() is None


async def check_input_is_given_to_whoever_claims(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(CHAIN, '{"key": [1, null, "x"]}')
        for _ in range(2):
            claim = await claimed(bench)
            assert claim.input is not None
            assert json.loads(claim.input) == {"key": [1, None, "x"]}
            await bench.kill(claim)


async def check_journal_is_in_commit_order(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        first = await bench.sql.run(claim, run("a"))
        second = await bench.store.record_failure(claim, failure_of("b"))
        assert not first.finished
        assert first.event.number < second.event.number
        records = await recorded(bench, claim)
        assert [(type(record), record.path) for record in records] == [(Completed, "a"), (Failed, "b")]
        assert await bench.store.record_of(claim, "b") == second.event
        assert await bench.store.record_of(claim, "c") is None
        assert records[1] == second.event
        assert isinstance(second.event, Failed)
        assert second.event.error == error_of("b")


async def check_results_are_kept_where_wanted(make: MakeBench) -> None:
    async with make() as bench:
        plan = used(CHAIN)
        claim = await begin(bench, plan)
        kept = await bench.sql.run(claim, run("a", keep=True))
        assert isinstance(kept.event, Completed)
        assert cells_of(kept.event.result) == one(1)
        await bench.sql.run(claim, run("b", TWO))
        await bench.sql.run(claim, run("outer[3]/inner[12]/a", TWO))
        records = {record.path: record for record in await recorded(bench, claim, plan)}
        first, inner = records["a"], records["outer[3]/inner[12]/a"]
        assert isinstance(first, Completed)
        assert first.result == kept.event.result
        assert isinstance(inner, Completed)
        assert cells_of(inner.result) == one(2)


async def check_activation_is_recorded_once(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        done = await bench.sql.run(claim, run("a", keep=True))
        assert isinstance(done.event, Completed)
        found = await bench.store.record_of(claim, "a")
        assert isinstance(found, Completed)
        assert (found.number, found.result) == (done.event.number, done.event.result)
        for _ in range(2):
            with pytest.raises(AlreadyRecorded):
                await bench.sql.run(claim, run("a"))
            with pytest.raises(AlreadyRecorded):
                await bench.store.record_failure(claim, failure_of("a"))
        assert len(await recorded(bench, claim)) == 1


async def check_failing_step_leaves_nothing(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench, plan_of(("a", BAD)))
        with pytest.raises(StepFailed) as caught:
            await bench.sql.run(claim, run("a", BAD, Finish(status="completed", shape="a")))
        assert caught.value.error.sqlstate == "22012"
        assert await bench.store.history(claim, CHAIN) == []
        assert (await bench.look(claim.instance)).status == "running"


async def check_end_rides_on_the_last_step(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.sql.run(claim, run("a"))
        answer = await bench.sql.run(claim, run("b", TWO, Finish(status="completed", shape="b")))
        assert answer.finished
        assert await bench.look(claim.instance) == Row(status="completed", result=shown(2), error=None)
        await everything_is_lost(bench, claim)


async def check_end_rides_on_a_failure(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        finish = Finish(status="failed", error=error_of("a"))
        assert (await bench.store.record_failure(claim, failure_of("a", finish))).finished
        row = await bench.look(claim.instance)
        assert (row.status, row.result) == ("failed", None)
        assert row.error is not None
        assert (row.error["message"], row.error["sqlstate"]) == ("no luck", "22012")
        assert "undo" not in row.error
        await everything_is_lost(bench, claim)


async def check_separate_end_of_a_join(make: MakeBench) -> None:
    async with make() as bench:
        branches = tuple(SqlNode(id=name, after=(), body=body_of(ONE)) for name in "ab")
        plan = Plan(nodes=(*branches, JoinNode(id="j", after=("a", "b"))), result="j")
        claim = await begin(bench, plan)
        await bench.sql.run(claim, run("b", TWO))
        await bench.sql.run(claim, run("a"))
        await bench.store.finish(claim, Finish(status="completed", shape=("a", ("b", "a"))))
        expected = [shown(1), [shown(2), shown(1)]]
        assert await bench.look(claim.instance) == Row(status="completed", result=expected, error=None)
        await everything_is_lost(bench, claim)


async def check_compensated_end(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        error = error_of("a", cause=error_of("b", cause=error_of("c")))
        await bench.store.finish(claim, Finish(status="compensated", error=error))
        row = await bench.look(claim.instance)
        assert (row.status, row.result) == ("compensated", None)
        assert row.error is not None
        assert row.error["cause"]["cause"]["step"] == "c"
        await everything_is_lost(bench, claim)


async def check_undo_errors_stand_in_the_error(make: MakeBench) -> None:
    async with make() as bench:
        for ending in (
            Finish(status="failed", error=error_of("a"), undo_errors=(error_of("u"), error_of("v"))),
            Finish(status="cancelled", reason="enough", undo_errors=(error_of("u"), error_of("v"))),
        ):
            claim = await begin(bench)
            await bench.store.finish(claim, ending)
            row = await bench.look(claim.instance)
            assert row.status == ending.status
            assert row.error is not None
            assert [(undo["step"], undo["sqlstate"]) for undo in row.error["undo"]] == [
                ("u", "22012"),
                ("v", "22012"),
            ]
            assert row.error["message"] in ("no luck", "Cancelled: enough")


async def check_cancelled_end(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.cancel(claim.instance, "enough")
        await bench.store.finish(claim, Finish(status="cancelled", reason="enough"))
        row = await bench.look(claim.instance)
        assert (row.status, row.result) == ("cancelled", None)
        await everything_is_lost(bench, claim)


async def check_cancelled_end_rides_on_the_last_undo(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.cancel(claim.instance, "enough")
        answer = await bench.sql.run(claim, run("u", TWO, Finish(status="cancelled", reason="enough")))
        assert answer.finished
        assert (await bench.look(claim.instance)).status == "cancelled"


async def check_cancel_beats_the_end_that_rides(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.cancel(claim.instance, "enough")
        await bench.sql.run(claim, run("a"))
        answer = await bench.sql.run(claim, run("b", TWO, Finish(status="completed", shape="b")))
        assert (answer.finished, answer.cancel_reason) == (False, "enough")
        assert (await bench.look(claim.instance)).status == "running"
        assert len(await recorded(bench, claim)) == 2, "the effect stands"


async def check_cancel_beats_the_end_of_a_failure(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.cancel(claim.instance, "enough")
        finish = Finish(status="failed", error=error_of("a"))
        answer: Answer = await bench.store.record_failure(claim, failure_of("a", finish))
        assert (answer.finished, answer.cancel_reason) == (False, "enough")


async def check_takeover_shuts_the_old_worker_out(make: MakeBench) -> None:
    async with make() as bench:
        old = await begin(bench)
        await bench.sql.run(old, run("a"))
        await bench.kill(old)
        new = await claimed(bench)
        assert (new.instance, new.resumed) == (old.instance, True)
        assert new.token != old.token
        await everything_is_lost(bench, old)
        assert [record.path for record in await bench.store.history(new, CHAIN)] == ["a"]
        with pytest.raises(AlreadyRecorded):
            await bench.sql.run(new, run("a"))
        answer = await bench.sql.run(new, run("b", TWO, Finish(status="completed", shape="b")))
        assert answer.finished


async def check_takeover_is_told_of_the_cancel(make: MakeBench) -> None:
    async with make() as bench:
        old = await begin(bench)
        await bench.cancel(old.instance, "enough")
        await bench.kill(old)
        assert (await claimed(bench)).cancel_reason == "enough"


async def check_wrong_token_is_no_fence(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await everything_is_lost(bench, replace(claim, token=bytes(16)))
        assert await bench.store.history(claim, CHAIN) == []


async def check_what_comes_after_the_settling_is_refused(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(CHAIN)
        claim = await claimed(bench)
        old, token = replace(claim), bytes(range(16))
        await bench.sql.run(old, run("a"))
        for _ in range(2):
            await bench.store.settle(old, token)
        claim.token = token
        await everything_is_lost(bench, old)
        record = await bench.store.record_of(claim, "a")
        assert record is not None
        await bench.sql.run(claim, run("b"))
        # A call of the first settling that comes late does not bring its token back.
        await bench.store.settle(claim, bytes(16))
        with pytest.raises(FenceLost):
            await bench.store.settle(old, token)
        assert await bench.store.history(replace(claim, token=bytes(16)), CHAIN) != []


async def check_whoever_is_shut_out_settles_nothing(make: MakeBench) -> None:
    async with make() as bench:
        await bench.start(CHAIN)
        claim = await claimed(bench)
        await bench.kill(claim)
        newer = await claimed(bench)
        with pytest.raises(FenceLost):
            await bench.store.settle(claim, bytes(16))
        await bench.sql.run(newer, run("a"))


CHECKS: tuple[Check, ...] = (
    check_new_instance_has_no_history,
    check_input_is_given_to_whoever_claims,
    check_journal_is_in_commit_order,
    check_results_are_kept_where_wanted,
    check_activation_is_recorded_once,
    check_failing_step_leaves_nothing,
    check_end_rides_on_the_last_step,
    check_end_rides_on_a_failure,
    check_separate_end_of_a_join,
    check_compensated_end,
    check_undo_errors_stand_in_the_error,
    check_cancelled_end,
    check_cancelled_end_rides_on_the_last_undo,
    check_cancel_beats_the_end_that_rides,
    check_cancel_beats_the_end_of_a_failure,
    check_takeover_shuts_the_old_worker_out,
    check_takeover_is_told_of_the_cancel,
    check_wrong_token_is_no_fence,
    check_what_comes_after_the_settling_is_refused,
    check_whoever_is_shut_out_settles_nothing,
    *conformance_flow.CHECKS,
    *conformance_maps.CHECKS,
    *conformance_waits.CHECKS,
)
