"""An event loop without threads, sockets or a clock: a seeded choice among what is ready, and virtual time.

asyncio runs callbacks in the order of their registration. This loop takes any of them, which is a stronger
adversary: what holds here does not rely on that order. Every callback belongs to whoever was current when
it was made (a worker, or nobody: the database, the network). A worker that dies takes its callbacks with
it, between any two of them; one that is paused keeps them for later.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from asyncio import events
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

_T = TypeVar("_T")


class Owner:
    """Somebody whose callbacks live and die together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.paused = False
        self.kept: list[_Handle | _TimerHandle] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def __repr__(self) -> str:
        return self.name


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("OWNER", default=None)


class _Handle(asyncio.Handle):
    __slots__ = ("owner",)
    owner: Owner | None


class _TimerHandle(asyncio.TimerHandle):
    __slots__ = ("owner",)
    owner: Owner | None


class Stuck(AssertionError):
    """Nothing is left to do and the goal is not reached, or it takes for ever."""


class Loop(asyncio.AbstractEventLoop):
    """The loop. `before` is called ahead of each callback of an owner; it may kill or pause the owner."""

    def __init__(self, random: Random, *, disorder: float) -> None:
        self._random = random
        self._disorder = disorder
        self._time = 0.0
        self._count = 0
        self._ready: list[_Handle | _TimerHandle] = []
        self._timers: list[tuple[float, int, _TimerHandle]] = []
        self._contexts: dict[int, contextvars.Context] = {}
        self._graves: list[asyncio.Task[Any]] = []
        self.before: Callable[[Owner], None] | None = None
        self.problems: list[dict[str, Any]] = []
        self.steps = 0

    # What asyncio's tasks and futures ask of a loop

    def time(self) -> float:
        return self._time

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        context = context or contextvars.copy_context()
        handle = _Handle(callback, args, self, context)
        handle.owner = context.get(OWNER, None)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        context = context or contextvars.copy_context()
        handle = _TimerHandle(when, callback, args, self, context)
        handle.owner = context.get(OWNER, None)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._time + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        owner = (context.get(OWNER, None) if context is not None else None) or OWNER.get()
        if owner is not None:
            owner.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)

    # Running

    def run(
        self, main: Coroutine[Any, Any, _T], *, steps_max: int, idle_max: int, progress: Callable[[], int]
    ) -> _T:
        """Run until `main` returns.

        Raises Stuck after `steps_max` callbacks, or `idle_max` in which `progress` gave the same number.
        """
        events._set_running_loop(self)
        try:
            task = self.create_task(main)
            seen, idle_until = progress(), idle_max
            while not task.done():
                if (now := progress()) != seen:
                    seen, idle_until = now, self.steps + idle_max
                if self.steps >= steps_max or self.steps >= idle_until:
                    raise Stuck(f"no end after {self.steps} callbacks")
                self._once()
            return task.result()
        finally:
            events._set_running_loop(None)

    def _once(self) -> None:
        if not self._ready:
            if not self._timers:
                raise Stuck("nothing is left to do")
            self._time = max(self._time, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._time:
            self._ready.append(heapq.heappop(self._timers)[2])
        at = self._random.randrange(len(self._ready)) if self._random.random() < self._disorder else 0
        handle = self._ready.pop(at)
        if handle.cancelled():
            return
        owner = handle.owner
        if owner is not None:
            if self.before is not None and not owner.dead and not owner.paused:
                self.before(owner)
            if owner.dead:
                return
            if owner.paused:
                owner.kept.append(handle)
                return
        self.steps += 1
        handle._run()

    def kill(self, owner: Owner) -> None:
        """All coroutines of the owner vanish where they stand."""
        owner.dead = True
        owner.kept.clear()
        self._graves.extend(owner.tasks)

    def pause(self, owner: Owner, seconds: float) -> None:
        """The owner does nothing for a while, and then goes on as if no time had passed."""
        owner.paused = True
        contextvars.Context().run(self.call_later, seconds, self._resume, owner)

    def _resume(self, owner: Owner) -> None:
        owner.paused = False
        self._ready.extend(owner.kept)
        owner.kept.clear()

    def bury(self, owners: list[Owner]) -> None:
        """Close what the dead have left, so that nothing of it runs when Python collects it."""
        events._set_running_loop(self)
        try:
            for owner in owners:
                self._graves.extend(owner.tasks)
            for task in self._graves:
                coroutine: Any = task.get_coro()
                for _ in range(20):
                    try:
                        coroutine.close()
                        break
                    except (RuntimeError, ValueError):
                        # It awaits something while it is being closed, as `finally` may.
                        continue
                    except BaseException:
                        break
        finally:
            events._set_running_loop(None)
