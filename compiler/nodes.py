"""The node that a call of a step function makes, from arguments that have their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfc.compiler.ast import (
    DEFAULT_EVERY,
    NO_POLICIES,
    Atomic,
    Bind,
    Break,
    CallWorkflow,
    Chain,
    Compensate,
    Expression,
    FanOut,
    Hole,
    Http,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Policies,
    Race,
    Ref,
    Retry,
    Sleep,
    Sql,
    Step,
    Text,
    Timeout,
    Try,
    WaitFor,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
    links,
    placeholder,
)
from dfc.compiler.calls import Report, quoted
from dfc.compiler.cron import CRON_EXAMPLE, cron_fault, is_zone, nearest_zone, zone_help
from dfc.compiler.diagnostics import error
from dfc.compiler.moments import MOMENT_EXAMPLE, in_utc, moment_fault
from dfc.compiler.names import is_blank, is_reference, refers
from dfc.compiler.options import NO_OPTIONS, Options, options_of
from dfc.compiler.plan import Duration
from dfc.compiler.requests import METHODS, MULTIPART_METHODS, are_headers, are_parts, is_url
from dfc.compiler.signatures import POLICY_NAMES, STEPS, Want
from dfc.compiler.span import Span
from dfc.compiler.values import Document, Number, String, Truth, Typed, Value, described, expressions
from dfc.compiler.wire import MARKER

WAITS = frozenset(
    {"sleep", "wait_until", "wait_for_schedule", "wait_for_signal", "wait_for", "call", "wait_for_instance"}
)
GROUPS = frozenset({"seq", "join", "join3", "parallel", "race"})
_OPTIONS = frozenset(
    {
        *POLICY_NAMES,
        "on_failure",
        "compensate",
        "max_parallel",
        "batch_size",
        "on_error",
        "duration",
        "seconds",
        "timeout_seconds",
        "every",
    }
)
_MOMENT_TYPES = frozenset({"timestamptz", "timestamp with time zone"})
_SHOWN_MAX = 70
_ONE_SECOND = Duration(microseconds=1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of the function `df.<name>`, its arguments checked: expressions apart from other values.

    What was left out, NULL or wrong is not there. `spans` has where each argument stands, its name included;
    `listed` are the branches of a variadic function.
    """

    name: str
    span: Span
    values: Mapping[str, Value]
    spans: Mapping[str, Span]
    parts: Mapping[str, Expression]
    listed: tuple[Expression, ...] = ()

    @property
    def children(self) -> tuple[Expression, ...]:
        """All expressions among the arguments, in order."""
        return (*self.listed, *self.parts.values())

    def part(self, name: str) -> Expression:
        """An expression; a hole where there is none, which has been reported."""
        return self.parts.get(name, Hole(span=self.span))

    def text(self, name: str, default: str = "") -> Text:
        """A text."""
        value = self.values.get(name)
        return value.text if isinstance(value, String) else Text(value=default, span=self.span)


