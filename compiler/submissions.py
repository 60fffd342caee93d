"""The arguments of df.start, df.define and df.schedule that are no workflows: checked, as texts for SQL."""

from __future__ import annotations

from collections.abc import Mapping

from dfc.compiler.calls import Report, quoted
from dfc.compiler.cron import CRON_EXAMPLE, cron_fault, is_zone, nearest_zone, zone_help
from dfc.compiler.diagnostics import error
from dfc.compiler.durations import duration_text
from dfc.compiler.moments import MOMENT_EXAMPLE, moment_fault
from dfc.compiler.nearness import near
from dfc.compiler.options import options_of
from dfc.compiler.params import PARAMS_EXAMPLE, Params, ParamsFault, declared
from dfc.compiler.plan import Duration
from dfc.compiler.signatures import SUBMISSIONS, Want
from dfc.compiler.span import Span
from dfc.compiler.values import Document, Number, String, Truth, Typed, Value

_TRANSACTION_MODES = ("caller", "new")
_WORDS = {"overlap": ("skip", "queue", "allow"), "catch_up": ("none", "last", "all")}
_SHOWN_MAX = 70


def options_text(
    function: str, values: Mapping[str, Value], spans: Mapping[str, Span], report: Report
) -> tuple[tuple[str, str], ...]:
    """What was given, by name, in the order of the function; each as the text that SQL reads as its type."""
    wants = {p.name: p.want for p in SUBMISSIONS[function].every}
    lengths = {name for name in values if wants[name] is Want.DURATION}
    durations = options_of(
        f"df.{function}", {name: values[name] for name in lengths}, spans, lengths, report
    ).given
    found: dict[str, str] = {}
    for name in wants:
        value = values.get(name)
        if value is None:
            continue
        length = durations.get(name)
        if isinstance(length, Duration):
            found[name] = duration_text(length)
        elif name not in lengths:
            found[name] = _text(value)
    _check(values, report)
    return tuple(found.items())


def params_of(values: Mapping[str, Value], report: Report) -> Params | None:
    """The inputs that a definition declares."""
    given = values.get("params")
    if not isinstance(given, Document):
        return None
    try:
        return declared(given.value)
    except ParamsFault as fault:
        report(error("DF186", str(fault), given.span, help=PARAMS_EXAMPLE))
        return None


def _text(value: Value) -> str:
    match value:
        case String(text=text):
            return text.value
        case Number(digits=digits):
            return digits
        case Truth(value=truth):
            return "true" if truth else "false"
        case Document(written=written):
            return written
        case Typed(text=text):
            return text
        case _:
            raise AssertionError(f"{value} came through the check of its type")


def _check(values: Mapping[str, Value], report: Report) -> None:
    """What can be said of the values without a database."""
    for name, value in values.items():
        match name, value:
            case ("transaction_mode", String(text=text)) if text.value.lower() not in _TRANSACTION_MODES:
                help = "write 'caller', or leave it out"
                report(error("DF159", "`transaction_mode` is 'caller' or 'new'", value.span, help=help))
            case (("overlap" | "catch_up"), String(text=text)) if text.value not in _WORDS[name]:
                known = " or ".join(f"`'{word}'`" for word in _WORDS[name])
                message = f"`{name}` is {known}, not `{_short(text.value)}`"
                meant = near(text.value.lower(), _WORDS[name])
                fix = quoted(value.span, text.value, meant)
                help = f"write `'{meant.word}'`" if meant else f"write {known}"
                report(error("DF169", message, value.span, help=help, fix=fix))
            case ("start_at", String(text=text)) if fault := moment_fault(text.value):
                message = f"`{_short(text.value)}` {fault}"
                report(error("DF181", message, value.span, help=MOMENT_EXAMPLE))
            case ("cron", String(text=text)) if fault := cron_fault(text.value):
                message = f"`{_short(text.value)}` is not a cron expression: {fault}"
                report(error("DF182", message, value.span, help=CRON_EXAMPLE))
            case ("time_zone", String(text=text)) if not is_zone(text.value):
                message = f"`{_short(text.value)}` is not a time zone"
                meant = nearest_zone(text.value)
                fix = quoted(value.span, text.value, meant)
                report(error("DF184", message, value.span, help=zone_help(meant), fix=fix))
            case _:
                pass


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
