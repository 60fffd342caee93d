"""A server in front of PostgreSQL that loses connections at a chosen moment, counted in messages."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SOCKET = ".s.PGSQL.5432"
_READY = b"Z\x00\x00\x00\x05"
"""How PostgreSQL says that all of a message is done."""


class Cut(Enum):
    """Where a connection is lost.

    BEFORE PostgreSQL gets a message. AFTER it has answered: the answer is not delivered. BETWEEN two
    statements of the message; each end of one counts, also the last: PostgreSQL has run it, and does not know
    that this was all. ALL: with the message under way, and all other connections at the same moment. UNSEEN:
    with the message under way, on the client's side alone; PostgreSQL is not told, and goes on.
    """

    BEFORE = "before"
    AFTER = "after"
    BETWEEN = "between the statements of"
    ALL = "all"
    UNSEEN = "unseen"


class Proxy:
    """Passes everything on until `arm` says otherwise. A context manager; serves from a thread of its own.

    What a client writes at once counts as one message, whichever connection it comes on.
    """

    def __init__(self, database: str) -> None:
        given = conninfo_to_dict(database)
        self._target = f"{given['host']}/{_SOCKET}"
        self.folder = Path(tempfile.mkdtemp(prefix="dfcp", dir="/tmp"))
        self.database = make_conninfo(database, host=str(self.folder))
        self.cuts = 0
        self.on_cut: Callable[[], None] = lambda: None
        """Called at the moment of the loss: before the message is passed on, or when its answer has come."""
        self._left: int | None = None
        self._cut = Cut.BEFORE
        self._part = 0
        self._texts: tuple[bytes, ...] = ()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder)

    def arm(self, message: int, cut: Cut, *texts: bytes) -> None:
        """Lose the connection on which the `message`-th message with all these texts comes (from 0)."""
        self._cut, self._left, self._texts = cut, message, texts

    def disarm(self) -> None:
        """Lose nothing any more."""
        self._left = None

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._client, str(self.folder / _SOCKET))
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._drop(*self._writers)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _travel(self, client: asyncio.StreamWriter) -> None:
        """What everything of a client goes through on its way, in both directions. Here nothing."""

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._travel(writer)
        upstream, downstream = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, downstream}
        muted = asyncio.Event()
        back = asyncio.create_task(self._back(upstream, writer, downstream, muted))
        try:
            while chunk := await reader.read(1 << 20):
                await self._travel(writer)
                match self._due(chunk):
                    case None:
                        downstream.write(chunk)
                    case Cut.BEFORE:
                        self.on_cut()
                        self._drop(writer, downstream)
                    case Cut.BETWEEN:
                        downstream.write(chunk[: self._part])
                        await downstream.drain()
                        self.on_cut()
                        self._drop(writer, downstream)
                    case Cut.AFTER:
                        muted.set()
                        downstream.write(chunk)
                    case Cut.ALL:
                        downstream.write(chunk)
                        await downstream.drain()
                        self._drop(*self._writers)
                    case Cut.UNSEEN:
                        downstream.write(chunk)
                        self._drop(writer)
                        await self._stop.wait()
        except OSError:
            pass
        finally:
            self._drop(downstream)
            await back
            self._drop(writer)
            self._writers -= {writer, downstream}

    async def _back(
        self,
        upstream: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        downstream: asyncio.StreamWriter,
        muted: asyncio.Event,
    ) -> None:
        try:
            while chunk := await upstream.read(1 << 20):
                await self._travel(writer)
                if muted.is_set():
                    if _READY not in chunk:
                        continue  # PostgreSQL has said something, and not yet that it is done
                    self.on_cut()
                    break
                writer.write(chunk)
        except OSError:
            pass
        self._drop(writer, downstream)

    def _due(self, chunk: bytes) -> Cut | None:
        if self._left is None or not all(text in chunk for text in self._texts):
            return None
        ends = _ends_of_statements(chunk) if self._cut is Cut.BETWEEN else [len(chunk)]
        if self._left >= len(ends):
            self._left -= len(ends)
            return None
        self._part = ends[self._left]
        self._left = None
        self.cuts += 1
        return self._cut

    def _drop(self, *writers: asyncio.StreamWriter) -> None:
        for writer in writers:
            writer.transport.abort()


def _ends_of_statements(chunk: bytes) -> list[int]:
    """Where in a message the statements end that PostgreSQL executes; empty where it cannot be read."""
    at = 0
    ends: list[int] = []
    while at + 5 <= len(chunk):
        kind = chunk[at : at + 1]
        at += 1 + int.from_bytes(chunk[at + 1 : at + 5], "big")
        if kind in (b"E", b"Q"):
            ends.append(at)
    return ends if at == len(chunk) else []
