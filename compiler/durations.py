"""Durations: the texts that PostgreSQL's `interval` input reads, as it reads them, and numbers of seconds.

What PostgreSQL takes by accident (stray punctuation, words like `at`, units without a number, a time that
makes it forget a fraction) is refused here; what is taken means the same to both. Arithmetic on fractions is
done in doubles, as PostgreSQL does it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dfc.compiler.plan import Duration

EXAMPLE = "write a duration like `'1 hour 30 min'`, `'1:30:00'` or `90` (seconds)"
SECONDS_MAX = 9e12
"""A duration given as a number. Over this the microseconds of an interval may overflow."""
_CHARACTERS_MAX = 255
_INT4 = 2**31
_INT8 = 2**63
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


class DurationFault(ValueError):
    """A text or number that is no duration; the message goes on behind the text that it is about."""


# The names of units. PostgreSQL looks at the first ten characters of a word alone.
_WORD_CHARACTERS = 10
_NAMES = {
    "microsecond": "us usec usecond useconds usecs microsecond",
    "millisecond": "ms msec msecond mseconds msecs millisecond",
    "second": "s sec second seconds secs",
    "minute": "m min mins minute minutes",
    "hour": "h hour hours hr hrs",
    "day": "d day days",
    "week": "w week weeks",
    "month": "mon mons month months",
    "year": "y year years yr yrs",
    "decade": "dec decade decades decs",
    "century": "c cent century centuries",
    "millennium": "mil mils millennium millennia",
}
_UNITS = {name[:_WORD_CHARACTERS]: unit for unit, names in _NAMES.items() for name in names.split()}
_MICROSECONDS = {"microsecond": 1, "millisecond": 1000, "second": _SECOND, "minute": _MINUTE, "hour": _HOUR}
_YEARS = {"year": 1, "decade": 10, "century": 100, "millennium": 1000}
_SECONDS = frozenset({"second", "millisecond", "microsecond"})
_TIME = frozenset({"hour", "minute"}) | _SECONDS

# A word that a digit or `+` follows directly is a unit only when it is one of these letters (`1h30m`).
_FIELD = re.compile(
    r"[\s,@]*+(?:"
    r"(?P<time>(?P<time_sign>[+-]\s*)?(?P<clock>[0-9]+:[0-9]+(?::[0-9]+)?(?:\.[0-9]*)?))(?![0-9:.-])"
    r"|(?P<months>(?P<months_sign>[+-]\s*)?(?P<years>[0-9]+)-(?P<rest>[0-9]+))(?![0-9:.-])"
    r"|(?P<number>(?P<number_sign>[+-]\s*)?(?P<whole>[0-9]+)(?P<fraction>\.(?:[0-9]+|(?![A-Za-z])))?)"
    r"(?![0-9:./-])"
    r"|(?P<point>\.[0-9]+)"
    r"|(?P<letter>[dhmsyDHMSY])(?=[0-9+])"
    r"|(?P<word>[A-Za-z]+)(?![A-Za-z0-9+/.-])"
    r")",
    re.ASCII,
)
_REST = re.compile(r"[\s,@]*", re.ASCII)


def duration_of_text(text: str) -> Duration:
    """What `text::interval` is. Raises DurationFault where PostgreSQL refuses it, or takes it by accident."""
    if len(text) > _CHARACTERS_MAX:
        raise DurationFault("is too long for a duration")
    sum = _Sum()
    if text.startswith("P"):
        _add_iso(sum, text)
    else:
        _add_fields(sum, _fields(text))
    return sum.duration()


def duration_of_seconds(digits: str) -> Duration:
    """What `make_interval(secs => digits)` is. Raises DurationFault when it is out of range."""
    seconds = float(digits)
    if abs(seconds) > SECONDS_MAX:
        raise DurationFault("is out of range for a duration")
    return Duration(microseconds=round(seconds * 1e6))


def length(duration: Duration) -> int:
    """The length in microseconds, as PostgreSQL compares intervals: a month has 30 days, a day 24 hours."""
    return (duration.months * 30 + duration.days) * _DAY + duration.microseconds


def duration_text(duration: Duration) -> str:
    """A text that reads back as the same duration: `'1 hour'`, `'2 months -1 days 0.5 seconds'`."""
    parts = [(duration.months, "month"), (duration.days, "day")]
    microseconds = duration.microseconds
    for unit in ("hour", "minute", "second"):
        if microseconds % _MICROSECONDS[unit] == 0:
            parts.append((microseconds // _MICROSECONDS[unit], unit))
            break
    written = [f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number]
    if microseconds % _SECOND:
        whole, rest = divmod(abs(microseconds), _SECOND)
        fraction = f"{rest:06}".rstrip("0")
        written.append(f"{'-' if microseconds < 0 else ''}{whole}.{fraction} seconds")
    return " ".join(written) or "0 seconds"


@dataclass(slots=True)
class _Sum:
    """What has been read so far, in PostgreSQL's parts, each within its range."""

    years: int = 0
    months: int = 0
    days: int = 0
    microseconds: int = 0

    def add(self, whole: int, fraction: float, unit: str) -> None:
        """Add a number of units. A fraction of a larger unit goes on to smaller ones."""
        if unit in _MICROSECONDS:
            self.microseconds += whole * _MICROSECONDS[unit]
            self.add_fraction(fraction, _MICROSECONDS[unit])
        elif unit == "day":
            self.days += whole
            self.add_fraction(fraction, _DAY)
        elif unit == "week":
            self.days += whole * 7
            self.add_days(fraction * 7)
        elif unit == "month":
            self.months += whole
            self.add_days(fraction * 30)
        else:
            self.years += whole * _YEARS[unit]
            self.months += round(fraction * _YEARS[unit] * 12)
        self.check()

    def add_days(self, days: float) -> None:
        """Add days, their fraction as time."""
        self.days += int(days)
        self.add_fraction(days - int(days), _DAY)

    def add_fraction(self, fraction: float, scale: int) -> None:
        """Add a fraction of a unit of `scale` microseconds, rounded to the nearest, halves towards zero."""
        exact = fraction * scale
        rounded = int(exact)
        rest = exact - rounded
        self.microseconds += rounded + (1 if rest > 0.5 else -1 if rest < -0.5 else 0)

    def check(self) -> None:
        """Raise DurationFault when a part is out of range."""
        for part, limit in (
            (self.years, _INT4),
            (self.months, _INT4),
            (self.days, _INT4),
            (self.microseconds, _INT8),
        ):
            if not -limit <= part < limit:
                raise DurationFault("is out of range for a duration")

    def duration(self) -> Duration:
        """The sum as one duration."""
        self.check()
        months = self.years * 12 + self.months
        if not -_INT4 <= months < _INT4:
            raise DurationFault("is out of range for a duration")
        return Duration(months=months, days=self.days, microseconds=self.microseconds)


