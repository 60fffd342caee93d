"""The ports over the model: every call is a request that travels, is served, and whose answer travels.

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

from dfc.compiler.plan import Plan
from dfc.executor.actions import Finish, RecordFailure, RunSql, SendHttp
from dfc.executor.journal import Recorded, Rows
from dfc.executor.ports import AlreadyRecorded, Answer, Claim, StepFailed, Transient, Unreachable
from tests.simulate.database import Database, Instance
from tests.simulate.interpret import error_of, http_result, render, sql_result
from tests.simulate.loop import Loop

_T = TypeVar("_T")


class Broken(AssertionError):
    """An invariant does not hold."""


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

    async def call(self, work: Callable[[], _T]) -> _T:
        """Have the database do something atomic, and bring the answer back."""
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
            serving = self._later(self._delay() + (2.0 * self.random.random() if late else 0.0), serve)
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


class Ports:
    """Store, SqlRunner and HttpRunner of one claim, watching what the driver does with them."""

    def __init__(self, network: Network, claim: Claim) -> None:
        self.network = network
        self.database = network.database
        # What the driver has been told of, or would have been, had it read the journal when it had to.
        self.known = set(network.database.recorded_at_claim[claim.token])
        self.told = claim.cancel_reason is not None
        self.running: set[str] = set()
        self.refusals: dict[str, int] = {}

    # Store

    async def history(self, claim: Claim, plan: Plan) -> list[Recorded]:
        records = await self.network.call(lambda: self.database.history(claim))
        self.known.update(record.path for record in records)
        return records

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        record = await self.network.call(lambda: self.database.record_of(claim, path))
        if record is not None:
            self.known.add(path)
        return record

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:

        def serve() -> Answer:
            return self.database.record_failure(claim, action)

        return self._noted(await self.network.call(serve))

    async def finish(self, claim: Claim, finish: Finish) -> None:
        if self.told and finish.status != "cancelled":
            raise Broken(f"{claim.instance} ends {finish.status} though it was told of the cancel request")
        if self.running:
            raise Broken(f"{claim.instance} ends while {sorted(self.running)} run")
        await self.network.call(lambda: self.database.finish(claim, finish))

    async def wait(self, seconds: float) -> None:
        if seconds < 0:
            raise Broken("a wait of negative length")
        late = self.network.random.choice((0.0, 0.0, 0.5, 5.0)) * self.network.random.random()
        await asyncio.sleep(seconds + late)

    # Runners

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        self._starts(claim, action.path)
        instance = self.database.instances[claim.instance]
        nonce = f"{self.network.random.getrandbits(32):08x}"

        def serve() -> Answer:
            self._fate(instance, action.path)
            many = action.path.endswith("/request") and _many(instance, action.path)
            result = sql_result(action.path, action.body, action.sources, nonce, many)
            answer = self.database.checkpoint(claim, action, result)
            instance.effects[action.path] += 1
            return answer

        return await self._guarded(instance, action.path, serve)

    async def send(self, claim: Claim, action: SendHttp) -> Answer:
        self._starts(claim, action.path)
        instance = self.database.instances[claim.instance]
        asked = render(action.request) if isinstance(action.request, Rows) else action.request.url
        exact = str(action.request.cells) if isinstance(action.request, Rows) else asked
        self.running.add(action.path)
        try:
            await asyncio.sleep(self.network.random.random() * 0.1)
            instance.sent.setdefault(action.path, []).append(exact)
            self._fate(instance, action.path)
            await asyncio.sleep(self.network.random.random() * 0.1)
        finally:
            self.running.discard(action.path)
        result = http_result(action.path, action.request)
        return await self._guarded(
            instance, action.path, lambda: self.database.checkpoint(claim, action, result)
        )

    async def _guarded(self, instance: Instance, path: str, serve: Callable[[], Answer]) -> Answer:
        if self.network.strikes("refused", 0.1):
            # No connection for this step, for longer than any number of attempts would last.
            self.refusals[path] = self.network.random.choice((1, 3, 30))
        if self.refusals.get(path, 0) > 0 and not path.endswith("/response"):
            self.refusals[path] -= 1
            raise Unreachable("too many connections", "53300")
        self.running.add(path)
        try:
            return self._noted(await self.network.call(serve))
        except (Transient, AlreadyRecorded):
            self.known.update({path} & instance.records.keys())
            raise
        finally:
            self.running.discard(path)

    def _noted(self, answer: Answer) -> Answer:
        self.known.add(answer.event.path)
        self.told = self.told or answer.cancel_reason is not None
        return answer

    def _starts(self, claim: Claim, path: str) -> None:
        if self.told:
            raise Broken(f"{claim.instance}: {path} starts after the driver was told of the cancel request")
        if path in self.known:
            raise Broken(f"{claim.instance}: {path} starts again though the journal shows its record")
        if path in self.running:
            raise Broken(f"{claim.instance}: {path} runs twice in one driver")

    def _fate(self, instance: Instance, path: str) -> None:
        """Let the activation's own trouble happen. Its transaction is rolled back."""
        fate = instance.fates[path]
        execution = instance.executions[path]
        instance.executions[path] += 1
        if fate.for_ever:
            assert fate.error is not None
            self.network.fired["conflict"] += 1
            raise Transient(f"{path} fails", fate.error)
        if execution < len(fate.transients):
            self.network.fired["conflict"] += 1
            raise Transient("bad luck", fate.transients[execution])
        if fate.error is not None:
            self.network.fired["step fails"] += 1
            raise StepFailed(error_of(path, fate.error))


def _many(instance: Instance, path: str) -> bool:
    name = path.split("/")[0]
    node = next(node for node in instance.plan.nodes if node.id == name)
    return bool(getattr(node, "many", False))
