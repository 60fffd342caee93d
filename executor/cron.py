"""When a cron expression fires, in a time zone. Pure.

`cronsim` says which local times match. Which instants those are is decided here: an entry that names its
hours fires once a day and hour, however the clocks are set (a local time that does not exist fires at the
first instant after the gap, one that exists twice fires the first time); an entry with `*` or `/n` in the
hour field follows elapsed time, so that it fires in both of two equal hours and in none that is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim

UPCOMING: Final = 5
"""Ticks ahead that are kept for people to see."""

CATCH_UP_MAX: Final = 1_000
"""Ticks of a schedule that are made up at most, the last ones; `df.schedules` says which were not."""

PUNCTUAL_SECONDS: Final = 60.0
"""A tick that is not older was not missed: it starts whatever `catch_up` says."""

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)

CatchUp = Literal["none", "last", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to start now, in order; what will be due next; and what was passed over, for people."""

    starts: tuple[datetime, ...]
    upcoming: tuple[datetime, ...]
    note: str | None


def next_ticks(cron: str, zone: str | None, after: datetime, n: int) -> list[datetime]:
    """The next `n` ticks later than `after`, in UTC; fewer where it does not fire so often.

    Raises ValueError for an expression or zone that is none.
    """
    return list(islice(_ticks(cron, zone, after), n))


def due_ticks(cron: str, zone: str | None, first: datetime, now: datetime, catch_up: CatchUp) -> Due:
    """What to do at `now` about a schedule whose next tick is `first`, which has come.

    Raises ValueError for an expression or zone that is none.
    """
    upcoming = tuple(next_ticks(cron, zone, now, UPCOMING))
    wanted = CATCH_UP_MAX if catch_up == "all" else 1
    due, complete = _last_due(cron, zone, first, now, wanted)
    starts = due[-wanted:]
    if catch_up == "none":
        starts = [tick for tick in due if (now - tick).total_seconds() <= PUNCTUAL_SECONDS]
    passed_to = due[-len(starts) - 1] if len(starts) < len(due) else None
    note = None
    if passed_to is not None or not complete:
        why = f"no more than {CATCH_UP_MAX} are made up" if catch_up == "all" else f"catch_up is {catch_up}"
        last = passed_to or due[0]
        note = f"ticks from {_written(first)} to {_written(last)} were not started: {why}"
    return Due(starts=tuple(starts), upcoming=upcoming, note=note)


def _last_due(
    cron: str, zone: str | None, first: datetime, now: datetime, wanted: int
) -> tuple[list[datetime], bool]:
    """The ticks from `first` to `now`, or the last of them and at least `wanted`; whether it is all of them.

    After a year of downtime there may be half a million: they are looked for from the end, in windows.
    """
    window = _DAY
    while True:
        begin = max(first - _SECOND, now - window)
        due: list[datetime] = []
        for tick in _ticks(cron, zone, begin):
            if tick > now:
                break
            due.append(tick)
        if begin < first:
            return due, True
        if len(due) > wanted:
            return due, False
        window *= 4


def _written(tick: datetime) -> str:
    return tick.astimezone(UTC).strftime("%Y-%m-%d %H:%M+00")


def _ticks(cron: str, zone: str | None, after: datetime) -> Iterator[datetime]:
    try:
        place = ZoneInfo("UTC" if zone is None else zone)
        hours = cron.split()[1]
        begin = after.astimezone(UTC)
        elapsed = "*" in hours or "/" in hours
        yield from _elapsed(cron, place, begin) if elapsed else _fixed(cron, place, begin)
    except (OSError, KeyError, IndexError) as error:
        raise ValueError(f"{cron} in {zone}: {error}") from None
    except Exception as error:
        # CronSimError is an Exception, and nothing more special.
        raise ValueError(f"{cron}: {error}") from None


def _local(instant: datetime, place: ZoneInfo) -> datetime:
    return instant.astimezone(place).replace(tzinfo=None)


def _fixed(cron: str, place: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Each local time once: the first time that it is, or the first instant after the gap that it is in."""
    last = after
    for local in CronSim(cron, _local(after, place) - _DAY):
        before = local.replace(tzinfo=place, fold=0).astimezone(UTC)
        instant = before
        if _local(before, place) != local:
            behind = local.replace(tzinfo=place, fold=1).astimezone(UTC)
            instant = _change(place, min(before, behind), max(before, behind))
        if instant > last:
            last = instant
            yield instant


def _elapsed(cron: str, place: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Each instant at which the clock shows a time that matches. What is at `now` or before is done."""
    now = after.replace(microsecond=0)
    while True:
        offset = _offset(place, now + _SECOND)
        for local in CronSim(cron, (now + offset).replace(tzinfo=None)):
            instant = local.replace(tzinfo=UTC) - offset
            horizon = min(instant, now + _DAY)
            if _offset(place, horizon) != offset:
                # The clocks are set before that: go on from there.
                now = _change(place, now + _SECOND, horizon) - _SECOND
                break
            if horizon != instant and _offset(place, instant) != offset:
                # They are set later than in a day, and by less than a day: nothing is passed over.
                now = instant - _DAY
                break
            now = instant
            yield instant
        else:
            return


def _offset(place: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(place).utcoffset() or timedelta(0)


def _change(place: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first instant at which the offset is that of `high`, and not that of `low`."""
    target = _offset(place, high)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if _offset(place, middle) == target:
            high = middle
        else:
            low = middle
    return high
