"""Places for instances: who gets the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from dfc.executor.places import Places


class Hall:
    """Who sits, in the order of sitting down, and how to let one go."""

    def __init__(self, count: int) -> None:
        self.places = Places(count)
        self.sat: list[str] = []
        self._leave: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, *names: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._sit(name)) for name in names]
        self._tasks += tasks
        await settled()
        return tasks

    async def _sit(self, name: str) -> None:
        async with self.places.hold(name):
            self.sat.append(name)
            leave = asyncio.Event()
            self._leave.append(leave)
            await leave.wait()

    async def let_go(self, number: int) -> None:
        """Whoever sat down as that number gets up."""
        self._leave[number].set()
        await settled()

    async def empty(self) -> None:
        for _ in range(1000):
            for leave in self._leave:
                leave.set()
            await settled()
            if all(task.done() for task in self._tasks):
                return
        raise AssertionError("somebody has never got a place")


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_some_are_kept_for_who_has_none() -> None:
    async def work() -> None:
        hall = Hall(16)
        await hall.come(*["big"] * 20)
        assert hall.sat == ["big"] * 14
        await hall.come("small")
        assert hall.sat[14:] == ["small"]
        await hall.let_go(14)
        assert len(hall.sat) == 15 and hall.places.free == 2
        await hall.empty()
        assert hall.places.free == 16 and len(hall.sat) == 21

    run(work())


def test_many_of_one_place_each_get_all() -> None:
    async def work() -> None:
        hall = Hall(16)
        await hall.come(*(f"small {n}" for n in range(16)))
        assert len(hall.sat) == 16 and hall.places.free == 0
        await hall.empty()

    run(work())


def test_the_next_goes_to_who_holds_the_fewest() -> None:
    async def work() -> None:
        hall = Hall(4)
        await hall.come(*["big"] * 6, "second", "second", "third")
        assert hall.sat == ["big"] * 4
        await hall.let_go(0)
        await hall.let_go(1)
        await hall.let_go(2)
        # Of three that hold one each, the one that has waited longest.
        assert hall.sat[4:] == ["second", "third", "big"]
        await hall.empty()

    run(work())


def test_who_gives_up_waiting_takes_nothing() -> None:
    async def work() -> None:
        hall = Hall(1)
        await hall.come("first")
        [waits] = await hall.come("second")
        waits.cancel()
        [third] = await hall.come("third")
        # Given up at the very moment at which the place is there.
        hall._leave[0].set()  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        third.cancel()
        await hall.come("fourth")
        assert hall.sat[-1] == "fourth"
        await hall.empty()
        assert hall.places.free == 1

    run(work())
