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
from dataclasses import replace
from random import Random
from typing import Any, Generic, TypeVar

from dfc.executor.claim import Claim
from dfc.executor.failures import Transient
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
        for call in self._pending:
            # What runs has died with its session; of what has committed nobody is told.
            call.drop()
            if not call.answer.done():
                call.answer.set_exception(_Lost("terminating connection", "57P01"))
                call.answer.exception()
        self._pending.clear()

    def forget(self, call: _Call[Any]) -> None:
        """The database has done it, and nobody waits for the answer."""
        self._pending.pop(call, None)

    def _back(self) -> None:
        self.away = False

    async def call_for(
        self, claim: Claim, work: Callable[[Claim], _T], seconds: float = 0.0, *, statement: bool = False
    ) -> _T:
        """`call` with something that takes a while, for whoever has a claim.

        It goes out with the token of the moment, and a loss is noted.
        """
        sent = replace(claim)
        try:
            return await self._ask(lambda: work(sent), seconds, statement=statement)
        except _Lost:
            claim.doubt()
            raise
        except _Abandoned:
            claim.doubt()
            raise asyncio.CancelledError from None

    async def call(self, work: Callable[[], _T]) -> _T:
        """Have the database do something atomic, and bring the answer back."""
        try:
            return await self._ask(work, 0.0, statement=False)
        except _Abandoned:
            raise asyncio.CancelledError from None

    async def _ask(self, work: Callable[[], _T], seconds: float, *, statement: bool) -> _T:
        """A `statement` that is cancelled is cancelled in time, or has come to its end when this raises."""
        call: _Call[_T] = _Call(self, work, self.loop.create_future())
        if self.strikes("request lost", 0.05):
            self.later(self.delay(), call.lose)
            return await call.answer
        late = self.strikes("served late", 0.04)
        seconds += 2.0 * self.random.random() if late else 0.0
        call.serving = self.later(self.delay() + seconds, call.serve)
        self._pending[call] = None
        if late:
            self.later(self.delay(), call.lose)
        try:
            return await asyncio.shield(call.answer)
        except asyncio.CancelledError:
            # The server is asked to cancel: in time, or too late, or it cannot be reached any more.
            if not call.served and self.random.random() < 0.5:
                call.drop()
            elif statement and not call.answer.done():
                await asyncio.wait([call.answer])
            if not call.served and not call.dropped:
                raise _Abandoned from None
            raise
        finally:
            if call.served or call.dropped:
                self._pending.pop(call, None)
            if call.answer.done() and not call.answer.cancelled():
                call.answer.exception()


class _Lost(Transient):
    """The connection is gone, and nobody knows what becomes of the request."""


class _Abandoned(Exception):
    """A call was cancelled, and the server may do it all the same."""


class _Call(Generic[_T]):
    """A request to the database, with the future of its answer."""

    def __init__(self, network: Network, work: Callable[[], _T], answer: asyncio.Future[_T]) -> None:
        self.network = network
        self.work = work
        self.answer = answer
        self.serving: asyncio.TimerHandle | None = None
        self.served = False
        self.dropped = False

    def drop(self) -> None:
        """It will not be served."""
        self.dropped = True
        if self.serving is not None:
            self.serving.cancel()

    def lose(self) -> None:
        """The caller is told that the connection is gone."""
        if not self.answer.done():
            self.answer.set_exception(_Lost("connection lost", "08006"))

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
        if self.answer.done():
            network.forget(self)
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
