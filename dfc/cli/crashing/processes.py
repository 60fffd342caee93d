"""Workers as processes of their own that can be told where to die.

They are forked from a server that has everything imported, which takes 20 ms instead of a second; each is a
process, and its death is SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any, Final

from dfc.executor.crashpoints import ENDED, Point
from dfc.executor.embedded import EmbeddedError, reset
from dfc.executor.runners.http_mock import HttpMock
from dfc.executor.worker import Worker, WorkerSettings, run_until_signal

POLL_SECONDS: Final = 0.05
CLEANING_SECONDS_MAX: Final = 60
SERVER: Final = "server"
"""The folder of the embedded database in a scratch folder."""

_context = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A point of a run, told from others like it.

    `called`: it belongs to another workflow than the one under test, one that this has called. `count` is the
    how-manieth it was of those that look the same.
    """

    point: Point
    called: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a worker needs to know. `trace` gets a line for each point; it dies right behind `die_at`.

    Behind `late_at` it does nothing for `late_seconds`, and then goes on.
    """

    database: str
    instance: str
    trace: Path
    log: Path
    mock: HttpMock | None = None
    hosts: tuple[str, ...] = ()
    die_at: Passed | None = None
    late_at: Passed | None = None
    late_seconds: float = 0.0


Body = Callable[[Orders], None]
"""What a worker process does; the tests have one that is broken on purpose."""


class Dying:
    """The Crashpoints of a crash test: writes down what has been passed, and dies where it is told to."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._counts: Counter[tuple[Point, bool]] = Counter()
        self._trace = os.open(orders.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def passed(self, instance: str, point: Point) -> None:
        """See `executor.crashpoints`."""
        called = instance != self._orders.instance
        self._counts[point, called] += 1
        found = Passed(point=point, called=called, count=self._counts[point, called])
        dies = found == self._orders.die_at
        line = {**asdict(point), "called": called, "count": found.count, "dies": dies}
        os.write(self._trace, json.dumps(line).encode() + b"\n")
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if found == self._orders.late_at:
            time.sleep(self._orders.late_seconds)  # of the whole worker, but for its heartbeat

    def ended(self, instance: str) -> None:
        """See `executor.crashpoints`. Whether an end rides along or commits by itself is a matter of chance.

        So this is a point only where the undisturbed run had one, and something is to happen behind it.
        """
        if any(at is not None and at.point == ENDED for at in (self._orders.die_at, self._orders.late_at)):
            self.passed(instance, ENDED)


def read_trace(path: Path) -> tuple[list[Passed], bool]:
    """What has been passed, in order, and whether the last of it was where the worker died."""
    if not path.exists():
        return [], False
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    ends = [(line.pop("called"), line.pop("count"), line.pop("dies")) for line in lines]
    passed = [
        Passed(point=Point(**line), called=called, count=count)
        for line, (called, count, _) in zip(lines, ends, strict=True)
    ]
    return passed, bool(ends) and ends[-1][2]


def work(orders: Orders) -> None:
    """Be a worker: `dfc worker` on the database of the orders."""
    settings = WorkerSettings(
        database=orders.database,
        poll_seconds=POLL_SECONDS,
        allow_hosts=orders.hosts,
        http_mock=orders.mock,
    )
    asyncio.run(run_until_signal(Worker(settings, crashpoints=Dying(orders))))


def _begin(body: Body, orders: Orders) -> None:
    os.setsid()  # Ctrl-C is for the command, which ends its workers
    log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", force=True)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, name="dfc-parent-watch", daemon=True).start()
    body(orders)


def _clean_up(folder: Path, sockets: Path) -> None:
    """Outlive the command, and remove what it has left: nobody else knows of the server in `folder`.

    `sockets` is where the server of the processes listens.
    """
    os.setsid()
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    shutil.rmtree(sockets, ignore_errors=True)
    deadline = time.monotonic() + CLEANING_SECONDS_MAX
    while folder.exists() and time.monotonic() < deadline:
        with contextlib.suppress(EmbeddedError, OSError):
            reset(folder / SERVER)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            # initdb outlives the command, too, and still writes.
            time.sleep(POLL_SECONDS)


def spawn(body: Body, orders: Orders) -> ForkServerProcess:
    """Start a worker."""
    process = _context.Process(target=_begin, args=(body, orders), name="dfc-crashtest-worker")
    process.start()
    return process


def spawn_janitor(folder: Path) -> ForkServerProcess:
    """Start the process that removes a scratch folder when this one has gone without doing so."""
    _context.set_forkserver_preload([__name__])
    # A daemon: a command that is interrupted right here does not wait for what waits for its end.
    sockets = Path(get_temp_dir())
    process = _context.Process(
        target=_clean_up, args=(folder, sockets), name="dfc-crashtest-janitor", daemon=True
    )
    # Ctrl-C is for the command alone, also while the server of the processes begins, which takes a second.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process
