"""The driver of one instance: performs what the core asks for, tells it what came of it.

A plain chain runs inside the one task that called `Driver.run`: no task, queue or lock a step. When the
core asks for several things at once, further tasks ("lanes") are made, at most `lanes_max` in all, and each
goes on with whatever is ready next. Waiting holds no lane; when nothing else is left to do and the wait is
long, the instance is parked: whoever claims it then goes on.

The driver is told from outside, through plain methods, that the instance is to be cancelled, paused or given
back. These act before they return: nothing starts afterwards that the new state does not call for. What runs
is interrupted by cancelling the task it runs in, with the same care for cancels that come from elsewhere as
`asyncio.timeout` takes (count, `uncancel`). What has come of it is looked up, and told to the core.

What is asked for and not begun is kept in a `backlog`, the waits under way are `timers`, and pauses within
something are `naps`. What runs, in which lane, and how it comes to its end is here.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from enum import Enum
from functools import partial

from dfc.compiler.plan import Plan
from dfc.executor.actions import Action, Finish, Interrupt, Listen, Wait, key_of
from dfc.executor.backlog import Backlog
from dfc.executor.claim import Claim
from dfc.executor.crashpoints import CLAIMED, PARKED, Crashpoints
from dfc.executor.decide import State, begin, forgotten, pending, step, step_of
from dfc.executor.failures import FenceLost, Transient
from dfc.executor.journal import Called, CancelRequested, Due, Event, Record, Stopped
from dfc.executor.limits import PARK_SECONDS
from dfc.executor.naps import Naps, current_task
from dfc.executor.perform import Came, Interruptible, Performer, Work, is_news
from dfc.executor.ports import Elsewhere, HttpRunner, Parking, SqlRunner, Store
from dfc.executor.recording import Recorder
from dfc.executor.timers import Timers

LANES_MAX = 64


class Outcome(Enum):
    """How a driver came to its end.

    `ENDED`: the instance has ended, the fence is gone. `LOST`: the instance is somebody else's, or had
    ended already (the answer to its last commit was lost). `RELEASED`: stopped on request; the worker still
    holds the fence and has to give it back. `PARKED`: it waits, and the fence is given up.
    """

    ENDED = "ended"
    LOST = "lost"
    RELEASED = "released"
    PARKED = "parked"


class _Stopped(Exception):
    """The driver has to come to its end: leave whatever was to be done."""


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
        elsewhere: Elsewhere | None = None,
        recorder: Recorder | None = None,
        lanes_max: int = LANES_MAX,
        park_seconds: float = PARK_SECONDS,
        crashpoints: Crashpoints | None = None,
    ) -> None:
        self._claim = claim
        self._plan = plan
        self._store = store
        self._performer = Performer(
            claim, store, sql, http, pause=self._pause, elsewhere=elsewhere, crashpoints=crashpoints
        )
        # What writes the journal of the instance, before anything is done; None where it is not kept.
        self._recorder = recorder
        self._lanes_max = lanes_max
        self._park_seconds = park_seconds
        self._state: State | None = None
        self._outcome: Outcome | None = None
        self._finish: Finish | None = None
        self._cancel_reason: str | None = claim.cancel_reason
        self._backlog = Backlog()
        # Of what is retried: the records that it has failed with, until they have been looked through.
        self._replayed: list[Record] | None = None
        # What runs, by path, and in which task; what of it is being stopped.
        self._running: dict[str, asyncio.Task[object]] = {}
        self._interrupted: set[str] = set()
        self._timers = Timers(store.wait, self._due)
        self._looking: asyncio.Task[None] | None = None
        # What listens for news, by path, with what that is.
        self._listening: dict[str, str] = {}
        self._naps = Naps(store.wait)
        # Ordered, so that a simulated run depends on its seed alone.
        self._lanes: dict[asyncio.Task[None], None] = {}
        self._crash: BaseException | None = None
        self._changed: asyncio.Future[None] | None = None
        self._events: deque[Event] = deque()
        self._feeding = False
        self._giving_up = False

    @property
    def state(self) -> State | None:
        """What the core knows; None until the journal has been read. To look at, not to change."""
        return self._state

    async def run(self) -> Outcome:
        """Run the instance to its end, to the loss of its fence, to its release, or until it is parked.

        Raises InvalidPlan and CorruptJournal (the fence is still held then), and whatever a port raises
        beyond its contract; nothing of the instance runs any more when it does.
        """
        try:
            if self._outcome is None:
                await self._recover()
            while self._outcome is None:
                await self._lane(None)
                await self._rest()
                if self._replayed is not None and not self._lanes and not self._backlog:
                    await self._begin_again(self._replayed)
                elif self._finish is not None and not self._lanes and self._outcome is None:
                    await self._written()
                    await self._performer.finish(self._finish)
                    self._outcome = Outcome.ENDED
        except FenceLost:
            self._outcome = Outcome.LOST
        except _Stopped:
            pass
        finally:
            self._drop_waits()
            if self._lanes:
                await self._abandon()
        if self._crash is not None:
            raise self._crash
        assert self._outcome is not None, "an instance that has not ended has something to do"
        return self._outcome

    def cancel(self, reason: str) -> None:
        """A cancel request for the instance has committed. Interrupts what runs; may come more than once."""
        if self._state is None or self._replayed is not None:
            self._cancel_reason = self._cancel_reason or reason
        elif self._outcome is None:
            self.pause(False)
            self._feed((CancelRequested(reason=reason),), lane=False)

    def pause(self, paused: bool) -> None:
        """Whether the instance is paused: nothing new begins then, and it is given up when nothing runs.

        May be said more than once. One that is cancelled goes on to its end.
        """
        cancelled = self._cancel_reason is not None or (
            self._state is not None and self._state.cancel_reason is not None
        )
        self._backlog.pause(paused and not cancelled)
        if self._outcome is not None:
            return
        self._spread(0)
        self._note_change()

    def called(self) -> None:
        """There is news for the instance: who listens looks for it. May be said for nothing, and twice."""
        if self._listening and self._outcome is None and self._replayed is None:
            self._feed((Called(),), lane=False)

    def release(self, *, interrupt: bool = False) -> None:
        """Stop: nothing new starts, waits end; what runs may come to its end, or is interrupted.

        May be called again with `interrupt` when patience is over.
        """
        if self._outcome is None:
            self._outcome = Outcome.RELEASED
        self._naps.wake_all()
        if interrupt:
            self._interrupt_all()
        self._note_change()

    def clock_set(self) -> None:
        """The database's clock is not where it was: waits may be over earlier. May be said for nothing."""
        if self._timers and self._outcome is None and self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_at_clock())

    # The beginning and the end

    async def _recover(self) -> None:
        self._performer.passed(CLAIMED)
        records: list[Record] = []
        if self._claim.resumed:
            records = await self._history()
            if await self._performer.take_over():
                records = await self._history()
        self._begin(records, replay=self._claim.retrying)

    def _begin(self, records: list[Record], *, replay: bool) -> None:
        self._replayed = records if replay else None
        self._backlog.replaying = replay
        self._state = begin(
            self._plan,
            records,
            instance=self._claim.instance,
            cancel_reason=None if replay else self._cancel_reason,
            input=self._claim.input,
            database=self._claim.database,
            trace=replay,
        )
        actions = pending(self._state)
        if self._recorder is not None:
            self._recorder.began(records, actions, replay=replay, cancel_reason=self._state.cancel_reason)
        self._take(actions)
        self._spread(1)

    async def _begin_again(self, records: list[Record]) -> None:
        """The records have been gone through, up to the failure: forget what led there, and go on."""
        assert self._state is not None
        gone = forgotten(self._state, records)
        if self._recorder is not None:
            self._recorder.forgot(gone.records, gone.maps)
            await self._written()
        await self._performer.insist(lambda: self._store.begin_again(self._claim, gone.records, gone.maps))
        self._finish = None
        self._backlog.forget_held()
        self._drop_waits()
        self._begin(await self._history(), replay=False)

    async def _written(self) -> None:
        """Return when what the core has seen and decided is in the journal, where that is kept."""
        if self._recorder is not None and self._recorder.behind:
            await self._performer.insist(self._recorder.write)

    async def _history(self) -> list[Record]:
        return await self._performer.insist(lambda: self._store.history(self._claim, self._plan))

    async def _rest(self) -> None:
        """Return when there is something to do for this task: nothing runs, or the end has come."""
        while self._lanes or self._idle():
            if not self._lanes and (self._replayed is not None or await self._parked()):
                return
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
            self._changed = None

    def _idle(self) -> bool:
        return self._outcome is None and self._finish is None and not self._backlog

    async def _parked(self) -> bool:
        """Give the instance up if it is paused, or only waits, and for long. True: look again."""
        if self._recorder is not None and self._recorder.behind:
            await self._written()
            return True
        if self._backlog.paused and self._state is not None:
            parking = Parking(
                seconds=math.inf, waiting_for="df.resume_instance", cancel_known=False, pausing=True
            )
            await self._give_up(parking)
            return True
        if not self._timers and not self._listening:
            return True
        seconds, waiting_for = math.inf, next(iter(self._listening.values()), "")
        if self._timers:
            path, seconds = self._timers.first()
            waiting_for = waiting_for or path
        if seconds < self._park_seconds or self._state is None:
            return False
        parking = Parking(
            seconds=seconds,
            waiting_for=waiting_for,
            cancel_known=self._state.cancel_reason is not None,
            listening=tuple(self._listening),
        )
        await self._give_up(parking)
        return True

    async def _give_up(self, parking: Parking) -> None:
        """Have the instance given up; it may be refused.

        What comes meanwhile waits for that: who goes on, and takes news away, while the instance is being
        given up until there is some, leaves it to wait for ever.
        """
        token = self._claim.token
        self._giving_up = True
        try:
            await self._store.park(self._claim, parking)
        except FenceLost:
            # A look at the clock has lost an answer, and the token has moved under this.
            if not await self._claim.moved(token):
                raise
        except Transient:
            await self._performer.settled()
        else:
            self._performer.passed(PARKED)
            self._outcome = self._outcome or Outcome.PARKED
            return
        finally:
            self._giving_up = False
        self._feed((), lane=False)
        if self._idle() and not self._lanes:
            await self._pause(min(1.0, self._park_seconds))

    async def _abandon(self) -> None:
        """Something was raised here: stop the lanes before it goes further."""
        self._outcome = self._outcome or Outcome.RELEASED
        for lane in self._lanes:
            lane.cancel()
        while self._lanes:
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed

    def _note_change(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    # What the core is told, and what it wants

    def _feed(self, events: Sequence[Event], *, lane: bool) -> None:
        """Tell the core, and accept what it wants. `lane`: the caller goes on with what is ready."""
        self._events.extend(events)
        if self._feeding or self._giving_up or self._state is None:
            return
        self._feeding = True
        try:
            while self._events:
                event = self._events.popleft()
                actions = step(self._state, event)
                if self._recorder is not None:
                    self._recorder.took(event, actions)
                self._take(actions)
        finally:
            self._feeding = False
        self._spread(1 if lane else 0)
        if not lane:
            self._note_change()

    def _take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Interrupt(path=path):
                    self._interrupt(path)
                case Finish():
                    # Performed by `run` when all lanes are gone.
                    self._finish = action
                    self._drop_waits()
                case Wait():
                    if self._replayed is None:
                        self._timers.start(action.path, action.seconds)
                case Listen():
                    self._listening[action.path] = action.news
                case _:
                    self._listening.pop(key_of(action), None)
                    self._backlog.add(action)

    def _interrupt(self, path: str) -> None:
        """The core wants a path stopped. What runs is answered when it has come to its end."""
        if self._listening.pop(path, None) is not None:
            return
        if self._timers.stop(path):
            return
        if self._backlog.withdraw(path):
            self._events.append(Stopped(path=path))
        elif path not in self._interrupted and (task := self._running.get(path)) is not None:
            self._interrupted.add(path)
            task.cancel()

    def _interrupt_all(self) -> None:
        for path, task in list(self._running.items()):
            if path not in self._interrupted:
                self._interrupted.add(path)
                task.cancel()

    # Waits

    def _due(self, path: str) -> None:
        if self._outcome is None:
            self._feed((Due(path=path),), lane=False)

    async def _look_at_clock(self) -> None:
        """Go by the records: what is still to be waited for by the clock may be less than it was to be."""
        known = self._timers.under_way()
        try:
            records = await self._history()
        except (FenceLost, _Stopped):
            return  # who runs something for the instance, or parks it, learns of it, too
        finally:
            self._looking = None
        self._timers.hasten(records, known)
        self._note_change()

    def _drop_waits(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._timers.stop_all()
        self._listening.clear()

    # Lanes

    async def _lane(self, first: Work | None) -> None:
        """Perform one thing after the other, until nothing is ready that nobody has begun."""
        if first is not None and self._outcome is None:
            await self._perform(first)
        while self._backlog and self._outcome is None:
            _, action = self._backlog.take()
            await self._perform(action)

    def _spread(self, beginning: int) -> None:
        """Make lanes for what is ready beyond what `beginning` lanes are about to take."""
        while self._outcome is None and not self._giving_up and len(self._backlog) > beginning:
            if len(self._lanes) + 1 >= self._lanes_max:
                break
            path, action = self._backlog.take()
            lane = asyncio.get_running_loop().create_task(self._lane(action))
            self._lanes[lane] = None
            self._running[path] = lane
            lane.add_done_callback(partial(self._lane_done, path))

    def _lane_done(self, path: str, lane: asyncio.Task[None]) -> None:
        self._lanes.pop(lane, None)
        # A lane that was cancelled before it began has not cleaned up.
        began = self._running.get(path) is not lane
        if not began:
            del self._running[path]
            if path in self._interrupted:
                self._interrupted.discard(path)
                if self._outcome is None:
                    self._feed((Stopped(path=path),), lane=False)
        if not lane.cancelled() and (problem := lane.exception()) is not None:
            self._crash = self._crash or problem
            self._outcome = self._outcome or Outcome.RELEASED
            self._interrupt_all()
        # What it would have gone on with, had it not been cancelled.
        self._spread(0)
        self._note_change()

    async def _perform(self, action: Work) -> None:
        """Do one thing and tell the core. Returns early, and silently, when the driver has to stop."""
        path = key_of(action)
        step_id = self._step_of(path)
        if step_id is None:
            return  # what has happened since it was asked for has made it needless
        task = current_task()
        cancels = task.cancelling()
        self._running[path] = task
        came: Came | None = None
        lost = interrupted = False
        try:
            if self._recorder is not None and self._recorder.behind:
                await self._written()
                if self._outcome is not None:
                    raise _Stopped
            came = await self._performer.perform(action, step_id)
        except asyncio.CancelledError:
            if path not in self._interrupted:
                raise
        except FenceLost:
            lost = True
        except _Stopped:
            pass
        finally:
            if path in self._interrupted:
                self._interrupted.discard(path)
                interrupted = True
                task.uncancel()
            unknown = interrupted and came is None and not lost
            if not unknown:
                del self._running[path]
        if unknown:
            came, lost = await self._came_of(action)
        if lost:
            self._outcome = Outcome.LOST if self._outcome is not Outcome.ENDED else self._outcome
            self._interrupt_all()
        elif came is not None and came.finished:
            self._outcome = Outcome.ENDED
        elif came is not None and self._outcome is not Outcome.ENDED:
            self._backlog.performed(action)
            self._feed((*came.events, Called()) if is_news(action, came) else came.events, lane=True)
        if task.cancelling() > cancels:
            # Somebody outside cancelled us too, and a port or the lines above have swallowed it.
            raise asyncio.CancelledError

    async def _came_of(self, action: Work) -> tuple[Came | None, bool]:
        """What came of what was interrupted, for the core; nothing when the driver itself has to stop."""
        path = key_of(action)
        try:
            if self._outcome is not None:
                return None, False
            if isinstance(action, Interruptible):
                return Came((await self._performer.came_of(action),)), False
            await self._performer.settled()
            return Came((Stopped(path=path),)), False
        except FenceLost:
            return None, True
        except _Stopped:
            return None, False
        except asyncio.CancelledError:
            if path not in self._interrupted:
                raise
            return None, False
        finally:
            if path in self._interrupted:
                self._interrupted.discard(path)
                current_task().uncancel()
            del self._running[path]

    def _step_of(self, path: str) -> str | None:
        assert self._state is not None
        return step_of(self._state, path)

    async def _pause(self, seconds: float) -> None:
        """Wait. Raises _Stopped, at once, when the driver is to come to its end."""
        if self._outcome is not None:
            raise _Stopped
        await self._naps.nap(seconds)
        if self._outcome is not None:
            raise _Stopped
