"""What every Store has to do for what waits: timers, signals, other instances."""

from __future__ import annotations

from typing import Any

import pytest

from dfc.executor.actions import AwaitInstance, Finish, RecordWaited, StartTimer, TakeSignal
from dfc.executor.failures import AlreadyRecorded
from dfc.executor.journal import Completed, Deferred, NothingYet
from dfc.executor.ports import Answer, Parking
from tests.conformance_bench import CHAIN, Check, MakeBench, begin, claimed, json_of, near, run


def take(path: str, name: str = "go", *, expired: bool = False) -> TakeSignal:
    return TakeSignal(path=path, name=name, expired=expired, keep=True, rider=None)


def value(answer: Answer | Deferred | NothingYet) -> Any:
    assert not isinstance(answer, Deferred | NothingYet), "it is over, and there is news"
    assert isinstance(answer.event, Completed)
    return json_of(answer.event.result)


async def check_timer_says_when_it_is_over(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        timed = await bench.store.start_timer(claim, StartTimer(path="w/timer", seconds=60.0))
        assert near(timed.seconds, 60) and timed.at
        again = await bench.store.start_timer(claim, StartTimer(path="w/timer", seconds=5.0))
        assert near(again.seconds, 60) and again.at == timed.at


async def check_next_tick_is_later_than_now(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        tick = StartTimer(path="w/timer", cron="* * * * *")
        assert 0 < (await bench.store.start_timer(claim, tick)).seconds <= 60
        daily = StartTimer(path="d/timer", cron="0 0 * * *", time_zone="Asia/Tokyo")
        assert 0 < (await bench.store.start_timer(claim, daily)).seconds <= 86_400


async def check_end_of_a_wait_is_recorded_once(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        over = RecordWaited(path="w", value='{"slept": true}', keep=True, rider=None)
        assert value(await bench.store.record_waited(claim, over)) == {"slept": True}
        with pytest.raises(AlreadyRecorded):
            await bench.store.record_waited(claim, over)


async def check_signals_are_taken_in_order_and_once(make: MakeBench) -> None:
    async with make() as bench:
        instance = await bench.start(CHAIN)
        await bench.signal(instance, "go")
        claim = await claimed(bench)
        for name in ("stop", "go"):
            await bench.signal(instance, name)
        assert value(await bench.store.take_signal(claim, take("a"))) == _signal("go", 1)
        assert value(await bench.store.take_signal(claim, take("b"))) == _signal("go", 3)
        assert isinstance(await bench.store.take_signal(claim, take("c")), NothingYet)
        assert value(await bench.store.take_signal(claim, take("d", "stop"))) == _signal("stop", 2)


async def check_others_are_told_of_a_wake_up_that_was_taken_away(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        assert await bench.store.take_signal(claim, take("a")) == NothingYet(path="a")
        assert await bench.store.take_signal(claim, take("b", "stop")) == NothingYet(path="b")
        await bench.signal(claim.instance, "go")
        # What wakes `a` is gone when `b` has looked.
        assert await bench.store.take_signal(claim, take("b", "stop")) == NothingYet(path="b", others=True)
        assert await bench.store.take_signal(claim, take("b", "stop")) == NothingYet(path="b")
        assert value(await bench.store.take_signal(claim, take("a"))) == _signal("go", 1)


async def check_signal_is_not_taken_by_what_is_recorded(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        await bench.signal(claim.instance, "go")
        assert value(await bench.store.take_signal(claim, take("a"))) == _signal("go", 1)
        await bench.signal(claim.instance, "go")
        with pytest.raises(AlreadyRecorded):
            await bench.store.take_signal(claim, take("a"))
        assert value(await bench.store.take_signal(claim, take("b"))) == _signal("go", 2)


async def check_time_of_a_signal_is_over(make: MakeBench) -> None:
    async with make() as bench:
        claim = await begin(bench)
        none = {"signal_name": "go", "timed_out": True, "data": None}
        assert value(await bench.store.take_signal(claim, take("a", expired=True))) == none
        await bench.signal(claim.instance, "go")
        assert value(await bench.store.take_signal(claim, take("b", expired=True))) == _signal("go", 1)


async def check_news_wakes_who_listens(make: MakeBench) -> None:
    async with make() as bench:
        old = await begin(bench)
        await bench.store.park(old, _parking("a"))
        assert await bench.claim() is None
        await bench.signal(old.instance, "go")
        new = await claimed(bench)
        assert new.instance == old.instance
        # Who only waits for a time is not woken, nor is who has looked.
        await bench.store.park(new, _parking())
        assert await bench.claim() is None
        await bench.cancel(new.instance, "enough")
        newer = await claimed(bench)
        assert value(await bench.store.take_signal(newer, take("a"))) == _signal("go", 1)
        parking = Parking(seconds=3600.0, waiting_for="b", cancel_known=True, listening=("b",))
        await bench.store.park(newer, parking)
        assert await bench.claim() is None
        await bench.signal(newer.instance, "go")
        assert (await claimed(bench)).instance == old.instance


async def check_news_before_the_parking_wakes(make: MakeBench) -> None:
    async with make() as bench:
        old = await begin(bench)
        assert isinstance(await bench.store.take_signal(old, take("a")), NothingYet)
        await bench.signal(old.instance, "go")
        await bench.store.park(old, _parking("a"))
        assert (await claimed(bench)).instance == old.instance


async def check_end_of_another_instance(make: MakeBench) -> None:
    async with make() as bench:
        other = await begin(bench)
        claim = await begin(bench)
        look = AwaitInstance(path="w", instance=other.instance, expired=False, keep=True, rider=None)
        assert isinstance(await bench.store.await_instance(claim, look), NothingYet)
        await bench.store.park(claim, _parking("w"))
        assert await bench.claim() is None
        await bench.store.finish(other, Finish(status="cancelled", reason="enough"))
        new = await claimed(bench)
        assert new.instance == claim.instance
        told = value(await bench.store.await_instance(new, look))
        assert (told["instance_id"], told["status"], told["timed_out"]) == (
            other.instance,
            "cancelled",
            False,
        )


async def check_time_for_another_instance_is_over(make: MakeBench) -> None:
    async with make() as bench:
        other = await begin(bench)
        claim = await begin(bench)
        await bench.sql.run(claim, run("a"))
        look = AwaitInstance(path="w", instance=other.instance, expired=True, keep=True, rider=None)
        told = value(await bench.store.await_instance(claim, look))
        assert (told["status"], told["timed_out"]) == ("running", True)


def _signal(name: str, number: int) -> dict[str, Any]:
    return {"signal_name": name, "timed_out": False, "data": number}


def _parking(*listening: str) -> Parking:
    return Parking(seconds=3600.0, waiting_for="news", cancel_known=False, listening=listening)


CHECKS: tuple[Check, ...] = (
    check_timer_says_when_it_is_over,
    check_next_tick_is_later_than_now,
    check_end_of_a_wait_is_recorded_once,
    check_signals_are_taken_in_order_and_once,
    check_others_are_told_of_a_wake_up_that_was_taken_away,
    check_signal_is_not_taken_by_what_is_recorded,
    check_time_of_a_signal_is_over,
    check_news_wakes_who_listens,
    check_news_before_the_parking_wakes,
    check_end_of_another_instance,
    check_time_for_another_instance_is_over,
)
