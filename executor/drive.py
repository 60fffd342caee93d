"""The driver of one instance: performs what the core asks for, tells it what came of it.

A plain chain runs inside the one task that called `Driver.run`: no task, queue or lock a step. When the
core asks for several things at once, further tasks ("lanes") are made, at most `lanes_max` in all, and each
goes on with whatever is ready next.

The driver is told from outside, through plain methods, that the instance is to be cancelled or given back.
Both act before they return: nothing starts afterwards that the new state does not call for. What runs is
interrupted by cancelling the task it runs in, with the same care for cancels that come from elsewhere as
`asyncio.timeout` takes (count, `uncancel`).

After an attempt whose outcome is unknown the journal is read before anything else is done. Until the
store answers, no attempt is counted: a database that is away fails nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TypeVar, assert_never

from dfc.compiler.plan import Plan
from dfc.executor import retry, sqlstates
from dfc.executor.actions import Action, Finish, Interrupt, RecordFailure, RunSql, SendHttp, Wait
from dfc.executor.decide import State, begin, pending, step, step_of
from dfc.executor.journal import Attempted, CancelRequested, Due, Event, Recorded, StepError
from dfc.executor.ports import (
    AlreadyRecorded,
    Answer,
    Claim,
    FenceLost,
    HttpRunner,
    SqlRunner,
    StepFailed,
    Store,
    Transient,
    Unreachable,
)

LANES_MAX = 64

_Work = RunSql | SendHttp | RecordFailure | Wait
_T = TypeVar("_T")


class Outcome(Enum):
    """How a driver came to its end.

    `ENDED`: the instance has ended, the fence is gone. `LOST`: the instance is somebody else's, or had
    ended already (the answer to its last commit was lost). `RELEASED`: stopped on request; the worker still
    holds the fence and has to give it back.
    """

    ENDED = "ended"
    LOST = "lost"
    RELEASED = "released"


class _Stopped(Exception):
    """The driver has to come to its end: leave whatever was to be done."""


async def drive(claim: Claim, plan: Plan, store: Store, sql: SqlRunner, http: HttpRunner) -> Outcome:
    """Run an instance that can be neither cancelled nor released from here. For that, keep a `Driver`."""
    return await Driver(claim=claim, plan=plan, store=store, sql=sql, http=http).run()


class Driver:
    """Runs one claimed instance. `run` once; `cancel` and `release` at any time, from the same event loop."""

    def __init__(
        self,
        *,
        claim: Claim,
        plan: Plan,
        store: Store,
        sql: SqlRunner,
        http: HttpRunner,
        lanes_max: int = LANES_MAX,
    ) -> None:
        self._claim = claim
        self._plan = plan
        self._store = store
        self._sql = sql
        self._http = http
        self._lanes_max = lanes_max
        self._state: State | None = None
        self._outcome: Outcome | None = None
        self._finish: Finish | None = None
        self._cancel_reason: str | None = claim.cancel_reason
        # What the core has asked for and nobody has begun, by path; what runs, and in which task.
        self._ready: OrderedDict[str, _Work] = OrderedDict()
        self._running: dict[str, asyncio.Task[object]] = {}
        self._interrupted: set[str] = set()
        # Ordered sets, so that a simulated run depends on its seed alone.
        self._pausing: dict[asyncio.Task[object], None] = {}
        self._roused: set[asyncio.Task[object]] = set()
        self._lanes: dict[asyncio.Task[None], None] = {}
        self._crash: BaseException | None = None
        self._quiet: asyncio.Future[None] | None = None

    @property
    def state(self) -> State | None:
        """What the core knows; None until the journal has been read. To look at, not to change."""
        return self._state

    async def run(self) -> Outcome:
        """Run the instance to its end, to the loss of its fence, or to its release.

        Raises InvalidPlan and CorruptJournal (the fence is still held then), and whatever a port raises
        beyond its contract; nothing of the instance runs any more when it does.
        """
        try:
            if self._outcome is None:
                await self._recover()
            await self._lane(None)
            await self._silence()
            if self._outcome is None and self._finish is not None:
                self._outcome = await self._end(self._finish)
        except FenceLost:
            self._outcome = Outcome.LOST
        except _Stopped:
            pass
        finally:
            if self._lanes:
                await self._abandon()
        if self._crash is not None:
            raise self._crash
        assert self._outcome is not None, "an instance that has not ended has something to do"
        return self._outcome

    def cancel(self, reason: str) -> None:
        """A cancel request for the instance has committed. Interrupts what runs; may come more than once."""
        if self._state is None:
            self._cancel_reason = reason
        elif self._outcome is None:
            self._take(step(self._state, CancelRequested(reason=reason)))

    def release(self, *, interrupt: bool = False) -> None:
        """Stop: nothing new starts, waits end; what runs may come to its end, or is interrupted.

        May be called again with `interrupt` when patience is over.
        """
        if self._outcome is None:
            self._outcome = Outcome.RELEASED
        for task in self._pausing:
            if task not in self._roused:
                self._roused.add(task)
                task.cancel()
        if interrupt:
            self._interrupt_all()

    # The beginning and the end

    async def _recover(self) -> None:
        state = begin(self._plan, instance=self._claim.instance)
        records: list[Recorded] = []
        if self._claim.resumed:
            records = await self._insist(lambda: self._store.history(self._claim, self._plan))
        # First the request: a journal may be complete although its last record left the end to the cancel.
        if self._cancel_reason is not None:
            step(state, CancelRequested(reason=self._cancel_reason))
        for record in records:
            step(state, record)
        self._state = state
        self._take(pending(state))

    async def _silence(self) -> None:
        """Return when no lane is left."""
        while self._lanes:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    async def _abandon(self) -> None:
        """Something was raised here: stop the lanes before it goes further."""
        self._outcome = self._outcome or Outcome.RELEASED
        for lane in self._lanes:
            lane.cancel()
        await self._silence()

    async def _end(self, finish: Finish) -> Outcome:
        failures = 0
        while True:
            try:
                await self._store.finish(self._claim, finish)
                return Outcome.ENDED
            except Transient:
                failures += 1
            await self._pause(retry.delay(self._claim.instance, "", failures))

    # Lanes

    async def _lane(self, first: _Work | None) -> None:
        """Perform one thing after the other, until nothing is ready that nobody has begun."""
        if first is not None and self._outcome is None:
            await self._perform(first)
        while self._ready and self._outcome is None:
            _, action = self._ready.popitem(last=False)
            await self._perform(action)

    def _take(self, actions: tuple[Action, ...]) -> None:
        """Accept what the core wants. The caller is a lane that goes on with `_ready`, or wants a stop."""
        for action in actions:
            match action:
                case Interrupt(path=path):
                    self._interrupt(path)
                case Finish():
                    # Performed by `run` when all lanes are gone.
                    self._finish = action
                case RunSql() | SendHttp() | RecordFailure() | Wait():
                    self._ready[action.path] = action
                case _:
                    assert_never(action)
        self._spread(1)

    def _spread(self, beginning: int) -> None:
        """Make lanes for what is ready beyond what `beginning` lanes are about to take."""
        while self._outcome is None and len(self._ready) > beginning:
            if len(self._lanes) + 1 >= self._lanes_max:
                break
            path, action = self._ready.popitem(last=False)
            lane = asyncio.get_running_loop().create_task(self._lane(action))
            self._lanes[lane] = None
            self._running[path] = lane
            lane.add_done_callback(partial(self._lane_done, path))

    def _lane_done(self, path: str, lane: asyncio.Task[None]) -> None:
        self._lanes.pop(lane, None)
        # A lane that was cancelled before it began has not cleaned up.
        if self._running.get(path) is lane:
            del self._running[path]
            self._interrupted.discard(path)
        if not lane.cancelled() and (problem := lane.exception()) is not None:
            self._crash = self._crash or problem
            self._outcome = self._outcome or Outcome.RELEASED
            self._interrupt_all()
        # What it would have gone on with, had it not been cancelled.
        self._spread(0)
        if not self._lanes and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    async def _perform(self, action: _Work) -> None:
        """Do one thing and tell the core. Returns early, and silently, when interrupted."""
        path = action.path
        task = _current_task()
        cancels = task.cancelling()
        self._running[path] = task
        came: Answer | Event | None = None
        lost = False
        try:
            came = await self._attempt(action)
        except asyncio.CancelledError:
            if path not in self._interrupted:
                raise
        except FenceLost:
            lost = True
        except _Stopped:
            pass
        finally:
            del self._running[path]
            if path in self._interrupted:
                self._interrupted.discard(path)
                task.uncancel()
        if lost:
            self._outcome = Outcome.LOST
            self._interrupt_all()
        elif came is not None:
            self._absorb(came)
        if task.cancelling() > cancels:
            # Somebody outside cancelled us too, and a port or the lines above have swallowed it.
            raise asyncio.CancelledError

    def _absorb(self, came: Answer | Event) -> None:
        assert self._state is not None
        if not isinstance(came, Answer):
            self._take(step(self._state, came))
        elif came.finished:
            self._outcome = Outcome.ENDED
        else:
            if came.cancel_reason is not None:
                # It had committed before the record: after the record alone the core might want another end.
                self.cancel(came.cancel_reason)
            self._take(step(self._state, came.event))

    def _interrupt(self, path: str) -> None:
        if self._ready.pop(path, None) is not None or path in self._interrupted:
            return
        if (task := self._running.get(path)) is not None:
            self._interrupted.add(path)
            task.cancel()

    def _interrupt_all(self) -> None:
        for path in list(self._running):
            self._interrupt(path)

    # Single actions

    async def _attempt(self, action: _Work) -> Answer | Event:
        match action:
            case RunSql() | SendHttp():
                return await self._activate(action)
            case RecordFailure():
                return await self._record_failure(action)
            case Wait(path=path, seconds=seconds):
                await self._pause(seconds)
                return Due(path=path)
            case _:
                assert_never(action)

    async def _activate(self, action: RunSql | SendHttp) -> Answer | Event:
        refusals = 0
        while True:
            try:
                if isinstance(action, RunSql):
                    return await self._sql.run(self._claim, action)
                return await self._http.send(self._claim, action)
            except StepFailed as failure:
                error = replace(failure.error, step=self._step_of(action.path))
                return Attempted(path=action.path, error=error, transient=False)
            except Unreachable:
                refusals += 1
            except Transient as problem:
                message, sqlstate = str(problem), problem.sqlstate
                break
            except AlreadyRecorded:
                message, sqlstate = (
                    "the step has a checkpoint that its journal does not show",
                    sqlstates.RECORDED,
                )
                break
            except FenceLost as problem:
                if not isinstance(action, RunSql):
                    raise
                # A step can make its own session say so (it may call df.checkpoint itself). Were it believed,
                # the instance would be dropped while its fence stays ours. The store knows: it raises below.
                message, sqlstate = str(problem), sqlstates.FENCE_LOST
                break
            await self._pause(retry.delay(self._claim.instance, action.path, refusals))
        if (record := await self._look_up(action.path)) is not None:
            return record
        error = StepError(step=self._step_of(action.path), message=message, sqlstate=sqlstate)
        return Attempted(path=action.path, error=error, transient=True)

    def _step_of(self, path: str) -> str:
        assert self._state is not None
        return step_of(self._state, path)

    async def _record_failure(self, action: RecordFailure) -> Answer | Recorded:
        failures = 0
        while True:
            try:
                return await self._store.record_failure(self._claim, action)
            except (AlreadyRecorded, Transient):
                failures += 1
            if (record := await self._look_up(action.path)) is not None:
                return record
            await self._pause(retry.delay(self._claim.instance, action.path, failures))

    async def _look_up(self, path: str) -> Recorded | None:
        """What the journal says about an activation; waits for a store that does not answer."""
        return await self._insist(lambda: self._store.record_of(self._claim, path))

    async def _insist(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The store's answer, however long it takes to get one."""
        failures = 0
        while True:
            try:
                return await ask()
            except Transient:
                failures += 1
            await self._pause(retry.delay(self._claim.instance, "", failures))

    async def _pause(self, seconds: float) -> None:
        """Wait. Raises _Stopped, at once, when the driver is to come to its end."""
        if self._outcome is not None:
            raise _Stopped
        task = _current_task()
        self._pausing[task] = None
        try:
            await self._store.wait(seconds)
        except asyncio.CancelledError:
            if task not in self._roused:
                raise
        finally:
            self._pausing.pop(task, None)
            if task in self._roused:
                self._roused.discard(task)
                task.uncancel()
        if self._outcome is not None:
            raise _Stopped


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
