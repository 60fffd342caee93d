"""Instances of which workers may have died: each runs in a process of its own, one at a time (ADR 0037).

A worker does no more than start that process, tell it what comes for the instance, and wait. The fence stays
the worker's, so that it knows who has died of what: the process alone, and it can say so in the instance. Who
has no part in it comes to its end in that process as in a worker.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from dfc.executor import limits, retry
from dfc.executor.compiler_child import ending
from dfc.executor.drive import Outcome
from dfc.executor.failures import FenceLost, Transient
from dfc.executor.plans import fail
from dfc.executor.runners.http_mock import HttpMock, written_mock
from dfc.executor.store import ClaimedInstance, PostgresStore

KILLS: Final = "DF591"
UNREACHABLE: Final = "unreachable"
"""What the process answers when it had no database: that is no death."""

TOKENS_MAX: Final = 64
"""How many tokens further the process may have come before it died."""

_T = TypeVar("_T")
_log = logging.getLogger("dfc.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class AloneSettings:
    """What the process needs of the worker's settings. `version` is what a journal is to name."""

    database: str
    version: str
    connections_max: int
    allow_hosts: tuple[str, ...]
    allow_loopback: bool
    http_mock: HttpMock | None = None


@dataclass(slots=True)
class Lost:
    """How often in a row the database went away in the turn of a suspect, and its last checkpoint then."""

    times: int = 0
    checkpoint: int | None = None


