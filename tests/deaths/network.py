"""A network between a worker and PostgreSQL that stands still, or is slow. No connection is closed by it."""

from __future__ import annotations

import asyncio
from types import TracebackType

from tests.executor.proxy import Proxy


class Network(Proxy):
    """A proxy whose connections can be made to hang: nobody gets a FIN, nothing arrives any more.

    `delay_seconds` is how long everything is under way, in each direction.
    """

    def __init__(self, database: str, *, delay_seconds: float = 0.0) -> None:
        super().__init__(database)
        self._delay_seconds = delay_seconds
        self._still: dict[asyncio.StreamWriter, asyncio.Event] = {}
        self._down = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.mend()
        super().__exit__(kind, error, trace)

    def cut(self, *, also_new: bool) -> None:
        """All connections that are hang from now on; with `also_new` those that are made, too."""
        self._loop.call_soon_threadsafe(self._cut_now, also_new)

    def mend(self) -> None:
        """What was held up arrives."""
        self._loop.call_soon_threadsafe(self._mend_now)

    def _cut_now(self, also_new: bool) -> None:
        self._down = also_new
        for event in self._still.values():
            event.clear()

    def _mend_now(self) -> None:
        self._down = False
        for event in self._still.values():
            event.set()

    async def _travel(self, client: asyncio.StreamWriter) -> None:
        if self._delay_seconds:
            await asyncio.sleep(self._delay_seconds)
        passing = self._still.get(client)
        if passing is None:
            passing = self._still[client] = asyncio.Event()
            if not self._down:
                passing.set()
        await passing.wait()
