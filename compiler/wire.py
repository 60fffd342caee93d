"""The wire text of an expression: what operators and df functions pass on, and df.instances stores.

docs/internals.md describes it. Reading and writing use a stack of their own, so that nesting costs no frames.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from dfc.compiler.ast import (
    NO_POLICIES,
    Atomic,
    Bind,
    Break,
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
    PolicyValue,
    Race,
    Ref,
    Retry,
    Sql,
    Step,
    Text,
    Timeout,
    Try,
    links,
)
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
from dfc.compiler.names import is_blank, is_identifier, is_reference, name_fault
from dfc.compiler.options import fault_of
from dfc.compiler.plan import Duration
from dfc.compiler.requests import are_headers, are_parts
from dfc.compiler.signatures import POLICY_NAMES, STEPS, Signature, Want
from dfc.compiler.span import Span
from dfc.compiler.wire_write import MARKER, VERSION
from dfc.compiler.wire_write import write as write

NESTING_MAX = 20_000

_HEAD = re.compile(r"/\*dfc:([0-9]{1,9}):([0-9]{1,9})\*/")
_KEYS = {
    "http": ("url", "method", "body", "headers", "timeout_seconds"),
    "multipart": ("url", "method", "parts", "headers", "timeout_seconds"),
}
_FUNCTIONS = {"multipart": "http_multipart"}
_METHOD = re.compile(r"[A-Z]{1,20}")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INT4 = 2**31
_INT8 = 2**63


class WireError(ValueError):
    """A text that is no expression. `code` is that of the diagnostic."""

    def __init__(self, message: str, code: str = "DF115") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An expression, or the problems that keep the text from being one.

    `draft` is then what can be made of the text, if anything, and `faults` are the problems of its holes, in
    written order. What else is wrong in it (names, statements, requests) shows when its text is parsed.
    """

    tree: Expression | None
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
    try:
        return Read(tree=decode(text))
    except WireError as first:
        faults: list[WireError] = []
        try:
            draft = decode(text, faults)
        except WireError:
            return Read(tree=None, problems=(_problem(first),))
        found = tuple([_problem(fault) for fault in faults])
        return Read(tree=None, problems=(_problem(first),), draft=draft, faults=found)


def _problem(fault: WireError) -> Diagnostic:
    help = "build it with `df.` functions and operators"
    return error(fault.code, fault.message, Span(0, 0), help=help)


def decode(wire: str, faults: list[WireError] | None = None) -> Expression:
    """The expression of a wire text. Raises WireError for any other text, however hostile.

    With `faults`: a node that is none becomes a hole, and what is wrong with it goes to the list. Names,
    statements and requests that are only wrong in what they say stay as they are.
    """
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
        return _Decoder(faults).decode(read_json(body, NESTING_MAX))
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
            policies = _policies(keys[0], values.pop())
            keys = keys[:-1]
        match keys, values:
            case ("sql",), [str() as query]:
                self._done.append(_statement(query, policies, self._lenient))
            case ("http" | "multipart" as kind,), [JsonObject() as request]:
                self._done.append(replace(_request(kind, request), policies=policies))
            case ("step", "body"), [str() as name, body]:
                text = self._name(name)
                self._later(lambda p: Step(name=text, body=p[0], policies=policies), body)
            case ("atomic",), [body]:
                self._later(lambda p: Atomic(body=p[0], policies=policies), body)
            case ("retry",), [body] if policies.given and policies.given[0][0] == "max_attempts":
                self._later(lambda p: Retry(body=p[0], policies=policies), body)
            case _ if policies.given or not self._structured(keys, values):
                raise WireError(f"a node of the expression has an unknown shape: {', '.join(keys)[:100]}")
            case _:
                pass

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
                duration = _checked("duration", _duration(length))
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
                most = _checked("max_parallel", _integer(parallel, _INT4))
                batch = _checked("batch_size", _integer(size, _INT4))
                word = _checked("on_error", on_error)
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


# Policies

_Checked = TypeVar("_Checked", int, str, Duration)


def _checked(name: str, value: _Checked) -> _Checked:
    """The value of an option that is allowed. Raises WireError for another one."""
    fault = fault_of(name, value)
    if fault is not None:
        raise WireError(fault.message, fault.code)
    return value


def _policies(function: str, document: Json) -> Policies:
    """The policies of a node of the function. Raises WireError for those that it does not take."""
    known = {p.name: p.want for p in (STEPS.get(_FUNCTIONS.get(function, function)) or Signature()).every}
    if not isinstance(document, JsonObject) or not document.pairs:
        raise WireError("the policies of the expression are not an object")
    keys = [key for key, _ in document.pairs]
    if keys != [name for name in POLICY_NAMES if name in keys and name in known]:
        raise WireError(f"a `{function}` of the expression has policies that it does not take")
    given = tuple([(key, _policy_value(key, known[key], value)) for key, value in document.pairs])
    for name, value in given:
        fault = fault_of(name, value)
        if fault is not None:
            raise WireError(fault.message, fault.code)
    return Policies(given=given)


def _policy_value(name: str, want: Want, value: Json) -> PolicyValue:
    match want, value:
        case Want.INTEGER, JsonNumber():
            return _integer(value, _INT4)
        case Want.BOOLEAN, bool():
            return value
        case Want.TEXT, str():
            return value
        case Want.DURATION, _:
            return _duration(value)
        case Want.LIST, JsonArray(items=items) if all(isinstance(item, str) for item in items):
            return tuple([item for item in items if isinstance(item, str)])
        case Want.JSON, JsonObject(pairs=pairs) if not any(
            isinstance(item, JsonObject | JsonArray) for _, item in pairs
        ):
            return write_jsonb(value)
        case _:
            raise WireError(f"the policy `{name}` of the expression is not written as df functions write it")


def _duration(value: Json) -> Duration:
    match value:
        case JsonArray(items=[JsonNumber() as months, JsonNumber() as days, JsonNumber() as microseconds]):
            return Duration(
                months=_integer(months, _INT4),
                days=_integer(days, _INT4),
                microseconds=_integer(microseconds, _INT8),
            )
        case _:
            raise WireError("a duration of the expression is not written as df functions write it")


def _integer(number: JsonNumber, limit: int) -> int:
    if _INTEGER.fullmatch(number.text) is None or not -limit <= int(number.text) < limit:
        raise WireError("a number of the expression is not written as df functions write it")
    return int(number.text)


def _request(kind: str, request: JsonObject) -> Http:
    """A request with constant arguments. Raises WireError for one that df.http would not write."""
    keys = tuple(key for key, _ in request.pairs)
    match [value for _, value in request.pairs]:
        case [str() as url, str() as method, content, headers, JsonNumber() as seconds]:
            sound = (
                keys == _KEYS[kind]
                and (headers is None or are_headers(headers))
                and _METHOD.fullmatch(method)
                and _INTEGER.fullmatch(seconds.text)
                and 0 < int(seconds.text) < _INT4
            )
            multipart = kind == "multipart" and are_parts(content)
            if sound and (multipart or (kind == "http" and (content is None or isinstance(content, str)))):
                return Http(
                    url=Text(value=url),
                    method=method,
                    body=Text(value=content) if isinstance(content, str) else None,
                    headers=None if headers is None else write_jsonb(headers),
                    timeout_seconds=int(seconds.text),
                    parts=write_jsonb(content) if multipart else None,
                )
        case _:
            pass
    raise WireError("a request of the expression is not written as df.http writes it")