class Alone:
    """In the place of a `Driver`, for one suspect. `turn`: the lock that all suspects of the worker share.

    `lost` is what the worker's process remembers, by instance, when the database is back.
    """

    def __init__(
        self,
        claimed: ClaimedInstance,
        store: PostgresStore,
        settings: AloneSettings,
        turn: asyncio.Lock,
        lost: dict[str, Lost],
    ) -> None:
        self._claimed = claimed
        self._claim = claimed.claim
        self._store = store
        self._settings = settings
        self._turn = turn
        self._lost = lost
        self._released = False
        self._news: list[dict[str, Any]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[Any] | None = None

    async def run(self) -> Outcome:
        """As `Driver.run`: to the end of the instance, to its loss, its release, or until it is parked."""
        self._task = asyncio.current_task()
        try:
            if (lost := self._lost.get(self._claim.instance)) is not None:
                # The others first.
                await self._store.wait(retry.delay(self._claim.instance, "", lost.times))
            async with self._turn:
                return await self._run()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._released or self._process is not None or task is None:
                raise
            task.uncancel()
            return Outcome.RELEASED

    async def _run(self) -> Outcome:
        _log.warning("suspect instance=%s deaths=%s", self._claim.instance, self._claimed.deaths)
        deaths, before = 0, await self._last_checkpoint()
        lost = self._lost.setdefault(self._claim.instance, Lost(checkpoint=before))
        if lost.checkpoint != before:
            lost.times, lost.checkpoint = 0, before
        if lost.times >= limits.SUSPECT_LOSSES_MAX:
            await fail(self._store, self._claim, _loses(lost.times))
            self._forget()
            return Outcome.ENDED
        lost.times += 1  # When nothing is said any more, the database has gone, and this task with it.
        outcome = await self._in_turn(deaths, before)
        self._forget()
        return outcome

    def _forget(self) -> None:
        self._lost.pop(self._claim.instance, None)

    async def _in_turn(self, deaths: int, before: int | None) -> Outcome:
        while not self._released:
            answer = await self._once()
            with contextlib.suppress(ValueError):
                return Outcome(answer)
            await self._settle()
            if answer == UNREACHABLE:
                await self._pause()
                continue
            last = await self._last_checkpoint()
            deaths, before = (deaths + 1 if last == before else 1), last
            _log.warning("suspect died instance=%s deaths=%s reason=%s", self._claim.instance, deaths, answer)
            if deaths >= limits.SUSPECT_DEATHS_MAX:
                await fail(self._store, self._claim, _error(deaths, answer))
                return Outcome.ENDED
        return Outcome.RELEASED

    async def _once(self) -> str:
        """Run the process; what it has answered, or how it came to its end without an answer."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "dfc.executor.suspect_child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout is not None
        try:
            self._say(_given(self._claimed, self._settings))
            for news in self._news:
                self._say(news)
            line = await process.stdout.readline()
            code = await process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        finally:
            self._process = None
        with contextlib.suppress(ValueError):
            return str(json.loads(line))
        return ending(code)

    async def _settle(self) -> None:
        """Make what a dead process has sent come to nothing, if it has not committed by now.

        It may have changed the token itself, each time to the next one. A token that it can have used for
        nothing is two further than any that it had. Raises FenceLost.
        """
        moved = 0
        for _ in range(TOKENS_MAX):
            fresh = self._claim.next_token()
            try:
                await self._insist(partial(self._store.settle, self._claim, fresh))
                moved += 1
            except FenceLost:
                moved = 0
            self._claim.token = fresh
            if moved == 2:
                return
        raise FenceLost("the fence of a suspect is gone")

    async def _last_checkpoint(self) -> int | None:
        return await self._insist(partial(self._store.last_checkpoint, self._claim.instance))

    async def _insist(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The store's answer, however long it takes to get one. Raises FenceLost."""
        while True:
            try:
                return await ask()
            except Transient:
                await self._pause()

    async def _pause(self) -> None:
        await self._store.wait(retry.delay(self._claim.instance, "", 1))

    def _tell(self, news: dict[str, Any]) -> None:
        self._news.append(news)
        if self._process is not None:
            self._say(news)

    def _say(self, what: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(what).encode() + b"\n")

    # As Driver

    def cancel(self, reason: str) -> None:
        """See `Driver.cancel`."""
        self._tell({"cancel": reason})

    def pause(self, paused: bool) -> None:
        """See `Driver.pause`."""
        self._tell({"pause": paused})

    def called(self) -> None:
        """See `Driver.called`."""
        self._tell({"called": True})

    def clock_set(self) -> None:
        """See `Driver.clock_set`."""
        self._tell({"clock_set": True})

    def release(self, *, interrupt: bool = False) -> None:
        """See `Driver.release`."""
        self._released = True
        self._tell({"release": interrupt})
        if self._process is None and self._task is not None:
            self._task.cancel()


def _given(claimed: ClaimedInstance, settings: AloneSettings) -> dict[str, Any]:
    """What the process is told first."""
    claim = claimed.claim
    return {
        "database": settings.database,
        "version": settings.version,
        "connections_max": settings.connections_max,
        "allow_hosts": settings.allow_hosts,
        "allow_loopback": settings.allow_loopback,
        "http_mock": None if settings.http_mock is None else written_mock(settings.http_mock),
        "expression": claimed.expression,
        "expression_hash": base64.b64encode(claimed.expression_hash).decode(),
        "plan_hash": claimed.plan_hash,
        "variables": claimed.variables,
        "claim": {
            "instance": claim.instance,
            "token": base64.b64encode(claim.token).decode(),
            "submitted_by": claim.submitted_by,
            "database": claim.database,
            "search_path": claim.search_path,
            "time_zone": claim.time_zone,
            "cancel_reason": claim.cancel_reason,
            "resumed": True,
            "input": claim.input,
            "timeout_seconds": claim.timeout_seconds,
            "retrying": claim.retrying,
            "recorded": claim.recorded,
        },
    }


def _loses(times: int) -> dict[str, Any]:
    return {
        "code": KILLS,
        "sqlstate": KILLS,
        "message": f"the database was lost while this workflow ran alone, {times} times in a row",
        "detail": "Nothing else of this worker ran then. What its steps have committed stays; its undo steps"
        " have not run.",
        "hint": "Look into PostgreSQL's log for what has ended it, and at the machine's memory."
        " When the cause is gone: SELECT df.retry_instance(id), which goes on from here.",
    }


def _error(deaths: int, ending: str) -> dict[str, Any]:
    return {
        "code": KILLS,
        "sqlstate": KILLS,
        "message": f"this workflow ends the process that runs it ({ending}), {deaths} times in a row",
        "detail": "It ran alone in a process of its own. What its steps have committed stays; its undo steps"
        " have not run.",
        "hint": "Look for what is large or unusual in its plan and its results, and at the machine's memory."
        " When the cause is gone: SELECT df.retry_instance(id), which goes on from here.",
    }
