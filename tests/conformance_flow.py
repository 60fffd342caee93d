"""What every Store has to do for control flow: decisions, timers, attempts, positions, shapes, waiting."""

from __future__ import annotations

import pytest

from dfc.executor.actions import Finish, RecordBeginning, StartTimer
from dfc.executor.failures import AlreadyRecorded, Beaten
from dfc.executor.journal import (
    NOTHING,
    Batch,
    Begun,
    Cell,
    Completed,
    Constant,
    Decided,
    Loose,
    Positioned,
    Retrying,
    Rows,
    Shape,
    Timed,
)
from dfc.executor.ports import Parking
from tests.conformance_bench import (
    CHAIN,
    TWO,
    Check,
    MakeBench,
    attempt,
    begin,
    cells_of,
    claimed,
    decided,
    decision,
    error_of,
    everything_is_lost,
    json_of,
    lasting,
    near,
    one,
    paths,
    position,
    recorded,
    run,
    shown,
)


async def check_first_decision_counts(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        first = await bench.store.record_decision(claim, decision("r/decision", '{"arm": 2}'))
        assert decided(first) == ("r/decision", {"arm": 2})
        assert await bench.store.record_decision(claim, decision("r/decision", '"b"')) == first
        other = await bench.store.record_decision(claim, decision("l[1]/r/decision", "true"))
        assert other.number > first.number
        assert await lasting(bench, claim, Decided) == {first.path: first, other.path: other}


async def check_decision_rides_on_a_step(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        answer = await bench.sql.run(claim, run("a", rider=decision("r/decision", "1"), keep=True))
        assert answer.decided is not None
        assert decided(answer.decided) == ("r/decision", 1)
        assert isinstance(answer.event, Completed)
        assert (cells_of(answer.event.result), answer.finished) == (one(1), False)
        assert await lasting(bench, claim, Decided) == {"r/decision": answer.decided}
        assert await paths(bench, claim) == ["a", "r/decision"]
        assert await bench.store.record_decision(claim, decision("r/decision", "2")) == answer.decided
        # An attempt that is repeated has been recorded; it has not been beaten.
        with pytest.raises(AlreadyRecorded):
            await bench.sql.run(claim, run("a", rider=decision("r/decision", "1")))


async def check_late_decision_rolls_its_step_back(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        first = await bench.store.record_decision(claim, decision("r/decision", "2"))
        for _ in range(2):
            with pytest.raises(Beaten):
                await bench.sql.run(claim, run("a", rider=decision("r/decision", "1")))
        assert await bench.store.history(claim, CHAIN) == [first]
        await bench.sql.run(claim, run("a"))


async def check_timer_runs_from_its_first_record(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        started = await bench.store.start_timer(claim, StartTimer(path="t/timer", seconds=60.0))
        assert near(started.seconds, 60)
        await bench.store.wait(0.05)
        again = await bench.store.start_timer(claim, StartTimer(path="t/timer", seconds=9000.0))
        assert near(again.seconds, 60)
        assert again.seconds < started.seconds
        short = await bench.store.start_timer(claim, StartTimer(path="l[1]/t/timer", seconds=0.02))
        assert near(short.seconds, 0.02)
        await bench.store.wait(0.05)
        timers = await lasting(bench, claim, Timed)
        assert near(timers["t/timer"].seconds, 60)
        assert timers["l[1]/t/timer"].seconds <= 0


async def check_attempts_are_counted_and_wait(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        for attempts, seconds in ((1, 60.0), (2, 0.01)):
            said = await bench.store.record_attempt(claim, attempt("a", attempts, seconds))
            assert (said.path, said.attempts, said.error) == ("a", attempts, error_of("a", error_of("x")))
            found = (await lasting(bench, claim, Retrying))["a"]
            assert (found.attempts, found.error) == (said.attempts, said.error)
            assert near(found.seconds, seconds)
        await bench.kill(claim)
        claim = await claimed(bench)
        assert (await lasting(bench, claim, Retrying))["a"].attempts == 2
        # Lost ones are counted beside them, and may be all that there is.
        for path, attempts, losses in (("a", 2, 1), ("b", 0, 1), ("b", 0, 2)):
            said = await bench.store.record_attempt(claim, attempt(path, attempts, 0.01, losses))
            found = (await lasting(bench, claim, Retrying))[path]
            for one_of in (said, found):
                assert (one_of.attempts, one_of.losses, one_of.error) == (attempts, losses, said.error)
        await bench.sql.run(claim, run("b"))
        # What has its record is not retried any more.
        await bench.sql.run(claim, run("a"))
        assert await paths(bench, claim) == ["a", "b"]
        assert await lasting(bench, claim, Retrying) == {}


async def check_beginning_is_known_until_something_came_of_it(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        for _ in range(2):
            assert await bench.store.record_beginning(claim, RecordBeginning(path="a")) == Begun(path="a")
        assert await bench.store.history(claim, CHAIN) == [Begun(path="a")]
        await bench.store.record_attempt(claim, attempt("a", 1, 0.0))
        assert await lasting(bench, claim, Begun) == {}
        assert await paths(bench, claim) == ["a"]
        # The next attempt begins: both are true of it.
        await bench.store.record_beginning(claim, RecordBeginning(path="a"))
        assert await lasting(bench, claim, Begun) == {"a": Begun(path="a")}
        assert (await lasting(bench, claim, Retrying))["a"].attempts == 1
        await bench.sql.run(claim, run("a"))
        assert await lasting(bench, claim, Begun) == {}
        assert await lasting(bench, claim, Retrying) == {}


async def check_position_takes_the_place_of_the_one_before(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.store.position(claim, position("l/round", 1, {}))
        for path in ("l[1]/a", "l[1]/b", "l[1]/b/response", "l[10]/b"):
            await bench.sql.run(claim, run(path))
        await bench.store.record_attempt(claim, attempt("l[1]/c", 1, 60.0))
        await bench.store.record_decision(claim, decision("l[1]/r/decision", "1"))
        await bench.store.start_timer(claim, StartTimer(path="l[1]/t/timer", seconds=60.0))
        await bench.store.position(claim, position("l[1]/inner/round", 7, {}))
        carry: dict[str, Shape] = {
            "a": "l[1]/a",
            "b": Constant(json='{"x": 1.50, "y": [1e400, "]}\\\\u0000"]}'),
            "c": Cell(path="l[1]/a", column=None),
            "d": ("l[1]/a", (NOTHING, Cell(path="l[1]/a", column="answer"), ())),
            "e": (Loose(type=25, cell='t\u00e9"x'), Loose(type=16, cell=None)),
            "f": Batch(rows=Rows(columns=("n", "n"), types=(23, 25), cells=("1", None), row_count=1)),
        }
        forget = ("l[1]/b", "l[1]/c", "l[1]/r/decision", "l[1]/t/timer", "l[1]/inner/round", "l[1]/none")
        for _ in range(2):
            said = await bench.store.position(claim, position("l/round", 2, carry, *forget))
            assert said == Positioned(path="l/round", round=2, carry=carry)
            assert await lasting(bench, claim, Positioned) == {"l/round": said}
        assert await paths(bench, claim) == ["l/round", "l[10]/b", "l[1]/a", "l[1]/b/response"]
        # What is forgotten can happen again.
        await bench.sql.run(claim, run("l[1]/b"))


async def check_position_of_a_retry_waits(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        said = await bench.store.position(claim, position("t/round", 2, {}, seconds=60.0))
        assert near(said.seconds, 60)
        assert said.error == error_of("t/round")
        await bench.store.wait(0.05)
        # The same once more, since the answer was lost: no longer wait.
        again = await bench.store.position(claim, position("t/round", 2, {}, seconds=60.0))
        assert again.seconds < said.seconds
        found = (await lasting(bench, claim, Positioned))["t/round"]
        assert near(found.seconds, 60)
        assert (found.round, found.error) == (2, said.error)
        await bench.store.position(claim, position("t/round", 3, {}))
        found = (await lasting(bench, claim, Positioned))["t/round"]
        assert found == Positioned(path="t/round", round=3)


async def check_results_of_shapes(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.sql.run(claim, run("a"))
        await bench.sql.run(claim, run("l[2]/b", TWO))
        assert cells_of(await bench.store.result_of(claim, "a")) == one(1)

        async def value(shape: Shape) -> object:
            return json_of(await bench.store.result_of(claim, shape))

        assert await value(Constant(json='{"a": [1, null]}')) == {"a": [1, None]}
        assert await value(NOTHING) is None
        assert cells_of(await bench.store.result_of(claim, Cell(path="l[2]/b", column="answer"))) == one(2)
        assert await value(Cell(path="l[2]/b", column=None)) == 2
        assert await value((Loose(type=23, cell="7"), Cell(path="l[2]/b", column="answer"))) == [7, 2]
        assert await value(()) == []
        assert await value(("a", ("l[2]/b", (), NOTHING), Cell(path="a", column=None))) == [
            shown(1),
            [shown(2), [], None],
            1,
        ]
        deep: Shape = "a"
        nested: object = shown(1)
        for _ in range(256):
            deep, nested = (deep, NOTHING), [nested, None]
        assert await value(deep) == nested
        await bench.store.finish(claim, Finish(status="completed", shape=deep))
        assert (await bench.look(claim.instance)).result == nested


async def check_turns_under_a_rate_limit(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)

        async def turn(path: str, key: str = "key") -> float:
            return await bench.store.take_turn(claim, path, key, 3, 60)

        assert [await turn(f"a{n}/turn1") for n in range(3)] == [0, 0, 0]
        await bench.store.record_beginning(claim, RecordBeginning(path="b"))
        assert near(await turn("b/turn1"), 20)
        assert near(await turn("c/turn1"), 40)
        # Asked for again, it is the same one, and it has not begun.
        assert near(await turn("b/turn1"), 20)
        assert await lasting(bench, claim, Begun) == {}
        assert set(await lasting(bench, claim, Timed)) == {"b/turn1", "c/turn1"}
        assert await turn("d/turn1", "other") == 0
        # What comes soon is not recorded.
        soon = [await bench.store.take_turn(claim, f"e{n}/turn1", "soon", 2, 1) for n in range(3)]
        assert soon[:2] == [0, 0] and 0 < soon[2] <= 0.5
        assert len(await lasting(bench, claim, Timed)) == 2
        # The limit is the submitter's, not the instance's.
        await bench.start(CHAIN)
        assert near(await bench.store.take_turn(await claimed(bench), "a/turn1", "key", 3, 60), 60)


async def check_parked_instance_is_claimed_when_it_is_due(make: MakeBench) -> None:
    async with make() as bench:
        old = await begin(bench)
        await bench.sql.run(old, run("a"))
        await bench.store.park(old, Parking(seconds=3.0, waiting_for="the retry of `b`", cancel_known=False))
        assert (await bench.look(old.instance)).status == "running"
        assert await bench.claim() is None
        await everything_is_lost(bench, old)
        await bench.kill(old)
        assert await bench.claim() is None
        await bench.store.wait(3.05)
        new = await claimed(bench)
        assert (new.instance, new.resumed, new.cancel_reason) == (old.instance, True, None)
        assert new.token != old.token
        assert [record.path for record in await recorded(bench, new)] == ["a"]
        await bench.store.park(new, Parking(seconds=0.0, waiting_for="nothing", cancel_known=False))
        newest = await claimed(bench)
        assert newest.instance == old.instance
        # Whoever dies with it leaves it to be taken over as ever.
        await bench.kill(newest)
        assert (await claimed(bench)).instance == old.instance


async def check_request_wakes_a_parked_instance(make: MakeBench) -> None:
    async with make() as bench:
        early = await begin(bench)
        await bench.store.park(early, Parking(seconds=3600.0, waiting_for="a timer", cancel_known=False))
        late = await begin(bench)
        await bench.store.park(late, Parking(seconds=3600.0, waiting_for="a timer", cancel_known=False))
        assert await bench.claim() is None
        await bench.cancel(late.instance, "enough")
        woken = await claimed(bench)
        assert (woken.instance, woken.resumed, woken.cancel_reason) == (late.instance, True, "enough")
        assert await bench.claim() is None
        await bench.store.finish(woken, Finish(status="cancelled", reason="enough"))
        # One that comes before the parking.
        await bench.cancel(early.instance, "enough")
        again = await claimed(bench)
        await bench.store.park(again, Parking(seconds=3600.0, waiting_for="a timer", cancel_known=False))
        assert (await claimed(bench)).cancel_reason == "enough"


async def check_request_that_was_known_does_not_wake(make: MakeBench) -> None:
    async with make() as bench:
        old = await begin(bench)
        await bench.cancel(old.instance, "enough")
        await bench.store.park(
            old, Parking(seconds=3.0, waiting_for="the retry of an undo", cancel_known=True)
        )
        assert await bench.claim() is None
        await bench.cancel(old.instance, "enough, I said")
        assert await bench.claim() is None
        await bench.store.wait(3.05)
        due = await claimed(bench)
        assert (due.instance, due.cancel_reason) == (old.instance, "enough")
        # It is known to whoever says so, and to nobody after him.
        await bench.store.park(due, Parking(seconds=3600.0, waiting_for="a timer", cancel_known=False))
        again = await claimed(bench)
        assert (again.instance, again.cancel_reason) == (old.instance, "enough")


CHECKS: tuple[Check, ...] = (
    check_first_decision_counts,
    check_decision_rides_on_a_step,
    check_late_decision_rolls_its_step_back,
    check_timer_runs_from_its_first_record,
    check_attempts_are_counted_and_wait,
    check_beginning_is_known_until_something_came_of_it,
    check_position_takes_the_place_of_the_one_before,
    check_position_of_a_retry_waits,
    check_results_of_shapes,
    check_turns_under_a_rate_limit,
    check_parked_instance_is_claimed_when_it_is_due,
    check_request_wakes_a_parked_instance,
    check_request_that_was_known_does_not_wake,
)
