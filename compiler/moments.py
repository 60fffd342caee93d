"""Moments, as texts that PostgreSQL reads: what is surely none, and constants of the type timestamptz.

PostgreSQL knows many more forms of times than can be looked into here. What has no date in the form of
ISO 8601 is passed on, unless it has not even a digit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

MOMENT_EXAMPLE = "write a time like `'2030-01-31 12:00+00'`"

_WORDS = frozenset({"now", "today", "tomorrow", "yesterday", "epoch", "allballs"})
_NEVER = frozenset({"infinity", "+infinity", "-infinity"})
_ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:[T ] *(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]*)?)?"
    r" *(?P<zone>Z|[Uu][Tt][Cc]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_NAMED = re.compile(
    r"(?:(?P<day>[0-9]{1,2})[ -]+)?(?P<month>[A-Za-z]{3,})[ -]+(?:(?P<day_behind>[0-9]{1,2}),?[ -]+)?"
    r"(?P<year>[0-9]{4})(?:[ ,].*)?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BLANK = " \t\n\r\f\v"


def moment_fault(text: str) -> str:
    """Why a text is no moment; empty when it may be one. The answer goes on behind the text."""
    written = text.strip(_BLANK)
    if written.lower() in _NEVER:
        return "is no moment that comes"
    if not any(character.isdigit() for character in written):
        known = any(word in _WORDS for word in re.split(r"[^a-z]+", written.lower()))
        return "" if known else "is not a time"
    iso = _ISO.fullmatch(written)
    named = None if iso is not None else _NAMED.fullmatch(written)
    try:
        if iso is not None:
            _moment(iso)
        elif named is not None:
            _day(named)
    except ValueError:
        return "is not a time"
    return ""


def in_utc(text: str) -> str | None:
    """A timestamptz as the SQL door writes it; None where the text does not say what it is everywhere."""
    iso = _ISO.fullmatch(text.strip(_BLANK))
    if iso is None or iso["zone"] is None:
        return None
    try:
        moment = _moment(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    microseconds = f".{moment.microsecond:06}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0") + f"{microseconds}+00"


def _day(named: re.Match[str]) -> None:
    """Raises ValueError for a day that its month does not have."""
    month = named["month"][:3].lower()
    days = [day for day in (named["day"], named["day_behind"]) if day is not None]
    if month in _MONTHS and len(days) == 1 and named["year"] != "0000" and " bc" not in named[0].lower():
        datetime(int(named["year"]), _MONTHS.index(month) + 1, int(days[0]), tzinfo=UTC)


def _moment(iso: re.Match[str]) -> datetime:
    """The moment, in UTC where no zone is given. Raises ValueError for one that is none."""
    hour, minute, second = (int(iso[part] or 0) for part in ("hour", "minute", "second"))
    fraction = round(float(f"0{iso['fraction'] or '.'}0") * 1_000_000)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or fraction)):
        raise ValueError("out of range")
    zone = iso["zone"] or "Z"
    offset = timedelta()
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        if int(digits[:2]) > 15 or int(digits[2:]) > 59:
            raise ValueError("out of range")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)
    day = datetime(int(iso["year"]), int(iso["month"]), int(iso["day"]), tzinfo=timezone(offset))
    return day + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction)
