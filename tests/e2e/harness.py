"""Workers as processes that can be killed, workflows that write a ledger, and the counting of it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.preloaded import Process, preloaded

Connection = psycopg.Connection[tuple[Any, ...]]

STEPS = ("first", "left", "right", "called 200", "last")
"""A workflow of the ledger: first, then left, right and an HTTP request at the same time, then last. All
refer to the result of `first`, and the response is written down too."""

WORKFLOW = """
SELECT df.start(
  df.step('first', $s$ INSERT INTO ledger SELECT nextval('runs'), 'first' RETURNING run $s$)
  ~> (df.step('left', $s$ INSERT INTO ledger SELECT $first, 'left' FROM pg_sleep(0.01) $s$)
      |=> df.step('right', $s$ INSERT INTO ledger SELECT $first, 'right' FROM pg_sleep(0.02) $s$)
      |=> df.step('call', $s$ SELECT df.http(%(url)s || $first, 'POST', '{}') $s$)
          ~> df.step('called', $s$ INSERT INTO ledger SELECT $first, 'called ' || $call.status $s$))
  ~> df.step('last', $s$ INSERT INTO ledger SELECT $first, 'last' RETURNING run $s$))
FROM generate_series(1, {count})
"""
"""Starts workflows. The ledger has no constraint, so an effect that happens twice is seen twice: a second
`first` takes a number of its own from the sequence, and shows as a run without the other steps."""


class WorkerProcess:
    """`dfc worker` as a child that is replaced when it dies; a context manager."""

    def __init__(self, database: str, arguments: Sequence[str] = ()) -> None:
        self._arguments = ["worker", "--stop-at-eof", *arguments]
        self._environment = {**os.environ, "DFC_DATABASE": database}
        self._process: Process | subprocess.Popen[bytes] | None = None
        self._stdin: int | None = None
        self.log = Path(tempfile.mkdtemp(prefix="dfc-e2e-")) / "worker.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start the process, unless it is alive."""
        if self.alive:
            return
        self._close()
        read, self._stdin = os.pipe()
        try:
            with self.log.open("ab") as log:
                self._process = self.spawn((read, log.fileno(), log.fileno()))
        finally:
            os.close(read)

    def spawn(self, streams: tuple[int, int, int]) -> Process | subprocess.Popen[bytes]:
        """The process, with these as its standard streams."""
        return preloaded().start(self._arguments, streams=streams, environment=self._environment)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> bool:
        """SIGKILL. Whether it was alive, so that a kill can be counted."""
        assert self._process is not None
        alive = self.alive
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._close()
        return alive

    def terminate(self, seconds_max: float = 30) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(seconds_max)
        self._close()
        return code

    def _close(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


def wait_until(condition: Callable[[], bool], seconds_max: float, what: str) -> None:
    """Return as soon as the condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds_max} s: {what}")
        time.sleep(0.01)


@contextlib.contextmanager
def connected(database: str) -> Generator[Connection]:
    """An autocommit connection."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def prepare(connection: Connection) -> None:
    """Make the ledger."""
    connection.execute("CREATE TABLE ledger (run bigint, step text)")
    connection.execute("CREATE SEQUENCE runs")


class Hooks:
    """An HTTP server that remembers who called: idempotency keys by path. A context manager."""

    def __init__(self) -> None:
        self.keys: dict[str, list[str]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.keys.setdefault(self.path, []).append(self.headers["Idempotency-Key"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # a caller was killed
                    super().handle()

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def faults(self, connection: Connection) -> list[str]:
        """Requests that were never sent, and repeated ones that the receiver could not tell from new ones."""
        rows = connection.execute("SELECT DISTINCT '/' || run FROM ledger WHERE step = 'last'").fetchall()
        paths = {str(path) for (path,) in rows}
        found = [f"{path}: {keys}" for path, keys in self.keys.items() if len(set(keys)) != 1]
        found += [f"{path} was never called" for path in sorted(paths - self.keys.keys())]
        found += [f"{path} was called for nothing" for path in sorted(self.keys.keys() - paths)]
        if len({keys[0] for keys in self.keys.values()}) != len(self.keys):
            found.append("two runs share a key")
        return found


def start(connection: Connection, count: int, hooks: Hooks) -> None:
    """Start this many workflows."""
    text = WORKFLOW.replace("{count}", str(count)).replace("%(url)s", f"'http://{hooks.host}/'")
    connection.execute(text.encode())


def ended(connection: Connection) -> int:
    """How many instances have ended."""
    row = connection.execute("SELECT count(*) FROM df.instances WHERE completed_at IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])


def unfenced(connection: Connection) -> bool:
    """Whether no instance is held by anybody."""
    return connection.execute("SELECT count(*) FROM df.fences").fetchone() == (0,)


def statuses(connection: Connection) -> dict[str, int]:
    """Instances by status."""
    rows = connection.execute("SELECT status, count(*) FROM df.instances GROUP BY status").fetchall()
    return {str(status): int(count) for status, count in rows}


def faults(connection: Connection, runs: int) -> list[str]:
    """Effects that are lost or happened more than once, as people read them. Empty: exactly once, all."""
    rows = connection.execute("SELECT run, array_agg(step ORDER BY step) FROM ledger GROUP BY run").fetchall()
    found = [f"run {run}: {steps}" for run, steps in rows if steps != sorted(STEPS)]
    if len(rows) != runs:
        found.append(f"{len(rows)} runs in the ledger, {runs} were started")
    return found


def chance(seed: int | None = None) -> random.Random:
    """A source of moments to kill at; the seed is printed, so that a failure can be tried again."""
    chosen = random.SystemRandom().randrange(2**32) if seed is None else seed
    print(f"seed {chosen}")  # noqa: T201 - pytest shows it when the test fails
    return random.Random(chosen)
