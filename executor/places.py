"""A limited number of places, shared fairly by those who want many of them.

First come, first served would serve statements, not instances: the hundred items of one map would keep
everybody else waiting for as long as they take. Here a place goes to who holds the fewest, of those to
who has waited longest; and some are kept free for who holds none, because a place that is taken by a
long statement comes back late.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dfc.executor.limits import PLACES_PER_KEPT_PLACE

_Waiter = tuple[int, asyncio.Future[None]]
"""When it came, in numbers; done when it has its place."""


class Places:
    """`count` places. Who takes several at a time takes them under one name. For one event loop."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._kept = count // PLACES_PER_KEPT_PLACE
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._arrivals = itertools.count()

    @property
    def free(self) -> int:
        """How many places nobody has, those that are kept included."""
        return self._free

    @asynccontextmanager
    async def hold(self, who: str) -> AsyncGenerator[None]:
        """A place for the time of the block; waits for it."""
        await self._acquire(who)
        try:
            yield
        finally:
            self._release(who)

    async def _acquire(self, who: str) -> None:
        # Whoever waits could not be served, so there is nobody to be overtaken who could be.
        if self._may(who):
            self._take(who)
            return
        place = asyncio.get_running_loop().create_future()
        waiter = (next(self._arrivals), place)
        self._waiting.setdefault(who, deque()).append(waiter)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._release(who)
            else:
                self._forget(who, waiter)
            raise

    def _may(self, who: str) -> bool:
        return self._free > (self._kept if who in self._held else 0)

    def _take(self, who: str) -> None:
        self._free -= 1
        self._held[who] = self._held.get(who, 0) + 1

    def _release(self, who: str) -> None:
        self._free += 1
        self._held[who] -= 1
        if self._held[who] == 0:
            del self._held[who]
        while self._waiting:
            first = min(self._waiting, key=lambda one: (self._held.get(one, 0), self._waiting[one][0][0]))
            if not self._may(first):
                return
            waiter = self._waiting[first][0]
            self._forget(first, waiter)
            if not waiter[1].done():
                self._take(first)
                waiter[1].set_result(None)

    def _forget(self, who: str, waiter: _Waiter) -> None:
        queue = self._waiting.get(who)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._waiting[who]
