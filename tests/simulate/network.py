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
from typing import Any, Generic, TypeVar

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
        self._late: dict[object, list[_Call[Any]]] = {}
        self._pending: dict[_Call[Any], None] = {}

    def strikes(self, fault: str, chance: float) -> bool:
        """Whether a fault happens now."""
        if self.faults.get(fault, 0) <= 0 or self.random.random() >= chance:
            return False
        self.faults[fault] -= 1
        self.fired[fault] += 1
        return True

    def delay(self) -> float:
        return self.random.choice((0.0, 0.0, 0.001, 0.01, 0.1)) * self.random.random()

    def later(self, seconds: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return contextvars.Context().run(self.loop.call_later, seconds, callback, *args)

    def restart(self, seconds: float) -> None:
        """The database goes away: what is under way is lost or ambiguous, sessions and locks are gone."""
        self.away = True
        self.later(seconds, self._back)
        for row in self.database.workers.values():
            if self.random.random() < 0.5:
                row.locked = False
        for call in [*self._pending, *(call for calls in self._late.values() for call in calls)]:
            # What runs has died with its session; of what has committed nobody is told.
            call.drop()
            if not call.answer.done():
                call.answer.set_exception(Transient("terminating connection", "57P01"))

    def _back(self) -> None:
        self.away = False

    async def call(
        self, work: Callable[[], _T], seconds: float = 0.0, *, sender: object = None, statement: bool = False
    ) -> _T:
        """Have the database do something atomic that takes it a while, and bring the answer back.

        A `statement` that is cancelled is cancelled in time, or has come to its end when this raises.
        """
        call: _Call[_T] = _Call(self, work, self.loop.create_future())
        if self.strikes("request lost", 0.05):
            self.later(self.delay(), call.lose)
            return await call.answer
        late = self.strikes("served late", 0.04)
        seconds += 2.0 * self.random.random() if late else 0.0
        call.serving = self.later(self.delay() + seconds, self._serve, call, sender)
        if late:
            self._late.setdefault(sender, []).append(call)
            self.later(self.delay(), call.lose)
        self._pending[call] = None
        try:
            return await asyncio.shield(call.answer)
        except asyncio.CancelledError:
            # The server is asked to cancel: in time, or too late.
            if not call.served and self.random.random() < 0.6:
                call.drop()
            elif statement and not call.answer.done():
                await asyncio.wait([call.answer])
            raise
        finally:
            self._pending.pop(call, None)
            if call.answer.done() and not call.answer.cancelled():
                call.answer.exception()

    def _serve(self, call: _Call[Any], sender: object) -> None:
        if sender is not None and self.database.rules.settled:
            self._settle(sender, call)
        call.serve()

    def _settle(self, sender: object, now: _Call[Any]) -> None:
        """Whoever sends something has made sure that what he had lost before is served by now, or never."""
        for call in self._late.pop(sender, ()):
            if call is now or call.served:
                continue
            call.drop()
            if self.random.random() < 0.5:
                call.serve()


class _Call(Generic[_T]):
    """A request to the database, with the future of its answer."""

    def __init__(self, network: Network, work: Callable[[], _T], answer: asyncio.Future[_T]) -> None:
        self.network = network
        self.work = work
        self.answer = answer
        self.serving: asyncio.TimerHandle | None = None
        self.served = False

    def drop(self) -> None:
        """It will not be served."""
        if self.serving is not None:
            self.serving.cancel()

    def lose(self) -> None:
        """The caller is told that the connection is gone."""
        if not self.answer.done():
            self.answer.set_exception(Transient("connection lost", "08006"))

    def deliver(self, result: _T | None, problem: Exception | None) -> None:
        """The answer arrives."""
        if self.answer.done():
            return
        if problem is not None:
            self.answer.set_exception(problem)
        else:
            self.answer.set_result(result)  # type: ignore[arg-type]

    def serve(self) -> None:
        """The database does it."""
        network = self.network
        self.served = True
        if network.away:
            network.later(0.0, self.deliver, None, Transient("the database system is starting up", "57P03"))
            return
        try:
            result, problem = self.work(), None
        except Broken:
            raise
        except Exception as raised:
            result, problem = None, raised
        if network.strikes("answer lost", 0.05):
            network.later(network.delay(), self.lose)
        else:
            network.later(network.delay(), self.deliver, result, problem)
