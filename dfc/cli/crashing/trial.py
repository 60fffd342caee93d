"""The trial of one workflow: undisturbed runs, all the kills, and what each has come to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from dfc.cli.crashing.bench import Bench, Differs, Kill, Run
from dfc.cli.crashing.choose import kills_of
from dfc.cli.crashing.processes import Passed
from dfc.cli.crashing.state import (
    Difference,
    End,
    Unstable,
    differences,
    differs,
    unstable_between,
)
from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.executor.runners.http import DENIED
from dfc.executor.runners.http_mock import LedgerLine

ATTEMPTS_MAX: Final = 3
"""How often a kill is tried whose moment does not come: another side of a race may have won."""

SECONDS_MORE: Final = 20.0
"""How much longer than twice an undisturbed run a run with a kill may take."""

LATE_RUNS_MAX: Final = 12
"""How many runs with a worker that is only late are made, to tell what a death does from what time does."""

LATE_RUNS_A_KILL: Final = 2
"""How many of these there are for one kill at most."""

LATE_SECONDS_LEAST: Final = 0.5
"""How late it is at least: a run with a kill may have taken no longer than one without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a trial may take. `wait_seconds_max` is for an undisturbed run."""

    wait_seconds_max: float
    kills_max: int
    jobs: int
    rows_shown_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A request that was sent more often than without a kill, under a key that it has without one, too."""

    method: str
    url: str
    times: int
    key: str | None
    same_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A kill, and what is not as it would have been without it."""

    kill: Kill
    fired: bool
    end: End | None
    differences: tuple[Difference, ...]
    repeated: tuple[Repeated, ...]

    @property
    def same(self) -> bool:
        """Whether the kill has made no difference."""
        return not self.differences


@dataclass(slots=True, kw_only=True)
class Trial:
    """What has come of a workflow. `left_out` boundaries were not tried, because they were too many.

    `unstable` differs by itself, `timely` when a worker is late: neither is compared.
    """

    name: str
    end: End
    boundaries: int
    left_out: int
    undisturbed_seconds: float
    seconds: float
    unstable: Unstable
    timely: Unstable
    tried: list[Tried]
    base: str = field(repr=False)

    @property
    def safe(self) -> bool:
        """Whether every kill has fired and none has made a difference."""
        return all(each.fired and each.same for each in self.tried)


def try_workflow(name: str, bench: Bench, limits: Limits, note: Callable[[int, int], None]) -> Trial:
    """Run a workflow undisturbed, then once for every kill. `note` is told how many are done, of how many.

    Raises CliError where it does not end undisturbed.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(limits.jobs) as pool:
        first = pool.submit(bench.undisturbed, limits.wait_seconds_max)
        second = pool.submit(bench.undisturbed, limits.wait_seconds_max, shifted=True)
        base, other = first.result(), second.result()
        base_end = _ended(base, limits)
        _require_answers(bench, base_end)
        unstable = _unstable(bench, base, other, limits)
        kills, left_out = kills_of(base.passed, limits.kills_max)
        seconds_max = 2 * base.seconds + SECONDS_MORE
        progress = _Progress(len(kills), note)

        with _connected(bench, base) as original:

            def differing(run: Run, connection: Connection) -> bool:
                return run.end is None or differs(original, connection, (base_end, run.end), unstable)

            def one(kill: Kill) -> Run:
                run = _one(bench, kill, seconds_max, differing)
                progress.one_more()
                return run

            runs = list(pool.map(one, kills))
    if not all(run.same for run in runs):
        # Much later than the others: what has differed because of the time is found out here.
        unstable.add(_unstable(bench, base, bench.undisturbed(limits.wait_seconds_max), limits))
    timely = _timely(bench, base, [run for run in runs if not run.same], unstable, limits)
    not_compared = Unstable()
    not_compared.add(unstable)
    not_compared.add(timely)
    tried = [_judge(bench, base, run, not_compared, limits.rows_shown_max) for run in runs]
    for run in runs:
        bench.scratch.drop(run.database)
    return Trial(
        name=name,
        end=base_end,
        boundaries=len(base.passed),
        left_out=left_out,
        undisturbed_seconds=base.seconds,
        seconds=time.monotonic() - began,
        unstable=unstable,
        timely=timely,
        tried=tried,
        base=base.database,
    )


class _Progress:
    def __init__(self, count: int, note: Callable[[int, int], None]) -> None:
        self._done, self._count, self._note = 0, count, note
        self._lock = threading.Lock()

    def one_more(self) -> None:
        with self._lock:
            self._done += 1
            self._note(self._done, self._count)


def _one(bench: Bench, kill: Kill, seconds_max: float, differing: Differs) -> Run:
    run = bench.killed(kill, seconds_max, differing)
    for _ in range(ATTEMPTS_MAX - 1):
        if run.fired:
            break
        bench.scratch.drop(run.database)
        run = bench.killed(kill, seconds_max, differing)
    return run


