"""The wire text of an expression: what operators and df functions pass on, and df.instances stores.

docs/internals.md describes it. Reading and writing use a stack of their own, so that nesting costs no frames.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from dfc.compiler.ast import (
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
)
from dfc.compiler.cron import cron_fault, is_zone
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.json_text import (
    Json,
    JsonArray,
    JsonFault,
    JsonNumber,
    JsonObject,
    read_json,
    write_jsonb,
)
from dfc.compiler.moments import moment_fault
from dfc.compiler.names import is_blank, is_identifier, is_reference, name_fault, refers
from dfc.compiler.params import Params, ParamsFault, declared
from dfc.compiler.plan import Duration
from dfc.compiler.span import Span
from dfc.compiler.wire_values import INT4, checked, duration_of, integer, policies_of, request_of, wait
from dfc.compiler.wire_values import WireError as WireError
from dfc.compiler.wire_write import MARKER, VERSION
from dfc.compiler.wire_write import write as write

NESTING_MAX = 20_000

_HEAD = re.compile(r"/\*dfc:([0-9]{1,9}):([0-9]{1,9})\*/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An expression, or the problems that keep the text from being one.

    `draft` is then what can be made of the text, if anything, and `faults` are the problems of its holes, in
    written order. What else is wrong in it (names, statements, requests) shows when its text is parsed.
    `params` are the inputs that a definition declares around its expression.
    """

    tree: Expression | None
    params: Params | None = None
    problems: tuple[Diagnostic, ...] = ()
    draft: Expression | None = None
    faults: tuple[Diagnostic, ...] = ()


def read(text: str) -> Read:
    """The expression of a wire text, or of plain SQL as `df.start` takes it; problems are in the result."""
    try:
        if MARKER in text or text.startswith("/*dfc:"):
            return _decoded(text)
        if is_blank(text):
            raise WireError("the workflow is empty", "DF116")
        if is_identifier(text):
            raise WireError("the text is one bare word, not a workflow", "DF112")
        return Read(tree=_statement(text, NO_POLICIES, lenient=False))
    except WireError as fault:
        return Read(tree=None, problems=(_problem(fault),))


def _decoded(text: str) -> Read:
    params, document = _definition(_document(text))
    try:
        return Read(tree=_Decoder(None).decode(document), params=params)
    except WireError as first:
        faults: list[WireError] = []
        draft = _Decoder(faults).decode(document)
        found = tuple([_problem(fault) for fault in faults])
        return Read(tree=None, params=params, problems=(_problem(first),), draft=draft, faults=found)


def _definition(document: Json) -> tuple[Params | None, Json]:
    """The declared inputs around an expression, and the expression. Raises WireError for faulty ones."""
    match document:
        case JsonObject(pairs=(("params", given), ("body", body))):
            try:
                return declared(given), body
            except ParamsFault as fault:
                raise WireError(str(fault), "DF186") from None
        case _:
            return None, document


def _problem(fault: WireError) -> Diagnostic:
    help = "build it with `df.` functions and operators"
    return error(fault.code, fault.message, Span(0, 0), help=help)


def decode(wire: str, faults: list[WireError] | None = None) -> Expression:
    """The expression of a wire text. Raises WireError for any other text, however hostile.

    With `faults`: a node that is none becomes a hole, and what is wrong with it goes to the list. Names,
    statements and requests that are only wrong in what they say stay as they are.
    """
    return _Decoder(faults).decode(_document(wire))


def _document(wire: str) -> Json:
    """The JSON in a wire text. Raises WireError where there is none."""
    head = _HEAD.match(wire)
    if head is None:
        raise WireError("the text does not begin with the marker of an expression")
    if head[1] != str(VERSION):
        raise WireError(f"version {head[1]} of the wire text is unknown; this program knows {VERSION}")
    body = wire[head.end() :]
    if len(body) != int(head[2]):
        raise WireError("text was joined to an expression, or a part of it was cut off")
    if "\0" in body:
        raise WireError("an expression cannot have the character NUL")
    try:
        wire.encode()
        return read_json(body, NESTING_MAX)
    except UnicodeEncodeError:
        raise WireError("an expression cannot have half of a character (a lone surrogate)") from None
    except JsonFault as fault:
        raise WireError(f"the expression is not written as df functions write it: {fault}") from None


_Make = Callable[[tuple[Expression, ...]], Expression]


@dataclass(frozen=True, slots=True)
class _Join:
    """Put the last `count` finished nodes together."""

    count: int
    make: _Make


