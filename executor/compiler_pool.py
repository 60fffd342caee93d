"""Compiler processes of a command, without an event loop: each file goes to one that is idle.

They start at once, and load the compiler while the caller still reads. A text that kills its process is
answered with DF590, and the process is replaced.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Generator, Sequence
from typing import Final

from dfc.executor.compiler_child import (
    PROCESS_SECONDS_MAX,
    REPLY_BYTES_MAX,
    TOO_LONG,
    Asking,
    CompilerUnavailable,
    Died,
    FileReply,
    FormatReply,
    Json,
    end_of,
    file_reply,
    format_reply,
    parse,
    started,
    stop,
)
from dfc.executor.limits import COMPILE_SECONDS_MAX

WATCH_SECONDS: Final = 0.5
"""How often it is looked whether a process takes too long."""


@contextlib.contextmanager
def compilers(
    count: int = 1, *, seconds_max: float = COMPILE_SECONDS_MAX, schema: Sequence[str] = ()
) -> Generator[Compilers]:
    """So many compiler processes, or as many as can be started; they are gone afterwards.

    They know the DDL in the files `schema`. Raises CompilerUnavailable.
    """
    pool = Compilers(count, seconds_max, schema)
    try:
        yield pool
    finally:
        pool.close()


class Compilers:
    """A row of compiler processes. Used from any thread."""

    def __init__(self, count: int, seconds_max: float, schema: Sequence[str] = ()) -> None:
        self._all = [_Child(seconds_max, schema)]
        with contextlib.suppress(CompilerUnavailable):
            for _ in range(count - 1):
                self._all.append(_Child(seconds_max, schema))
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        for child in self._all:
            self._idle.put(child)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def compile_file(self, name: str, text: str, *, durability: bool = False) -> FileReply:
        """Compile the text of a file, with reports on durability if wanted. Raises CompilerUnavailable."""
        request: Json = {"do": "compile_file", "name": name, "text": text, "durability": durability}
        return file_reply(self._ask(request, text))

    def format_file(self, name: str, text: str, *, sql: bool) -> FormatReply:
        """Lay out the text of a file, with `sql` also the SQL of its steps. Raises CompilerUnavailable."""
        request: Json = {"do": "format_file", "name": name, "text": text, "sql": sql}
        return format_reply(self._ask(request, text))

    def _ask(self, request: Json, text: str) -> Json:
        child = self._idle.get()
        try:
            return child.ask(request, text)
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """Stop the processes, whatever they are at."""
        self._closed.set()
        for child in self._all:
            child.close()

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            for child in self._all:
                child.stop_if_late()


class _Child:
    """One process at a time, replaced when it has died or done enough."""

    def __init__(self, seconds_max: float, schema: Sequence[str]) -> None:
        self._seconds_max = seconds_max
        self._schema = schema
        self._process = started(schema=schema)
        self._busy_seconds = 0.0
        self._number = 0
        self._since: float | None = None
        self._late = False
        self._closed = False

    def ask(self, request: Json, text: str) -> Json:
        """The answer to a request about a text. Raises CompilerUnavailable."""
        asking = Asking(request, text)
        while asking.answer is None:
            asking.took(self._once(asking.request))
        return asking.answer

    def close(self) -> None:
        """End the process, and begin none any more."""
        self._closed = True
        self._stop()

    def _stop(self) -> None:
        stop(self._process)

    def stop_if_late(self) -> None:
        """End the process if it has been at one text for too long."""
        since = self._since
        if since is not None and time.monotonic() - since > self._seconds_max:
            self._late = True
            self._process.kill()

    def _once(self, request: Json) -> Json | Died:
        if self._process.poll() is not None or self._busy_seconds > PROCESS_SECONDS_MAX / 2:
            self._replace()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        self._number += 1
        self._late = False
        line = json.dumps({"id": self._number, **request}).encode() + b"\n"
        self._since = began = time.monotonic()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline(REPLY_BYTES_MAX)
        except (OSError, ValueError):
            answer = b""
        finally:
            self._since = None
            self._busy_seconds += time.monotonic() - began
        reply = parse(answer, self._number)
        if reply is None:
            late = self._late
            why = end_of(process)
            self._replace()
            return Died(TOO_LONG if late else why)
        return reply

    def _replace(self) -> None:
        self._stop()
        if self._closed:
            raise CompilerUnavailable("the compiler processes have been stopped")
        self._process = started(schema=self._schema)
        self._busy_seconds = 0.0
        if self._closed:
            self._stop()
