"""The life of a worker in the eyes of the others: its row, its advisory lock, its heartbeat.

A thread with a connection of its own, so that neither a busy event loop nor a slow query delays a beat. The
session advisory lock is taken on this connection: when the process dies, the server frees it at once.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from dfc.executor.connections import conninfo_for
from dfc.executor.queries import query

BEATS_A_LEASE: Final = 3
UNREGISTER_SECONDS_MAX: Final = 5.0
ANSWER_LEASES_MAX: Final = 2
ANSWER_SECONDS_MIN: Final = 3.0
"""After so many leases, and so many seconds, without an answer the connection is given up: it may hang."""
CLOCK_STEP_SECONDS: Final = 1.0
"""By how much the clock has to have been set to be noticed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a worker says of itself. Without `queues` it serves all of them."""

    host: str
    pid: int
    version: str
    compiler_version: int
    plan_formats: tuple[int, ...]
    lease_seconds: float
    slots: int
    roles: tuple[str, ...]
    queues: tuple[str, ...] = ()


class Heartbeat:
    """Registers a worker and keeps it registered.

    `on_lost` is called once, from the heartbeat's thread, with the reason, when the registration is gone:
    the connection was lost, or another worker has declared this one dead. `on_clock` is called from there,
    too, when the database's clock has been set: with the seconds, over zero where it was set forward.
    """

    def __init__(
        self,
        conninfo: str,
        registration: Registration,
        on_lost: Callable[[str], None],
        on_clock: Callable[[float], None],
    ) -> None:
        self._conninfo = conninfo_for(conninfo, application="dfc heartbeat", steps=False)
        self._registration = registration
        self._on_lost = on_lost
        self._on_clock = on_clock
        self._offsets: tuple[float, float] | None = None
        self._stopping = threading.Event()
        self._unregister = False
        self._ready = threading.Event()
        self._failure: psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, name="dfc heartbeat", daemon=True)
        self.worker: int = 0
        self.others: bool = True
        """Whether there are other workers, as far as the last beat has seen."""

    def start(self) -> int:
        """Register; returns the worker's id. Blocks. Raises psycopg.Error."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self.worker

    def stop(self, *, unregister: bool) -> None:
        """End the thread; with `unregister`, what the worker holds is up for take-over at once. Blocks."""
        self._unregister = unregister
        self._stopping.set()
        self._thread.join(UNREGISTER_SECONDS_MAX)

    def _run(self) -> None:
        try:
            connection: psycopg.Connection[Any] = psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.Error as error:
            self._failure = error
            self._ready.set()
            return
        try:
            self._live(connection)
        finally:
            connection.close()

    def _live(self, connection: psycopg.Connection[Any]) -> None:
        try:
            self.worker = self._register(connection)
        except psycopg.Error as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        reason: str | None = None
        while reason is None and not self._stopping.wait(self._registration.lease_seconds / BEATS_A_LEASE):
            reason = self._beat(connection)
        if reason is not None:
            self._on_lost(reason)
        elif self._unregister:
            try:
                connection.execute("SELECT df._unregister_worker(%s)", [self.worker])
            except psycopg.Error as error:
                _log.warning("could not unregister worker=%s error=%s", self.worker, error)

    def _register(self, connection: psycopg.Connection[Any]) -> int:
        said = self._registration
        with self._patience(connection):
            return self._say(connection, said)

    def _say(self, connection: psycopg.Connection[Any], said: Registration) -> int:
        row = connection.execute(
            "SELECT df._register_worker(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                said.host,
                said.pid,
                said.version,
                said.compiler_version,
                list(said.plan_formats),
                said.lease_seconds,
                said.slots,
                list(said.roles),
                list(said.queues) or None,
            ],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _beat(self, connection: psycopg.Connection[Any]) -> str | None:
        """Why the registration is gone; None while it stands."""
        sent = time.monotonic()
        try:
            with self._patience(connection):
                row = connection.execute(query("heartbeat").encode(), [self.worker, self.worker]).fetchone()
        except psycopg.OperationalError as error:
            if time.monotonic() - sent >= self._patience_seconds:
                return f"the heartbeat had no answer for {self._patience_seconds:g} s"
            return f"the heartbeat's connection was lost: {error}"
        except psycopg.Error as error:
            return f"the heartbeat failed: {error}"
        if row is None or row[0] is not True:
            return "another worker has declared this one dead"
        self.others = bool(row[2])
        self._look_at_clock(float(row[1]), sent)
        return None

    @property
    def _patience_seconds(self) -> float:
        return max(self._registration.lease_seconds * ANSWER_LEASES_MAX, ANSWER_SECONDS_MIN)

    @contextlib.contextmanager
    def _patience(self, connection: psycopg.Connection[Any]) -> Generator[None]:
        """Hang up when an answer does not come in time; whoever waits for it gets an OperationalError.

        Where the network has swallowed a connection, and something on the way still acknowledges what is
        sent, nothing else would end it.
        """
        timer = threading.Timer(self._patience_seconds, _hang_up, [connection.fileno()])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _look_at_clock(self, clock: float, sent: float) -> None:
        """Whether the clock that has answered was set since the last beat: it was read after `sent`.

        What lies between it and ours is known to the time that the answer took. It changes, too, where our
        own stands still while the machine sleeps.
        """
        least, most = clock - time.monotonic(), clock - sent
        before, self._offsets = self._offsets, (least, most)
        if before is None:
            return
        if least - before[1] > CLOCK_STEP_SECONDS:
            self._on_clock(least - before[1])
        elif before[0] - most > CLOCK_STEP_SECONDS:
            self._on_clock(most - before[0])


def _hang_up(number: int) -> None:
    """End a connection under the hands of who waits for it. `number` is its file descriptor."""
    with contextlib.suppress(OSError), socket.fromfd(number, socket.AF_UNIX, socket.SOCK_STREAM) as own:
        own.shutdown(socket.SHUT_RDWR)
