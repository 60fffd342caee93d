"""What the figures share: the server, the worker process, the clock."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from dfc.executor.embedded import EmbeddedServer
from dfc.executor.migrate import install

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `number` is the value that other figures relate to."""

    name: str
    value: str
    number: float
    note: str = ""


@dataclass(kw_only=True)
class Setup:
    """The place of a run. The server starts when a figure first needs it."""

    folder: Path
    workflows: int
    seconds: int
    items: int
    waiting: int
    rounds: int
    deaths: int
    kills: int
    minutes: int
    rate: int
    stack: contextlib.ExitStack
    results: dict[str, float] = field(default_factory=dict[str, float])

    @cached_property
    def server(self) -> EmbeddedServer:
        """A fresh embedded PostgreSQL with the schema, fsync on."""
        server = self.stack.enter_context(EmbeddedServer(self.folder / ".dfc"))
        install(server.conninfo)
        with connect(server.conninfo) as connection:
            connection.execute("CREATE TABLE facts (n int, step text)")
            row = connection.execute("SHOW fsync").fetchone()
            assert row == ("on",)
        return server

    @cached_property
    def worker(self) -> subprocess.Popen[str]:
        """One worker process with default settings, ready."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dfc", "worker", "--stop-at-eof"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DFC_DATABASE": self.server.conninfo},
        )
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the worker does not start")

        def stop() -> None:
            process.terminate()
            process.communicate(timeout=30)

        self.stack.callback(stop)
        return process


@contextlib.contextmanager
def setup(
    folder: Path,
    *,
    workflows: int,
    seconds: int,
    items: int,
    waiting: int,
    rounds: int,
    deaths: int,
    kills: int,
    minutes: int,
    rate: int,
) -> Generator[Setup]:
    """A place to measure in; server and worker are gone afterwards."""
    with contextlib.ExitStack() as stack:
        yield Setup(
            folder=folder,
            workflows=workflows,
            seconds=seconds,
            items=items,
            waiting=waiting,
            rounds=rounds,
            deaths=deaths,
            kills=kills,
            minutes=minutes,
            rate=rate,
            stack=stack,
        )


@contextlib.contextmanager
def connect(conninfo: str) -> Generator[Connection]:
    """An autocommit connection."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def process_seconds(command: Sequence[str], *, times: int = 5) -> float:
    """The median wall-clock time of a whole process."""
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def until(condition: Callable[[], bool], seconds_max: float, pause_seconds: float = 0.002) -> None:
    """Return when the condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds_max} s")
        time.sleep(pause_seconds)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def number(connection: Connection, query: LiteralString, *values: object) -> int:
    """The whole number that a query gives."""
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return int(row[0])


def memory(process: subprocess.Popen[str]) -> int:
    """Resident memory in KiB of a process, without its children."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():  # to start `ps` costs as much as four rounds of a loop
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
    listed = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, text=True, check=False
    )
    return int(listed.stdout.strip() or 0)