# `1 day 2 hours`, `1 02:03:04`, `1-2`


def _fields(text: str) -> list[re.Match[str]]:
    """The fields of a text in the style of PostgreSQL."""
    fields: list[re.Match[str]] = []
    position = 0
    while (field := _FIELD.match(text, position)) is not None:
        fields.append(field)
        position = field.end()
    rest = _REST.match(text, position)
    if all(field["word"] or field["letter"] for field in fields) or rest is None or rest.end() != len(text):
        raise DurationFault("is not a duration")
    return fields


def _add_fields(sum: _Sum, fields: list[re.Match[str]]) -> None:
    """Add up fields: from the right, so that a unit is known before its number. Each unit may stand once."""
    unit: str | None = "second"
    waiting = False  # a unit that has no number yet
    seen: set[str] = set()
    ago = False
    for index, field in reversed(list(enumerate(fields))):
        if field["word"] is not None or field["letter"] is not None:
            word = (field["word"] or field["letter"]).lower()
            if word == "ago" and index == len(fields) - 1:
                ago, unit = True, None
                continue
            unit = _UNITS.get(word[:_WORD_CHARACTERS])
            if unit is None or waiting:
                raise DurationFault(f"has `{word}` where a unit belongs" if unit is None else _LONELY)
            waiting = True
            continue
        waiting = False
        if field["time"] is not None:
            if sum.microseconds:
                raise DurationFault("has a fraction behind its time")
            _add_clock(sum, field)
            units, unit = _TIME, "day"
        elif unit is None and field["months"] is None:
            raise DurationFault("has a number without a unit")
        else:
            units, unit = _add_number(sum, field, unit or "month")
        if seen & units:
            raise DurationFault("has the same unit twice")
        seen |= units
    if waiting or not seen:
        raise DurationFault(_LONELY)
    if ago:
        sum.years, sum.months, sum.days = -sum.years, -sum.months, -sum.days
        sum.microseconds = -sum.microseconds
        sum.check()


_LONELY = "has a unit without a number"