class Nodes:
    """Makes nodes; what is wrong with the values goes to `report`."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def _fault(self, code: str, message: str, span: Span, *, help: str) -> None:
        self._report(error(code, message, span, help=help))

    def make(self, call: Call) -> Expression:
        """The node of a call. What is wrong in it is left out, or a hole."""
        options = self._options(call)
        if call.name in GROUPS:
            return _group(call, options)
        match call.name:
            case "sql":
                return self.statement(call.text("query"), call.span, options.policies())
            case "step":
                policies = options.policies()
                return Step(name=call.text("name"), body=call.part("body"), policies=policies, span=call.span)
            case "as":
                return Bind(name=call.text("name"), body=call.part("fut"), span=call.span)
            case "http" | "http_multipart":
                return self._request(call, options.policies())
            case "break":
                node = Break(value=self._break_value(call), span=call.span)
                strays = expressions([call.values["value"]] if "value" in call.values else ())
                return placeholder((node, *strays), call.span) if strays else node
            case "map":
                return self._map(call, options)
            case name if name in WAITS:
                return self._waiting(call, options)
            case _:
                return _structure(call, options)

    def _options(self, call: Call) -> Options:
        given = {name: value for name, value in call.values.items() if name in _OPTIONS}
        seconds = given.get("seconds")
        if isinstance(seconds, String) and refers(seconds.text.value):
            del given["seconds"]
        if not given:
            return NO_OPTIONS
        wants = {p.name: p.want for p in STEPS[call.name].every}
        durations = {name for name in given if wants[name] is Want.DURATION}
        return options_of(f"df.{call.name}", given, call.spans, durations, self._report)

    def statement(self, query: Text, span: Span, policies: Policies = NO_POLICIES) -> Expression:
        """A SQL step, or the value of a reference that stands alone."""
        if MARKER in query.value:
            help = "write the expression itself, without `df.sql`"
            self._fault("DF115", "this statement has a piece of an expression in it", span, help=help)
            return Hole(span=span)
        if is_blank(query.value):
            self._fault("DF116", "this step is empty", span, help="write one SQL statement")
            return Hole(span=span)
        if not is_reference(query.value):
            return Sql(query=query, policies=policies, span=span)
        if policies.given:
            message = f"`{query.value}` is a value, and `{policies.given[0][0]}` goes with a statement"
            help = f"write the statement that it stands for: `SELECT {query.value}`"
            self._fault("DF175", message, query.span, help=help)
        return Ref(text=query, span=span)

    def _break_value(self, call: Call) -> Text | None:
        """The text that the value of a break is."""
        value = call.values.get("value")
        match value:
            case None:
                return None
            case String(text=text) if MARKER in text.value:
                help = "write a constant, or name the step and write `'$name'`"
                self._fault("DF115", "this text has a piece of an expression in it", value.span, help=help)
                return None
            case String(text=text):
                return text
            case Number(digits=digits):
                return Text(value=digits, span=value.span)
            case Truth(value=truth):
                return Text(value="true" if truth else "false", span=value.span)
            case Document(written=written):
                return Text(value=written, span=value.span)
            case Typed():
                message = f"{described(value)} as text cannot be computed while compiling"
                self._fault("DF165", message, value.span, help="write the text itself, in quotes")
                return None
            case _:
                message = f"{described(value)} cannot be the value of `df.break`"
                help = "write a text, number, boolean or jsonb; `'$name'` is the result of a step"
                self._fault("DF173", message, value.span, help=help)
                return None

    def _waiting(self, call: Call, options: Options) -> Expression:
        """The node of a function that waits; a hole where what it waits for is wrong."""
        span = call.span
        timeout = self._wait(
            call, options, "timeout_seconds" if call.name == "wait_for_signal" else "timeout"
        )
        match call.name:
            case "sleep":
                written = call.values.get("seconds")
                if isinstance(written, String) and refers(written.text.value):
                    return Sleep(duration=written.text, span=span)
                length = self._wait(call, options, "seconds")
                return Hole(span=span) if length is None else Sleep(duration=length, span=span)
            case "wait_until":
                at = self._moment(call.values["at"])
                return Hole(span=span) if at is None else WaitUntil(at=at, span=span)
            case "wait_for_schedule":
                zone = call.text("time_zone").value if "time_zone" in call.values else None
                if not self._is_schedule(call, zone):
                    return Hole(span=span)
                return WaitSchedule(cron=call.text("cron_expr"), time_zone=zone, span=span)
            case "wait_for_signal":
                name = call.text("name")
                known = self._is_given(name, "name of the signal", "write the name that `df.signal` sends")
                return WaitSignal(name=name, timeout=timeout, span=span) if known else Hole(span=span)
            case "wait_for_instance":
                instance = call.text("instance_id")
                known = self._is_given(instance, "id", "write the id, or a reference: `'$started'`")
                return (
                    WaitInstance(instance=instance, timeout=timeout, span=span) if known else Hole(span=span)
                )
            case "wait_for":
                every = self._wait(call, options, "every") or DEFAULT_EVERY
                return WaitFor(query=self._asked(call), every=every, timeout=timeout, span=span)
            case _:
                given = call.values.get("input")
                return CallWorkflow(
                    workflow=call.text("workflow"),
                    input=given.written if isinstance(given, Document) else None,
                    policies=options.policies(),
                    span=span,
                )

    def _wait(self, call: Call, options: Options, name: str) -> Duration | None:
        """The length of a wait among the options, None where there is none."""
        length = options.given.get(name)
        return length if isinstance(length, Duration) and call.name != "call" else None

    def _moment(self, at: Value) -> Text | None:
        """The text of a moment; None where it is none, which has been reported."""
        if isinstance(at, Typed):
            known = in_utc(at.text) if at.type in _MOMENT_TYPES else None
            if known is not None:
                return Text(value=known, span=at.span)
            message = f"what {described(at)} is depends on the session"
            self._fault("DF165", message, at.span, help="write the text itself, in quotes")
            return None
        if not isinstance(at, String):
            message = f"`at` is {described(at)}, not a time"
            self._fault("DF159", message, at.span, help=MOMENT_EXAMPLE)
            return None
        text = at.text
        fault = "" if refers(text.value) else moment_fault(text.value)
        if fault:
            self._fault("DF181", f"`{_short(text.value)}` {fault}", at.span, help=MOMENT_EXAMPLE)
        return None if fault else text

    def _is_schedule(self, call: Call, zone: str | None) -> bool:
        """Whether the cron expression and the time zone are some; what is wrong is reported."""
        cron = call.text("cron_expr")
        fault = cron_fault(cron.value)
        if fault:
            message = f"`{_short(cron.value)}` is not a cron expression: {fault}"
            self._fault("DF182", message, cron.span, help=CRON_EXAMPLE)
        if zone is not None and not is_zone(zone):
            where = call.values["time_zone"].span
            meant = nearest_zone(zone)
            message, fix = f"`{_short(zone)}` is not a time zone", quoted(where, zone, meant)
            self._report(error("DF184", message, where, help=zone_help(meant), fix=fix))
            return False
        return not fault

    def _is_given(self, text: Text, what: str, help: str) -> bool:
        """Whether a text says something at all."""
        if is_blank(text.value):
            self._fault("DF185", f"the {what} is empty", text.span, help=help)
            return False
        return True

    def _asked(self, call: Call) -> Expression:
        """What `df.wait_for` asks: one statement or request; a hole around anything else."""
        query = call.part("query")
        if isinstance(query, Sql | Http | Hole) or isinstance(links(query)[-1], Hole):
            return query
        message = "`df.wait_for` asks one query again and again"
        help = "write a query in quotes; for several steps write `df.loop(steps ~> df.sleep(...), condition)`"
        if isinstance(query, Ref):
            message = f"`{query.text.value}` stays what it is, however often it is asked"
            help = "write a query in quotes"
        self._fault("DF180", message, query.span, help=help)
        return Hole(children=(query,), span=query.span)

    def _map(self, call: Call, options: Options) -> Expression:
        items = call.part("items")
        if not isinstance(items, Ref | Hole) and not (isinstance(items, Sql) and not items.policies.given):
            if not isinstance(links(items)[-1], Hole):
                message = "the items of `df.map` are the rows of a query, or a reference"
                help = "write the query in quotes, or name the step before and write `'$name'`"
                self._fault("DF174", message, items.span, help=help)
            items = Hole(children=(items,), span=items.span)
        return Map(
            items=items,
            body=call.part("body"),
            name=call.text("name", "item"),
            max_parallel=options.number("max_parallel", 16),
            batch_size=options.number("batch_size", 1),
            on_error=options.word("on_error", "fail"),
            span=call.span,
        )

    def _request(self, call: Call, policies: Policies) -> Expression:
        """A request with constant arguments."""
        faults = 0
        url = call.text("url")
        if not is_url(url.value):
            faults += 1
            shown = url.value if len(url.value) <= 70 else url.value[:67] + "..."
            help = "begin it with `http://` or `https://`, or with a reference"
            self._fault("DF114", f"`{shown}` is not an http address", url.span, help=help)
        multipart = call.name == "http_multipart"
        known = MULTIPART_METHODS if multipart else METHODS
        method = call.text("method", "POST").value.upper()
        if method not in known:
            faults += 1
            what = "a method for a multipart request" if multipart else "an HTTP method"
            where = call.values["method"].span
            self._fault("DF114", f"`{method}` is not {what}", where, help=f"use one of {', '.join(known)}")
        timeout = call.values.get("timeout_seconds")
        seconds = int(timeout.digits) if isinstance(timeout, Number) else 30
        if seconds <= 0:
            faults += 1
            where = timeout.span if timeout else call.span
            self._fault("DF114", "`timeout_seconds` has to be positive", where, help="write 1 or more")
        headers = call.values.get("headers")
        written = headers.written if isinstance(headers, Document) and headers.value is not None else None
        if isinstance(headers, Document) and headers.value is not None and not are_headers(headers.value):
            faults += 1
            help = """write them as '{"Accept": "text/csv"}'"""
            self._fault("DF114", "`headers` has to be an object of strings", headers.span, help=help)
        parts = call.values.get("parts")
        if isinstance(parts, Document) and not are_parts(parts.value):
            faults += 1
            help = """write them as '[{"name": "file", "filename": "a.csv", "data_b64": "..."}]'"""
            message = "`parts` has to be an array of objects with `name` and `data_b64`"
            self._fault("DF114", message, parts.span, help=help)
        node = Http(
            url=url,
            method=method,
            body=call.text("body") if "body" in call.values else None,
            headers=written,
            timeout_seconds=seconds,
            parts=parts.written if isinstance(parts, Document) else None,
            policies=policies,
            span=call.span,
        )
        return placeholder((node,), call.span) if faults else node


def _group(call: Call, options: Options) -> Expression:
    """The node of a function of any number of branches."""
    branches = call.children
    cancels = options.word("on_failure", "wait") == "cancel"
    match call.name:
        case "seq" if len(branches) == 1:
            return branches[0]
        case "seq":
            return Chain(items=tuple(item for child in branches for item in links(child)), span=call.span)
        case "join" | "join3":
            return Join(branches=branches, cancels=cancels, span=call.span)
        case "parallel":
            return FanOut(branches=branches, cancels=cancels, span=call.span)
        case _:
            return Race(arms=branches, span=call.span)


def _structure(call: Call, options: Options) -> Expression:
    """The node of a function that runs parts of its own."""
    span, parts = call.span, call.parts
    match call.name:
        case "if":
            return If(
                condition=call.part("condition"),
                then=call.part("then_branch"),
                otherwise=parts.get("else_branch"),
                span=span,
            )
        case "if_rows":
            return IfRows(
                name=call.text("result_name"),
                then=call.part("then_branch"),
                otherwise=parts.get("else_branch"),
                span=span,
            )
        case "loop":
            keeps = options.word("compensate", "") == "all"
            return Loop(body=call.part("body"), condition=parts.get("condition"), keep_undos=keeps, span=span)
        case "atomic":
            return Atomic(body=call.part("body"), policies=options.policies(), span=span)
        case "retry":
            policies = options.policies()
            if "max_attempts" not in options.given:
                policies = Policies(given=(("max_attempts", 1), *policies.given), span=span)
            return Retry(body=call.part("body"), policies=policies, span=span)
        case "timeout":
            duration = options.given.get("duration")
            return Timeout(
                body=call.part("body"),
                duration=duration if isinstance(duration, Duration) else _ONE_SECOND,
                otherwise=parts.get("else_branch"),
                span=span,
            )
        case "try":
            return Try(
                body=call.part("body"), catch=call.part("catch"), final=parts.get("finally"), span=span
            )
        case "compensate":
            return Compensate(body=call.part("do"), undo=call.part("undo"), span=span)
        case _:
            raise AssertionError(call.name)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
