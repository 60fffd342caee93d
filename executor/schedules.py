"""Schedules, on the worker's side: when they fire next, and that they do.

Every worker looks after all schedules. It computes the ticks; that a tick starts one instance, whoever comes
first, the database sees to (sql/functions/ticks.sql). It looks when a tick is due, when a notification has
come (a schedule may be new), and now and then.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from dfc.executor import answers
from dfc.executor.control import Control, StoreError
from dfc.executor.cron import UPCOMING, CatchUp, due_ticks, next_ticks
from dfc.executor.failures import Transient
from dfc.executor.quoting import array_literal
from dfc.executor.session import Answered, Message

LOOK_SECONDS: Final = 5.0
"""How often a worker looks for schedules that no notification announced."""

PAUSE_SECONDS: Final = 0.2
"""The least time between two looks, however many notifications come."""

_DUE: Final = "SELECT * FROM df._due_schedules()"
_NEXT: Final = "SELECT df._next_tick()"
_SET_TICKS: Final = "SELECT df._set_ticks($1, $2, $3, $4)"
_FIRE: Final = "SELECT df._fire($1, $2, $3, $4, $5)"
_log = logging.getLogger("dfc.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedule:
    """A schedule that wants attention. Moments that the database compares are kept as it wrote them."""

    number: str
    cron: str
    time_zone: str
    catch_up: CatchUp
    since: str
    next_at: str | None
    now: datetime


class Schedules:
    """Runs until it is cancelled."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._news = asyncio.Event()

    def notice(self) -> None:
        """There may be something new: look soon."""
        self._news.set()

    async def run(self) -> None:
        """Look, fire, wait. What goes wrong is tried again; that the database is away is seen elsewhere."""
        while True:
            seconds = LOOK_SECONDS
            try:
                seconds = await self._look()
            except (Transient, StoreError) as error:
                _log.warning("schedules could not be looked at reason=%s", " ".join(str(error).split()))
            await asyncio.sleep(min(seconds, PAUSE_SECONDS))
            try:
                async with asyncio.timeout(max(seconds - PAUSE_SECONDS, 0.0)):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def _look(self) -> float:
        """Do what is to be done now; in how many seconds to look again."""
        due, wait = await self._control.ask(Message(_DUE, prepare=True), Message(_NEXT, prepare=True))
        for row in range(len(due)):
            await self._attend(_schedule(due, row))
        if len(due):
            [wait] = await self._control.ask(Message(_NEXT, prepare=True))
        seconds = LOOK_SECONDS if wait.raw(0, 0) is None else answers.number(wait, 0, 0)
        return min(max(seconds, 0.0), LOOK_SECONDS)

    async def _attend(self, schedule: _Schedule) -> None:
        try:
            if schedule.next_at is None:
                await self._begin(schedule)
            else:
                await self._fire(schedule, schedule.next_at)
        except ValueError as error:
            values = (schedule.number, schedule.since, None, str(error))
            await self._control.ask(Message(_SET_TICKS, values, prepare=True))

    async def _begin(self, schedule: _Schedule) -> None:
        """The ticks of one that has none yet."""
        after = datetime.fromisoformat(schedule.since)
        ticks = await asyncio.to_thread(next_ticks, schedule.cron, schedule.time_zone, after, UPCOMING)
        values = (schedule.number, schedule.since, _moments(ticks), None)
        await self._control.ask(Message(_SET_TICKS, values, prepare=True))

    async def _fire(self, schedule: _Schedule, next_at: str) -> None:
        """Start what is due."""
        first = datetime.fromisoformat(next_at)
        due = await asyncio.to_thread(
            due_ticks, schedule.cron, schedule.time_zone, first, schedule.now, schedule.catch_up
        )
        values = (schedule.number, next_at, _moments(due.starts), due.note, _moments(due.upcoming))
        [fired] = await self._control.ask(Message(_FIRE, values, prepare=True))
        if fired.raw(0, 0) == b"t":
            _log.info("fired schedule=%s ticks=%s", schedule.number, len(due.starts))


def _moments(ticks: list[datetime] | tuple[datetime, ...]) -> str:
    return array_literal([tick.isoformat() for tick in ticks])


def _schedule(found: Answered, row: int) -> _Schedule:
    return _Schedule(
        number=answers.text(found, row, 0),
        cron=answers.text(found, row, 1),
        time_zone=answers.text(found, row, 2),
        catch_up=cast(CatchUp, answers.text(found, row, 3)),
        since=answers.text(found, row, 4),
        next_at=found.text(row, 5),
        now=datetime.fromisoformat(answers.text(found, row, 6)),
    )
