"""Between workers and the database: every call is a request that travels, is served, whose answer travels.

What is served happens in nobody's context, so it goes on when the caller dies. A connection may be lost
before the request is served, after it, or while it is (the caller is told, and the statement is served
later); the database may be away.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from dfc.executor.ports import Transient
from tests.simulate.database import Database
from tests.simulate.loop import Loop
from tests.simulate.shapes import Broken

_T = TypeVar("_T")


class Network:
    """Between workers and the database; knows the faults that are still to be dealt out."""

    def __init__(self, loop: Loop, database: Database, random: Random, *, faults: dict[str, int]) -> None:
        self.loop = loop
        self.database = database
        self.random = random
        self.faults = faults
        self.fired: Counter[str] = Counter()
        self.away = False
        self._pending: dict[asyncio.Future[Any], None] = {}

    def strikes(self, fault: str, chance: float) -> bool:
        """Whether a fault happens now."""
        if self.faults.get(fault, 0) <= 0 or self.random.random() >= chance:
            return False
        self.faults[fault] -= 1
        self.fired[fault] += 1
        return True

    def _delay(self) -> float:
        return self.random.choice((0.0, 0.0, 0.001, 0.01, 0.1)) * self.random.random()

    def _later(self, seconds: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return contextvars.Context().run(self.loop.call_later, seconds, callback, *args)

    def restart(self, seconds: float) -> None:
        """The database goes away: what is under way is lost or ambiguous, sessions and locks are gone."""
        self.away = True
        self._later(seconds, self._back)
        for row in self.database.workers.values():
            if self.random.random() < 0.5:
                row.locked = False
        for answer in list(self._pending):
            if not answer.done():
                answer.set_exception(Transient("terminating connection", "57P01"))

    def _back(self) -> None:
        self.away = False

    async def call(self, work: Callable[[], _T], seconds: float = 0.0) -> _T:
        """Have the database do something atomic that takes it a while, and bring the answer back."""
        answer: asyncio.Future[_T] = self.loop.create_future()
        served = False

        def lose() -> None:
            if not answer.done():
                answer.set_exception(Transient("connection lost", "08006"))

        def deliver(result: _T | None, problem: Exception | None) -> None:
            if answer.done():
                return
            if problem is not None:
                answer.set_exception(problem)
            else:
                answer.set_result(result)  # type: ignore[arg-type]

        def serve() -> None:
            nonlocal served
            served = True
            if self.away:
                self._later(0.0, deliver, None, Transient("the database system is starting up", "57P03"))
                return
            try:
                result, problem = work(), None
            except Broken:
                raise
            except Exception as raised:
                result, problem = None, raised
            if self.strikes("answer lost", 0.05):
                self._later(self._delay(), lose)
            else:
                self._later(self._delay(), deliver, result, problem)

        if self.strikes("request lost", 0.05):
            self._later(self._delay(), lose)
        else:
            late = self.strikes("served late", 0.04)
            seconds += 2.0 * self.random.random() if late else 0.0
            serving = self._later(self._delay() + seconds, serve)
            if late:
                self._later(self._delay(), lose)
            self._pending[answer] = None
            try:
                return await answer
            except asyncio.CancelledError:
                # The server is asked to cancel: in time, or too late.
                if not served and self.random.random() < 0.6:
                    serving.cancel()
                raise
            finally:
                self._pending.pop(answer, None)
        return await answer