def _ended(run: Run, limits: Limits) -> End:
    if run.end is not None:
        return run.end
    waits = f" and waits for {run.waits_for}" if run.waits_for else ""
    raise CliError(
        f"undisturbed, the workflow has not ended within {limits.wait_seconds_max:g} s"
        f" (crashtest_wait_seconds_max){waits}: give what it waits for with --signal NAME, or more time with"
        " --wait SECONDS"
    )


def _require_answers(bench: Bench, end: End) -> None:
    """A request that the mock does not answer says nothing about the workflow. Raises CliError."""
    error: dict[str, Any] = end.error or {}
    if bench.mock is not None and error.get("sqlstate") == DENIED:
        hint = f" ({error['hint']})" if error.get("hint") else ""
        raise CliError(f"step `{error.get('step')}`: {error.get('message')}{hint}")


def _unstable(bench: Bench, base: Run, other: Run, limits: Limits) -> Unstable:
    """What differs by itself. Where other numbers of sequences lead elsewhere, they are left as they are."""
    found = _between(bench, base, other, limits)
    if found.tables or () in found.parts or ("status",) in found.parts:
        again = bench.undisturbed(limits.wait_seconds_max)
        found = _between(bench, base, again, limits)
    return found


def _between(bench: Bench, base: Run, other: Run, limits: Limits) -> Unstable:
    ends = _ended(base, limits), _ended(other, limits)
    with _both(bench, base, other) as (one, two):
        found = unstable_between(one, two, ends)
    bench.scratch.drop(other.database)
    return found


def _timely(bench: Bench, base: Run, unlike: list[Run], unstable: Unstable, limits: Limits) -> Unstable:
    """What differs, too, when nobody dies and a worker is as late as another one's death has made it."""
    found, known, left = Unstable(), Unstable(), LATE_RUNS_MAX
    known.add(unstable)
    for run in unlike:
        if run.end is None or run.kill is None:
            continue
        at = _before(base, run.kill)
        for number in range(1, LATE_RUNS_A_KILL + 1):
            if left == 0 or not _differs(bench, base, run, known):
                break
            left -= 1
            seconds = number * max(LATE_SECONDS_LEAST, run.seconds - base.seconds)
            late = bench.late(at, seconds, 2 * base.seconds + seconds + SECONDS_MORE)
            if late.end is None:
                bench.scratch.drop(late.database)
                continue
            more = _between(bench, base, late, limits)
            known.add(more)
            found.add(more)
    return found.without(unstable)


def _before(base: Run, kill: Kill) -> Passed:
    """The last point that a worker has passed when it is killed."""
    if kill.where == "after":
        return kill.passed
    return base.passed[max(0, base.passed.index(kill.passed) - 1)]


def _differs(bench: Bench, base: Run, run: Run, unstable: Unstable) -> bool:
    assert base.end is not None and run.end is not None
    with _both(bench, base, run) as (one, other):
        return differs(one, other, (base.end, run.end), unstable)


def _judge(bench: Bench, base: Run, run: Run, unstable: Unstable, shown_max: int) -> Tried:
    assert run.kill is not None and base.end is not None
    found: list[Difference] = []
    if run.end is None:
        waits = f", and waits for {run.waits_for}" if run.waits_for else ""
        line = f"has not ended within {run.seconds:.0f} s{waits}"
        found.append(Difference(table=None, missing=(), extra=(line,), missing_count=0, extra_count=1))
    elif not run.same:
        with _both(bench, base, run) as (one, other):
            found = differences(one, other, (base.end, run.end), unstable, shown_max)
    return Tried(
        kill=run.kill,
        fired=run.fired,
        end=run.end,
        differences=tuple(found),
        repeated=_repeated(base.asked, run.asked),
    )


def _repeated(before: list[LedgerLine], after: list[LedgerLine]) -> tuple[Repeated, ...]:
    """Requests that have come in more often than undisturbed."""
    usual = Counter((asked.method, asked.url, asked.key) for asked in before)
    now = Counter((asked.method, asked.url, asked.key) for asked in after)
    known = {key for _, _, key in usual} - {None}
    return tuple(
        Repeated(method=method, url=url, times=count, key=key, same_key=key in known)
        for (method, url, key), count in now.items()
        if count > usual[method, url, key]
    )


@contextlib.contextmanager
def _connected(bench: Bench, run: Run) -> Generator[Connection]:
    with psycopg.connect(bench.scratch.conninfo(run.database), autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def _both(bench: Bench, one: Run, other: Run) -> Generator[tuple[Connection, Connection]]:
    with _connected(bench, one) as first, _connected(bench, other) as second:
        yield first, second