def _add_clock(sum: _Sum, field: re.Match[str]) -> None:
    """Add `hh:mm`, `hh:mm:ss.fff` or `mm:ss.fff`."""
    clock, _, fraction = field["clock"].partition(".")
    parts = [int(part) for part in clock.split(":")]
    if len(parts) == 2:
        parts = [0, *parts] if "." in field["clock"] else [*parts, 0]
    hours, minutes, seconds = parts
    if minutes > 59 or seconds > 60:
        raise DurationFault("has minutes or seconds over 59")
    microseconds = hours * _HOUR + minutes * _MINUTE + seconds * _SECOND + round(float(f"0.{fraction}") * 1e6)
    sum.microseconds += -microseconds if (field["time_sign"] or "").startswith("-") else microseconds
    sum.check()


def _add_number(sum: _Sum, field: re.Match[str], unit: str) -> tuple[frozenset[str], str]:
    """Add a number of units. The units that it stands for, and the unit of a number in front without one."""
    if field["months"] is not None:
        sign = -1 if (field["months_sign"] or "").startswith("-") else 1
        if int(field["rest"]) > 11:
            raise DurationFault("has months over 11 behind its years")
        sum.add(sign * (int(field["years"]) * 12 + int(field["rest"])), 0.0, "month")
        return frozenset({"month"}), "month"
    sign = -1 if (field["number_sign"] or "").startswith("-") else 1
    whole = int(field["whole"] or 0)
    if whole >= _INT8:
        raise DurationFault("is out of range for a duration")
    written = (field["fraction"] or field["point"] or "").removeprefix(".")
    fraction = float(f"0.{written}")
    sum.add(sign * whole, sign * fraction, unit)
    units = _SECONDS if unit == "second" and fraction else frozenset({unit})
    return units, "day" if unit == "hour" else unit


# `P1DT2H`, `P0001-02-03T04:05:06`

_ISO_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ISO_DATE = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_ISO_TIME = {"H": "hour", "M": "minute", "S": "second"}


def _add_iso(sum: _Sum, text: str) -> None:
    """Add up a duration of ISO 8601, with designators or in the alternative format."""
    date, separator, time = text[1:].partition("T")
    if not date and not time:
        raise DurationFault("is not a duration")
    if not _added_alternative(sum, date, "-", ("year", "month", "day"), 8):
        _add_designated(sum, date, _ISO_DATE)
    if separator and not _added_alternative(sum, time, ":", ("hour", "minute", "second"), 6):
        _add_designated(sum, time, _ISO_TIME)


def _add_designated(sum: _Sum, text: str, units: dict[str, str]) -> None:
    position = 0
    while position < len(text):
        number = _ISO_NUMBER.match(text, position)
        unit = units.get(text[number.end() : number.end() + 1]) if number is not None else None
        if number is None or unit is None:
            raise DurationFault("is not a duration of ISO 8601")
        sum.add(*_split(number[0]), unit)
        position = number.end() + 1


def _added_alternative(sum: _Sum, text: str, mark: str, units: tuple[str, str, str], width: int) -> bool:
    """Add `0001-02-03` or `00010203` (with `:` for times), if the text is written like that."""
    first = _ISO_NUMBER.match(text)
    if first is None or text[first.end() : first.end() + 1] not in ("", mark):
        return False
    digits = len(text) - len(text.lstrip("0123456789"))
    if first.end() == len(text) and digits == width:
        if len(text) > width:
            raise DurationFault("is not a duration of ISO 8601")  # PostgreSQL has a meaning for the fraction
        whole = int(text)
        numbers: list[tuple[int, float]] = [
            (whole // 10000, 0.0),
            (whole // 100 % 100, 0.0),
            (whole % 100, 0.0),
        ]
    else:
        numbers = []
        position = 0
        while (number := _ISO_NUMBER.match(text, position)) is not None and len(numbers) < 3:
            numbers.append(_split(number[0]))
            position = number.end()
            if position == len(text):
                break
            if text[position] != mark:
                raise DurationFault("is not a duration of ISO 8601")
            position += 1
        if position != len(text) or text.endswith(mark):
            raise DurationFault("is not a duration of ISO 8601")
    for number, unit in zip(numbers, units, strict=False):
        sum.add(*number, unit)
    return True


def _split(written: str) -> tuple[int, float]:
    """A number of ISO 8601 as its whole part and its fraction."""
    number = float(written)
    if not -1e15 <= number <= 1e15:
        raise DurationFault("is out of range for a duration")
    return int(number), number - int(number)
