"""Runs of one workflow on copies of one database: undisturbed ones, and ones whose worker is killed."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import SIGKILL
from typing import Final, Literal

from dfc.cli.crashing.processes import Body, Orders, Passed, read_trace, spawn
from dfc.cli.crashing.scratch import Scratch
from dfc.cli.crashing.state import End
from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.cli.queries import query
from dfc.executor.runners.http_mock import HttpMock, LedgerLine, read_ledger

LOOK_SECONDS: Final = 0.02
GRACE_SECONDS: Final = 1.0
"""How long after the end of everything a worker may still come to the point where it is to die."""

STOP_SECONDS_MAX: Final = 15.0
"""How long a worker may take to write down what it has done last, when it is asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Where a worker is to die.

    `after` a point: between its commit and whatever follows. `inside` a step: its statement has been run, or
    its request answered, and the transaction that records it is about to commit.
    """

    where: Literal["after", "inside"]
    passed: Passed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """How the workflow stands; `over`: it and all that it has started have ended."""

    end: End
    over: bool
    waits_for: str | None


@dataclass(slots=True, kw_only=True)
class Run:
    """What a run has come to. Its database stays until somebody drops it.

    `fired`: the worker has died where it was to die. `end` is None where the workflow has not ended. `same`:
    nothing of it differs from an undisturbed run; then its database is gone.
    """

    database: str
    end: End | None
    seconds: float
    passed: list[Passed] = field(default_factory=list[Passed])
    asked: list[LedgerLine] = field(default_factory=list[LedgerLine])
    kill: Kill | None = None
    fired: bool = False
    waits_for: str | None = None
    same: bool = False


Differs = Callable[[Run, Connection], bool]
"""Whether a run, in its database, has come to something else than an undisturbed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and how runs are made: copies of `template`, in which `instance` waits for its first worker."""

    scratch: Scratch
    template: str
    instance: str
    mock: HttpMock | None
    hosts: tuple[str, ...]
    body: Body

    def undisturbed(self, seconds_max: float, *, shifted: bool = False) -> Run:
        """A run without a kill; `shifted`: sequences give other numbers than in others."""
        with self._on_copy() as (database, connection, files):
            if shifted:
                connection.execute(query("crashtest_shift"))
            return self._to_the_end(database, connection, files, None, seconds_max)

    def late(self, at: Passed, seconds: float, seconds_max: float) -> Run:
        """A run without a kill, whose worker does nothing for some time behind a point."""
        with self._on_copy() as (database, connection, files):
            return self._to_the_end(database, connection, files, None, seconds_max, late=(at, seconds))

    def killed(self, kill: Kill, seconds_max: float, differs: Differs) -> Run:
        """A run whose first worker is killed, and whose second one does the rest.

        Where it does not differ its database is dropped.
        """
        with self._on_copy() as (database, connection, files):
            died = self._after if kill.where == "after" else self._inside
            began = time.monotonic()
            fired = died(database, connection, files, kill.passed, seconds_max)
            run = self._to_the_end(database, connection, files, kill, seconds_max)
            run.fired = fired
            run.seconds = time.monotonic() - began
            run.same = not differs(run, connection)
        if run.same:
            self.scratch.drop(database)
        return run

    def _after(
        self, database: str, connection: Connection, files: Path, passed: Passed, seconds_max: float
    ) -> bool:
        """A worker that kills itself right behind a point."""
        with self._worker(database, files, passed) as (orders, process):
            deadline = time.monotonic() + seconds_max
            while process.exitcode is None and time.monotonic() < deadline:
                process.join(LOOK_SECONDS)
                if process.exitcode is None and self._look(connection).over:
                    process.join(GRACE_SECONDS)
                    break
            return read_trace(orders.trace)[1] and process.exitcode == -SIGKILL

    def _inside(
        self, database: str, connection: Connection, files: Path, passed: Passed, seconds_max: float
    ) -> bool:
        """A worker that is killed while the transaction that records the step is held at its commit."""
        held = False
        gate = {
            "path": passed.point.held,
            "failing": passed.point.failing,
            "instance": self.instance,
            "called": passed.called,
        }
        connection.execute(query("crashtest_hold"), gate)
        try:
            with self._worker(database, files, None) as (_, process):
                deadline = time.monotonic() + seconds_max
                while not held and process.exitcode is None and time.monotonic() < deadline:
                    process.join(LOOK_SECONDS)
                    row = connection.execute(query("crashtest_held")).fetchone()
                    held = bool(row and row[0])
                    if not held and self._look(connection).over:
                        break
                alive = process.exitcode is None
                process.kill()
                process.join()
                held = held and alive and process.exitcode == -SIGKILL
        finally:
            connection.execute(query("crashtest_let_go"))
        return held

    def _to_the_end(
        self,
        database: str,
        connection: Connection,
        files: Path,
        kill: Kill | None,
        seconds_max: float,
        *,
        late: tuple[Passed | None, float] = (None, 0.0),
    ) -> Run:
        began = time.monotonic()
        with self._worker(database, files, None, last=True, late=late) as (orders, process):
            standing = self._look(connection)
            while not standing.over and time.monotonic() < began + seconds_max:
                if process.exitcode is not None:
                    raise CliError(
                        f"a worker of the crash test has ended by itself: {_last_line(orders.log)}"
                    )
                time.sleep(LOOK_SECONDS)
                standing = self._look(connection)
            if kill is None:
                # The end has committed, and may not be written down yet.
                process.terminate()
                process.join(STOP_SECONDS_MAX)
            passed = read_trace(orders.trace)[0] if kill is None else []
            asked = (
                [] if orders.mock is None or orders.mock.ledger is None else read_ledger(orders.mock.ledger)
            )
        return Run(
            database=database,
            end=standing.end if standing.over else None,
            seconds=time.monotonic() - began,
            passed=passed,
            asked=asked,
            kill=kill,
            waits_for=standing.waits_for,
        )

    @contextlib.contextmanager
    def _on_copy(self) -> Generator[tuple[str, Connection, Path]]:
        with self.scratch.copy(self.template) as (database, connection):
            files = self.scratch.folder / database
            files.mkdir()
            yield database, connection, files

    @contextlib.contextmanager
    def _worker(
        self,
        database: str,
        files: Path,
        die_at: Passed | None,
        *,
        last: bool = False,
        late: tuple[Passed | None, float] = (None, 0.0),
    ) -> Generator[tuple[Orders, ForkServerProcess]]:
        orders = Orders(
            database=self.scratch.conninfo(database),
            instance=self.instance,
            trace=files / ("last" if last else "first"),
            log=files / "worker.log",
            mock=None if self.mock is None else self.mock.noting(files / "requests"),
            hosts=self.hosts,
            die_at=die_at,
            late_at=late[0],
            late_seconds=late[1],
        )
        process = spawn(self.body, orders)
        try:
            yield orders, process
        finally:
            process.kill()
            process.join()

    def _look(self, connection: Connection) -> _Standing:
        row = connection.execute(query("crashtest_state"), {"id": self.instance}).fetchone()
        assert row is not None
        status, result, error, over, waits_for = row
        end = End(
            status=status,
            result=None if result is None else json.loads(result),
            error=None if error is None else json.loads(error),
        )
        return _Standing(end=end, over=over, waits_for=waits_for)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"
