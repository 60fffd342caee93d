"""When schedules fire: against a calculation that goes through a year minute by minute, without cronsim."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfc.executor import cron
from tests.depth import depth, is_full

MINUTE = timedelta(minutes=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Vienna", "America/New_York", "Australia/Lord_Howe")
"""Lord Howe lies half an hour beside the others, and sets its clocks by half an hour."""

CRONS = (
    "0 0 * * *", "30 2 * * *", "0 2 * * *", "59 1 * * *", "0 3 * * 0", "15,45 1-3 * * *", "* 2 * * *",
    "0 * * * *", "*/20 * * * *", "30 */2 * * *", "5 1/3 * * *", "0 0 1 * *", "0 12 13 * fri",
    "0 0 29 2 *", "10 2 25-31 10 7", "0,30 0-4/2 8 mar *", "45 1 1,4 4 sun", "20 0-23/5 * 3,10,11 *",
)  # fmt: skip

Minutes = list[tuple[datetime, datetime]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """Every minute of a year in a zone: an instant, and the time that the clock shows then."""

    instants: dict[datetime, list[datetime]]
    by_time: dict[tuple[int, int], Minutes]
    gaps: list[tuple[datetime, datetime, datetime]]


@cache
def year(zone: str) -> Year:
    place = ZoneInfo(zone)
    instants: dict[datetime, list[datetime]] = defaultdict(list)
    by_time: dict[tuple[int, int], Minutes] = defaultdict(list)
    gaps: list[tuple[datetime, datetime, datetime]] = []
    before: datetime | None = None
    for number in range(-2 * 1440, (END - BEGIN) // MINUTE + 2 * 1440):
        instant = BEGIN + number * MINUTE
        local = instant.astimezone(place).replace(tzinfo=None)
        instants[local].append(instant)
        by_time[local.hour, local.minute].append((instant, local))
        if before is not None and local - before > MINUTE:
            gaps.append((before, local, instant))
        before = local
    return Year(instants=instants, by_time=by_time, gaps=gaps)


def numbers(field: str, low: int, high: int, names: str = "") -> set[int]:
    for index, name in enumerate(names.split()):
        field = field.replace(name, str(index + (low if low else 0)))
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = int(first)
            end = int(last) if last else (high if step else begin)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def is_day(text: str, local: datetime) -> bool:
    _, _, day, month, week = text.split()
    if local.month not in numbers(month, 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"):
        return False
    by_day = local.day in numbers(day, 1, 31)
    by_week = local.isoweekday() % 7 in {n % 7 for n in numbers(week, 0, 7, "sun mon tue wed thu fri sat")}
    return by_day and by_week if "*" in (day[0], week[0]) else by_day or by_week


def expected(text: str, zone: str) -> list[datetime]:
    """The ticks of the year, by the rules as they are written down."""
    minutes, hours = text.split()[:2]
    days: dict[date, bool] = {}

    def matches(local: datetime) -> bool:
        if local.date() not in days:
            days[local.date()] = is_day(text, local)
        return days[local.date()]

    seen = year(zone)
    found: set[datetime] = set()
    for time in product(numbers(hours, 0, 23), numbers(minutes, 0, 59)):
        there = [(instant, local) for instant, local in seen.by_time[time] if matches(local)]
        if "*" in hours or "/" in hours:
            found.update(instant for instant, _ in there)
            continue
        found.update(seen.instants[local][0] for _, local in there)
        for before, after, instant in seen.gaps:
            missing = before + MINUTE
            while missing < after:
                if (missing.hour, missing.minute) == time and matches(missing):
                    found.add(instant)
                missing += MINUTE
    return sorted(instant for instant in found if BEGIN < instant <= END)


@pytest.mark.parametrize(
    "zone", [*(pytest.param(zone, marks=pytest.mark.long) for zone in ZONES[:2]), ZONES[2]]
)
def test_a_year(zone: str) -> None:
    for text in CRONS:
        wanted = expected(text, zone)
        found = cron.next_ticks(text, zone, BEGIN, len(wanted) + 1)
        assert [t for t in found if t <= END] == wanted, (text, zone)


@settings(max_examples=depth(60, 15), deadline=None)
@given(
    minute=st.sampled_from(["0", "30", "*/15", "5,35", "*"]),
    hour=st.sampled_from(["0", "1", "2", "3", "1-3", "*", "*/2", "2/1", "1,2"]),
    day=st.sampled_from(["*", "29", "25", "1-8"]),
    month=st.sampled_from(["*", "3", "10,11", "4"]),
    week=st.sampled_from(["*", "0", "7", "sun"]),
    zone=st.sampled_from(ZONES if is_full() else ZONES[2:]),
    skip=st.integers(0, 525_000),
)
def test_from_any_moment(
    minute: str, hour: str, day: str, month: str, week: str, zone: str, skip: int
) -> None:
    """What comes after a moment does not depend on where one has begun."""
    text = f"{minute} {hour} {day} {month} {week}"
    after = BEGIN + skip * MINUTE + timedelta(seconds=17)
    wanted = [tick for tick in expected(text, zone) if tick > after][:20]
    found = cron.next_ticks(text, zone, after, 20)
    assert [tick for tick in found if tick <= END] == wanted


def test_the_rules_in_words() -> None:
    def ticks(text: str, after: str, n: int) -> list[str]:
        moment = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo("Europe/Vienna"))
        return [f"{t:%m-%d %H:%M}" for t in cron.next_ticks(text, "Europe/Vienna", moment, n)]

    # On March 29 it is 2:00 to 3:00 nowhere, on October 25 it is 2:00 to 3:00 twice; times in UTC.
    assert ticks("30 2 * * *", "2026-03-28T12:00", 2) == ["03-29 01:00", "03-30 00:30"]
    assert ticks("0,30 2 * * *", "2026-03-28T12:00", 2) == ["03-29 01:00", "03-30 00:00"]
    assert ticks("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]
    assert ticks("30 */1 * * *", "2026-10-25T01:00", 3) == ["10-24 23:30", "10-25 00:30", "10-25 01:30"]


def test_what_never_fires_and_what_is_no_schedule() -> None:
    assert cron.next_ticks("0 0 30 2 mon", "UTC", BEGIN, 1) != []
    assert cron.next_ticks("0 0 29 2 *", None, BEGIN, 1) == [datetime(2028, 2, 29, tzinfo=UTC)]
    for text, zone in (
        ("0 0 30 2 *", "UTC"),
        ("x", "UTC"),
        ("", None),
        ("0 0 * * *", "Nowhere/Town"),
        ("a b c d e", "UTC"),
    ):
        with pytest.raises(ValueError):
            cron.next_ticks(text, zone, BEGIN, 1)


def due(catch_up: cron.CatchUp, late: timedelta, text: str = "*/10 * * * *") -> cron.Due:
    first = datetime(2026, 5, 1, 12, tzinfo=UTC)
    return cron.due_ticks(text, None, first, first + late, catch_up)


def test_what_is_made_up() -> None:
    minutes = timedelta(minutes=1)
    for catch_up in ("none", "last", "all"):
        found = due(catch_up, timedelta(seconds=1))
        assert [f"{t:%H:%M}" for t in found.starts] == ["12:00"] and found.note is None
        assert [f"{t:%H:%M}" for t in found.upcoming] == ["12:10", "12:20", "12:30", "12:40", "12:50"]
    assert [f"{t:%H:%M}" for t in due("all", 35 * minutes).starts] == ["12:00", "12:10", "12:20", "12:30"]
    assert [f"{t:%H:%M}" for t in due("last", 35 * minutes).starts] == ["12:30"]
    assert due("none", 35 * minutes).starts == ()
    assert [f"{t:%H:%M}" for t in due("none", 30.5 * minutes).starts] == ["12:30"]
    assert due("last", 35 * minutes).note == (
        "ticks from 2026-05-01 12:00+00 to 2026-05-01 12:20+00 were not started: catch_up is last"
    )
    assert "to 2026-05-01 12:30+00" in str(due("none", 35 * minutes).note)


def test_a_long_downtime_is_quick_and_capped() -> None:
    found = due("all", timedelta(days=700), "* * * * *")
    assert len(found.starts) == cron.CATCH_UP_MAX and "no more than 1000" in str(found.note)
    assert found.starts[-1] == datetime(2026, 5, 1, 12, tzinfo=UTC) + timedelta(days=700)
    assert len(due("last", timedelta(days=700), "* * * * *").starts) == 1
    yearly = due("last", timedelta(days=700), "0 0 1 6 *")
    assert [f"{t:%Y-%m}" for t in yearly.starts] == ["2027-06"]
