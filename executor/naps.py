"""Pauses in the middle of something, such as between two attempts to reach the database, cut short on demand.

Whoever naps is a task that may be cancelled by others, too: with the same care as `asyncio.timeout` takes,
only the cancel that was meant to wake it is swallowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Naps:
    """The naps of an instance's tasks. `wait` passes the time."""

    def __init__(self, wait: Callable[[float], Awaitable[None]]) -> None:
        self._wait = wait
        # Ordered, so that a simulated run depends on its seed alone.
        self._asleep: dict[asyncio.Task[object], None] = {}
        self._roused: set[asyncio.Task[object]] = set()

    async def nap(self, seconds: float) -> None:
        """Return when the time is over, or at once when all are woken."""
        task = current_task()
        self._asleep[task] = None
        try:
            await self._wait(seconds)
        except asyncio.CancelledError:
            if task not in self._roused:
                raise
        finally:
            self._asleep.pop(task, None)
            if task in self._roused:
                self._roused.discard(task)
                task.uncancel()

    def wake_all(self) -> None:
        """Cut short whatever naps now. May be said again."""
        for task in self._asleep:
            if task not in self._roused:
                self._roused.add(task)
                task.cancel()


def current_task() -> asyncio.Task[object]:
    """The task that asks."""
    task = asyncio.current_task()
    assert task is not None
    return task
