"""Policies, and other options that are words, numbers or durations: which values they take.

Both doors' expressions are held against this: arguments of calls, and the wire text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dfc.compiler.ast import NO_POLICIES, Policies, PolicyValue
from dfc.compiler.calls import Report, quoted
from dfc.compiler.constants import number_of
from dfc.compiler.diagnostics import error
from dfc.compiler.durations import (
    EXAMPLE,
    DurationFault,
    duration_of_seconds,
    duration_of_text,
    length,
)
from dfc.compiler.json_text import JsonArray, JsonFault, JsonObject, read_json
from dfc.compiler.nearness import Near, near
from dfc.compiler.plan import Duration, is_database
from dfc.compiler.plan_settings import instead_of, why_not
from dfc.compiler.signatures import POLICY_NAMES
from dfc.compiler.span import Span
from dfc.compiler.values import Array, Document, Number, String, Truth, Typed, Value, described

WORDS = {
    "on_error": ("fail", "continue"),
    "on_failure": ("wait", "cancel"),
    "delivery": ("at_least_once", "at_most_once"),
    "isolation": ("read committed", "repeatable read", "serializable"),
    "compensate": ("all",),
}
"""The options that are one of a few words."""

_COUNTS = frozenset({"max_attempts", "max_parallel", "batch_size"})
_LISTS = frozenset({"retry_on", "no_retry_on"})
_MAY_BE_ZERO = frozenset({"backoff", "seconds"})
YEARS_MAX = 100
"""The longest duration, in years of 360 days, as PostgreSQL compares intervals."""
_RATE = re.compile(r"[1-9][0-9]{0,8}/(?:second|minute|hour|day)")
# A SQLSTATE, its class, an HTTP status, a class of those, or a word.
_RETRY = re.compile(r"[0-9A-Z]{5}|[0-9A-Z]{2}|[1-5][0-9]{2}|[1-5]xx|timeout|transient|ambiguous|all")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*")
_SETTINGS_HELP = """write them as '{"work_mem": "1GB"}'"""
_SHOWN_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an option cannot have a value. `element` is the part of a list that it is about."""

    code: str
    message: str
    help: str
    element: int = 0
    near: Near | None = None


def fault_of(name: str, value: PolicyValue) -> Fault | None:
    """What is wrong with the value of an option; None when nothing is."""
    match value:
        case bool():
            return None
        case int() if name in _COUNTS and value < 1:
            return Fault(code="DF168", message=f"`{name}` is less than 1", help="write 1 or more")
        case Duration():
            return _duration_fault(name, value)
        case tuple() if name in _LISTS:
            return _retry_fault(name, value)
        case str() if name in WORDS and value not in WORDS[name]:
            return _word_fault(name, value)
        case str() if name == "rate_limit" and _RATE.fullmatch(value) is None:
            message = f"`{_short(value)}` is not a rate"
            help = "write `'100/minute'`: a number, and `second`, `minute`, `hour` or `day`"
            return Fault(code="DF171", message=message, help=help)
        case str() if name == "database" and not is_database(value):
            message = f"`{_short(value)}` is no name of a database"
            return Fault(code="DF331", message=message, help="write a name of 1 to 63 bytes")
        case str() if name == "settings":
            return _settings_fault(value)
        case _:
            return None


def _duration_fault(name: str, value: Duration) -> Fault | None:
    total = length(value)
    if total > YEARS_MAX * 360 * 86_400_000_000:
        message = f"`{name}` is over {YEARS_MAX} years"
        return Fault(
            code="DF166", message=message, help="write a shorter duration; a number is one of seconds"
        )
    if total > 0 or (total == 0 and name in _MAY_BE_ZERO):
        return None
    message = f"`{name}` is negative" if total < 0 else f"`{name}` is zero"
    least = "of zero or more" if name in _MAY_BE_ZERO else "over zero"
    return Fault(code="DF166", message=message, help=f"write a duration {least}, like `'90 s'`")


def _retry_fault(name: str, value: tuple[str, ...]) -> Fault | None:
    for index, element in enumerate(value):
        if _RETRY.fullmatch(element) is None:
            return Fault(
                code="DF170",
                message=f"`{name}` cannot hold `{_short(element)}`",
                help="write a SQLSTATE (`'40001'`), its class (`'40'`), an HTTP status (`'503'`, `'5xx'`), "
                "or one of `'timeout'`, `'transient'`, `'ambiguous'`, `'all'`",
                element=index,
            )
    return None


def _word_fault(name: str, value: str) -> Fault:
    words = [f"`'{word}'`" for word in WORDS[name]]
    known = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    close = near(value.lower(), WORDS[name])
    help = f"write `'{close.word}'`" if close else f"write {known}"
    message = f"`{name}` is {known}, not `{_short(value)}`"
    return Fault(code="DF169", message=message, help=help, near=close)