class _Decoder:
    """Makes nodes of JSON, the innermost first, with a stack of its own."""

    def __init__(self, faults: list[WireError] | None) -> None:
        self._faults = faults
        self._lenient = faults is not None
        self._todo: list[Json | _Join] = []
        self._done: list[Expression] = []

    def decode(self, document: Json) -> Expression:
        """The expression that a JSON value stands for."""
        self._todo.append(document)
        while self._todo:
            task = self._todo.pop()
            try:
                if isinstance(task, _Join):
                    parts = tuple(self._done[len(self._done) - task.count :])
                    del self._done[len(self._done) - task.count :]
                    self._done.append(task.make(parts))
                else:
                    self._node(task)
            except WireError as fault:
                if self._faults is None:
                    raise
                self._faults.append(fault)
                self._done.append(Hole())
        return self._done[0]

    def _later(self, make: _Make, *parts: Json) -> None:
        """Make a node of its parts when they are finished."""
        self._todo.append(_Join(len(parts), make))
        self._todo += reversed(parts)

    def _node(self, document: Json) -> None:
        """Finish a node, or put off what it is made of."""
        if not isinstance(document, JsonObject) or not document.pairs:
            raise WireError("a node of the expression is not an object")
        keys = tuple(key for key, _ in document.pairs)
        values = [value for _, value in document.pairs]
        policies = NO_POLICIES
        if keys[-1] == "policy" and len(keys) > 1:
            policies = policies_of(keys[0], values.pop())
            keys = keys[:-1]
        match keys, values:
            case ("sql",), [str() as query]:
                self._done.append(_statement(query, policies, self._lenient))
            case ("http" | "multipart" as kind,), [JsonObject() as request]:
                self._done.append(replace(request_of(kind, request), policies=policies))
            case ("step", "body"), [str() as name, body]:
                text = self._name(name)
                self._later(lambda p: Step(name=text, body=p[0], policies=policies), body)
            case ("atomic",), [body]:
                self._later(lambda p: Atomic(body=p[0], policies=policies), body)
            case ("retry",), [body] if policies.given and policies.given[0][0] == "max_attempts":
                self._later(lambda p: Retry(body=p[0], policies=policies), body)
            case ("call", *_), _ if (call := self._call(keys, values, policies)) is not None:
                self._done.append(call)
            case _ if policies.given or not (self._waits(keys, values) or self._structured(keys, values)):
                raise WireError(f"a node of the expression has an unknown shape: {', '.join(keys)[:100]}")
            case _:
                pass

    def _call(self, keys: tuple[str, ...], values: list[Json], policies: Policies) -> CallWorkflow | None:
        """The call of a workflow that a node is, None where it is none."""
        match keys, values:
            case ("call",), [str() as name]:
                return CallWorkflow(workflow=self._name(name), policies=policies)
            case ("call", "input"), [str() as name, given]:
                return CallWorkflow(workflow=self._name(name), input=write_jsonb(given), policies=policies)
            case _:
                return None

    def _waits(self, keys: tuple[str, ...], values: list[Json]) -> bool:
        """Take a node that waits; whether it is one."""
        match keys, values:
            case ("sleep",), [str() as written]:
                if not refers(written):
                    raise WireError("a sleep of the expression is no duration", "DF166")
                self._done.append(Sleep(duration=Text(value=written)))
            case ("sleep",), [length]:
                self._done.append(Sleep(duration=wait("seconds", length)))
            case ("wait_until",), [str() as at]:
                self._said("DF181", "" if refers(at) else moment_fault(at), at)
                self._done.append(WaitUntil(at=Text(value=at)))
            case ("wait_for_schedule", *zones), [str() as cron, *rest] if zones in ([], ["time_zone"]):
                zone = rest[0] if rest else None
                if zone is not None and not isinstance(zone, str):
                    return False
                self._said("DF182", cron_fault(cron), cron)
                self._said("DF184", "" if zone is None or is_zone(zone) else "is not a time zone", zone or "")
                self._done.append(WaitSchedule(cron=Text(value=cron), time_zone=zone))
            case ("wait_for_signal" | "wait_for_instance" as kind, *limits), [str() as name, *rest] if (
                limits in ([], ["timeout"])
            ):
                self._said("DF185", "is empty" if is_blank(name) else "", name)
                timeout = wait("timeout", rest[0]) if rest else None
                text = Text(value=name)
                self._done.append(
                    WaitSignal(name=text, timeout=timeout)
                    if kind == "wait_for_signal"
                    else WaitInstance(instance=text, timeout=timeout)
                )
            case ("wait_for", "every", *limits), [query, every, *rest] if limits in ([], ["timeout"]):
                self._wait_for(query, wait("every", every), wait("timeout", rest[0]) if rest else None)
            case _:
                return False
        return True

    def _wait_for(self, query: Json, every: Duration, timeout: Duration | None) -> None:
        def make(parts: tuple[Expression, ...]) -> Expression:
            if not isinstance(parts[0], Sql | Http) and not self._lenient:
                raise WireError("what a `wait_for` of the expression asks is not one query", "DF180")
            return WaitFor(query=parts[0], every=every, timeout=timeout)

        self._later(make, query)

    def _said(self, code: str, fault: str, value: str) -> None:
        """Refuse a text that the functions refuse; a draft keeps it, to be refused where it is written."""
        if fault and not self._lenient:
            raise WireError(f"`{value[:70]}`: {fault}", code)

    def _structured(self, keys: tuple[str, ...], values: list[Json]) -> bool:
        """Take a node without policies; whether it is one."""
        match keys, values:
            case ("as", "body"), [str() as name, body]:
                text = self._name(name)
                self._later(lambda p: Bind(name=text, body=p[0]), body)
            case ("chain" | "join" | "parallel" | "race" as kind,), [JsonArray(items=items)]:
                self._group(kind, items, cancels=False)
            case ("join" | "parallel" as kind, "on_failure"), [JsonArray(items=items), "cancel"]:
                self._group(kind, items, cancels=True)
            case ("if", "then") | ("if", "then", "else"), _:
                self._later(lambda p: If(condition=p[0], then=p[1], otherwise=_third(p)), *values)
            case ("if_rows", "then") | ("if_rows", "then", "else"), [str() as name, *branches]:
                text = self._name(name)
                self._later(lambda p: IfRows(name=text, then=p[0], otherwise=_second(p)), *branches)
            case ("break",), [None]:
                self._done.append(Break())
            case ("break",), [str() as value] if self._lenient or MARKER not in value:
                self._done.append(Break(value=Text(value=value)))
            case ("loop", *rest), [*_] if rest in ([], ["while"], ["compensate"], ["while", "compensate"]):
                keeps = rest[-1:] == ["compensate"]
                if keeps and values.pop() != "all":
                    return False
                self._later(lambda p: Loop(body=p[0], condition=_second(p), keep_undos=keeps), *values)
            case ("map", "body", "name", "max_parallel", "batch_size", "on_error"), [items, body, *rest]:
                self._map(items, body, rest)
            case ("timeout", "duration") | ("timeout", "duration", "else"), [body, length, *rest]:
                duration = checked("duration", duration_of(length))
                self._later(
                    lambda p: Timeout(body=p[0], duration=duration, otherwise=_second(p)), body, *rest
                )
            case ("try", "catch") | ("try", "catch", "finally"), _:
                self._later(lambda p: Try(body=p[0], catch=p[1], final=_third(p)), *values)
            case ("compensate", "undo"), _:
                self._later(lambda p: Compensate(body=p[0], undo=p[1]), *values)
            case _:
                return False
        return True

    def _name(self, name: str, reserved: str | None = None) -> Text:
        fault = "" if self._lenient or name == reserved else name_fault(name)
        if fault:
            raise WireError(f"the name `{name[:70]}` {fault}", "DF113")
        return Text(value=name)

    def _group(self, kind: str, items: tuple[Json, ...], *, cancels: bool) -> None:
        if len(items) < (2 if kind == "chain" else 1):
            raise WireError(f"a `{kind}` of the expression has too few parts")
        makers: dict[str, _Make] = {
            "chain": self._chain,
            "join": lambda parts: Join(branches=parts, cancels=cancels),
            "parallel": lambda parts: FanOut(branches=parts, cancels=cancels),
            "race": lambda parts: Race(arms=parts),
        }
        self._later(makers[kind], *items)

    def _chain(self, parts: tuple[Expression, ...]) -> Expression:
        if any(isinstance(part, Chain) for part in parts):
            fault = WireError("a chain of the expression is not flat")
            if self._faults is None:
                raise fault
            self._faults.append(fault)
            parts = (*[item for part in parts for item in links(part)], Hole())
        return Chain(items=parts)

    def _map(self, items: Json, body: Json, rest: list[Json]) -> None:
        match rest:
            case [str() as name, JsonNumber() as parallel, JsonNumber() as size, str() as on_error]:
                most = checked("max_parallel", integer(parallel, INT4))
                batch = checked("batch_size", integer(size, INT4))
                word = checked("on_error", on_error)
                text = self._name(name, "item")
            case _:
                raise WireError("a `map` of the expression is not written as df.map writes it")

        def make(parts: tuple[Expression, ...]) -> Expression:
            found = parts[0]
            sound = isinstance(found, Ref) or (isinstance(found, Sql) and not found.policies.given)
            if not sound and not self._lenient:
                raise WireError("the items of a `map` of the expression are not a query or a reference")
            return Map(
                items=found, body=parts[1], name=text, max_parallel=most, batch_size=batch, on_error=word
            )

        self._later(make, items, body)


def _second(parts: tuple[Expression, ...]) -> Expression | None:
    return parts[1] if len(parts) > 1 else None


def _third(parts: tuple[Expression, ...]) -> Expression | None:
    return parts[2] if len(parts) > 2 else None


def _statement(query: str, policies: Policies, lenient: bool) -> Expression:
    if not lenient and MARKER in query:
        raise WireError("a step has a piece of another expression in it")
    if not lenient and is_blank(query):
        raise WireError("a step of the expression is empty", "DF116")
    if is_reference(query) and not policies.given:
        return Ref(text=Text(value=query))
    return Sql(query=Text(value=query), policies=policies)
