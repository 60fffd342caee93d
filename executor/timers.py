"""The waits of an instance that are under way, each a task that holds nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from dfc.executor.journal import Positioned, Record, Retrying, Timed


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A wait under way: the task that waits, and until when by the loop's clock."""

    task: asyncio.Task[None]
    until: float


class Timers:
    """Waits by path.

    Args:
        wait: what passes the time.
        due: told the path of a wait that is over, when it is not under way any more.
    """

    def __init__(self, wait: Callable[[float], Awaitable[None]], due: Callable[[str], None]) -> None:
        self._wait = wait
        self._due = due
        self._waiting: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, path: str, seconds: float) -> None:
        """Wait; an earlier wait of this path does not count any more."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._waits(path, seconds))
        self._waiting[path] = Waiting(task, loop.time() + seconds)

    def stop(self, path: str) -> bool:
        """Whether it was under way; then nobody is told of it any more."""
        waiting = self._waiting.pop(path, None)
        if waiting is not None:
            waiting.task.cancel()
        return waiting is not None

    def stop_all(self) -> None:
        """Wait for nothing any more."""
        for waiting in self._waiting.values():
            waiting.task.cancel()
        self._waiting.clear()

    def first(self) -> tuple[str, float]:
        """The wait that is over first, and in how many seconds. There has to be one."""
        path, waiting = min(self._waiting.items(), key=lambda item: item[1].until)
        return path, waiting.until - asyncio.get_running_loop().time()

    def under_way(self) -> Mapping[str, Waiting]:
        """Those that are under way now, for `hasten`."""
        return dict(self._waiting)

    def hasten(self, records: Sequence[Record], known: Mapping[str, Waiting]) -> None:
        """Go by the records: waits that were `known` when they were read may be over earlier."""
        now = asyncio.get_running_loop().time()
        for record in records:
            if not isinstance(record, Timed | Positioned | Retrying):
                continue
            waiting, left = self._waiting.get(record.path), max(0.0, record.seconds)
            if waiting is not None and waiting is known.get(record.path) and now + left < waiting.until:
                waiting.task.cancel()
                self.start(record.path, left)

    async def _waits(self, path: str, seconds: float) -> None:
        await self._wait(seconds)
        waiting = self._waiting.get(path)
        if waiting is not None and waiting.task is asyncio.current_task():
            del self._waiting[path]
            self._due(path)