def _settings_fault(text: str) -> Fault | None:
    try:
        value = read_json(text)
    except JsonFault:
        value = None
    if not isinstance(value, JsonObject):
        return Fault(code="DF172", message="`settings` has to be an object", help=_SETTINGS_HELP)
    for key, item in value.pairs:
        help = _SETTINGS_HELP
        if _SETTING.fullmatch(key) is None:
            message = f"`{_short(key)}` is not the name of a setting"
        elif item is None or isinstance(item, JsonObject | JsonArray):
            message = f"the value of `{_short(key)}` is not a text, number or boolean"
        elif (why := why_not(key)) is not None:
            message = f"a step cannot have the setting `{_short(key)}`: {why}"
            help = instead_of(key) or "leave it out"
        else:
            continue
        return Fault(code="DF172", message=message, help=help)
    return None


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


# From the arguments of a call


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a call, by name: those that were given, and are right. `spans` is where they stand."""

    given: Mapping[str, PolicyValue]
    spans: Mapping[str, Span]

    def policies(self) -> Policies:
        """The policies among them."""
        found = tuple([(name, self.given[name]) for name in POLICY_NAMES if name in self.given])
        if not found:
            return NO_POLICIES
        places = sorted([(self.spans[name].start, self.spans[name].end) for name, _ in found])
        return Policies(given=found, span=Span(places[0][0], places[-1][1]))

    def number(self, name: str, default: int) -> int:
        """A number among them."""
        value = self.given.get(name)
        return value if isinstance(value, int) else default

    def word(self, name: str, default: str) -> str:
        """A word among them."""
        value = self.given.get(name)
        return value if isinstance(value, str) else default


NO_OPTIONS = Options(given={}, spans={})


def options_of(
    function: str,
    values: Mapping[str, Value],
    spans: Mapping[str, Span],
    durations: AbstractSet[str],
    report: Report,
) -> Options:
    """What the checked arguments of a call say; `durations` are the names of those that are durations."""
    lengths = {name: value for name, value in values.items() if name in durations}
    given: dict[str, PolicyValue] = {**_durations(function, lengths, report)}
    for name, value in values.items():
        plain = None if name in durations else _plain(value)
        if plain is not None:
            given[name] = plain
    for name, plain in tuple(given.items()):
        fault = fault_of(name, plain)
        if fault is not None:
            value = values[name]
            where = value.items[fault.element].span if isinstance(value, Array) else value.span
            fix = quoted(where, str(plain), fault.near)
            report(error(fault.code, fault.message, where, help=fault.help, fix=fix))
            del given[name]
    return Options(given=given, spans=spans)


def _plain(value: Value) -> PolicyValue | None:
    match value:
        case Number(digits=digits):
            return int(digits) if "." not in digits else None
        case Truth():
            return value.value
        case String():
            return value.text.value
        case Document():
            return value.written
        case Array(items=items):
            return tuple([item.text.value for item in items if isinstance(item, String)])
        case _:
            return None


def _durations(function: str, values: Mapping[str, Value], report: Report) -> dict[str, Duration]:
    """Durations, all of one type, as PostgreSQL resolves `anycompatible`: numbers, texts or intervals."""
    numbers = [value for value in values.values() if isinstance(value, Number)]
    whole = not any("." in number.digits for number in numbers)
    intervals = any(isinstance(value, Typed) for value in values.values())
    found: dict[str, Duration] = {}
    for name, value in values.items():
        digits = _digits(value, whole) if numbers else None
        if (numbers and digits is None) or (intervals and isinstance(value, String) and value.typed):
            _report_mixture(function, name, value, numbers, report)
            return {}
        try:
            if digits is not None:
                found[name] = duration_of_seconds(digits)
            elif isinstance(value, String | Typed):
                found[name] = duration_of_text(_text(value))
        except DurationFault as fault:
            message = f"`{_short(digits or _text(value))}` {fault}"
            report(error("DF166", message, value.span, help=EXAMPLE))
    return found


def _digits(value: Value, whole: bool) -> str | None:
    """The number that an argument is next to numbers; a text counts where PostgreSQL would read it as one."""
    if isinstance(value, Number):
        return value.digits
    digits = number_of(value.text.value) if isinstance(value, String) and not value.typed else None
    return None if digits is None or (whole and "." in digits) else digits


def _text(value: Value) -> str:
    return value.text.value if isinstance(value, String) else value.text if isinstance(value, Typed) else ""


def _report_mixture(function: str, name: str, value: Value, numbers: list[Number], report: Report) -> None:
    kind = "a number" if numbers else "an interval"
    message = f"`{name}` is {described(value)}, and another duration of this `{function}` is {kind}"
    other = f"'{numbers[0].digits} s'" if numbers else "'5 s'"
    help = f"write both as text: `{other}`" if numbers else "write both as intervals, or both as text"
    report(error("DF167", message, value.span, help=help))
