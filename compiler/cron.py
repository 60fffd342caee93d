"""Cron expressions and time zones: what the functions that wait for a schedule take.

Five fields, each a list of `*`, numbers and ranges with steps; names for months and days. What dialects have
beyond that (`L`, `#`, `@daily`, seconds) is refused. `cronsim` computes the ticks, here only to see that
there is one at all. The SQL door says the same (sql/functions/waiting.sql); a test compares the two.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from dfc.compiler.nearness import Near, near

CRON_EXAMPLE = "write five fields, for example `'*/5 8-18 * * mon-fri'`"
ZONE_EXAMPLE = "write a name of the time zone database, for example `'Europe/Vienna'`"
NEVER_FIRES = "there is no such day, so that it never fires"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,4}))?")
_WORD = re.compile(r"(?<!\w)[A-Za-z]+(?!\w)")
_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def cron_fault(cron: str) -> str:
    """What is wrong with a cron expression; empty when nothing is."""
    fields = [field for field in _SPACE.split(cron) if field]
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)}, not 5 fields"
    for field, (kind, least, most, names) in zip(fields, _FIELDS, strict=True):
        if not all(_is_item(item, least, most, names) for item in field.split(",")):
            shown = field if len(field) <= 40 else f"{field[:37]}..."
            return f"`{shown}` is no {kind} ({least} to {most})"
    try:
        next(CronSim(cron, _SOME_DAY))
    except (CronSimError, StopIteration):
        return NEVER_FIRES
    return ""


def _is_item(written: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    """Whether an element of a field's list is one: `*`, a number or a range, with a step or without."""

    def number(found: re.Match[str]) -> str:
        word = found[0].lower()
        return str(names.index(word) + least) if word in names else found[0]

    item = _ITEM.fullmatch(_WORD.sub(number, written))
    if item is None or (item[3] is not None and int(item[3]) == 0):
        return False
    low = least if item[1] is None else int(item[1])
    high = low if item[2] is None else int(item[2])
    return least <= low <= high <= most


def is_zone(name: str) -> bool:
    """Whether the time zone database has this name, in this spelling."""
    return name in _zones()


def nearest_zone(name: str) -> Near | None:
    """The name that a misspelt one is like; None when there is none."""
    folded = {zone.lower(): zone for zone in _zones()}
    known = folded.get(name.lower())
    if known:
        return Near(word=known, sure=True)
    close = near(name.lower(), folded, cutoff=0.7)
    return Near(word=folded[close.word], sure=close.sure) if close else None


def zone_help(meant: Near | None) -> str:
    """The help line for a name that no time zone has, and that is like `meant`."""
    return f"did you mean `'{meant.word}'`?" if meant else ZONE_EXAMPLE


@cache
def _zones() -> frozenset[str]:
    """The names that every PostgreSQL has, too."""
    names = available_timezones() - _NO_ZONES
    return frozenset(name for name in names if not name.startswith(("posix/", "right/")))
