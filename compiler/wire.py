"""The wire text of an expression: what operators and df functions pass on, and df.instances stores.

docs/internals.md describes it. Reading and writing use a stack of their own, so that nesting costs no frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from dfc.compiler.ast import Bind, Chain, Expression, FanOut, Hole, Http, Join, Later, Sql, Step, Text, links
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.json_text import (
    Json,
    JsonArray,
    JsonFault,
    JsonNumber,
    JsonObject,
    quote_json,
    read_json,
    write_jsonb,
)
from dfc.compiler.names import LONE_REFERENCE, is_blank, is_identifier, is_reference, name_fault
from dfc.compiler.span import Span

VERSION = 1
MARKER = f"/*dfc:{VERSION}:"
NESTING_MAX = 20_000

_HEAD = re.compile(r"/\*dfc:([0-9]{1,9}):([0-9]{1,9})\*/")
_HTTP_KEYS = ("url", "method", "body", "headers", "timeout_seconds")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TIMEOUT_MAX = 2**31 - 1


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


def write(expression: Expression) -> str:
    """The wire text of an expression. Raises ValueError for a construct that has none yet (`Later`)."""
    parts: list[str] = []
    stack: list[Expression | str] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
            continue
        match node:
            case Sql():
                parts.append(f'{{"sql":{quote_json(node.query.value)}}}')
            case Http():
                parts.append(_http_text(node))
            case Step():
                parts.append(f'{{"step":{quote_json(node.name.value)},"body":')
                stack += ("}", node.body)
            case Bind():
                parts.append(f'{{"as":{quote_json(node.name.value)},"body":')
                stack += ("}", node.body)
            case Chain():
                stack += _group("chain", node.items)
            case Join():
                stack += _group("join", node.branches)
            case FanOut():
                stack += _group("parallel", node.branches)
            case Later():
                raise ValueError(f"`{node.construct}` has no wire form yet")
            case Hole():
                raise ValueError("a faulty part has no wire form")
            case _:
                assert_never(node)
    body = "".join(parts)
    return f"{MARKER}{len(body)}*/{body}"


def _group(key: str, items: Sequence[Expression]) -> list[Expression | str]:
    """What to push so that the parts come off the stack in written order."""
    pushed: list[Expression | str] = ["]}"]
    for item in reversed(items):
        pushed += (item, ",")
    pushed[-1] = f'{{"{key}":['
    return pushed


def _http_text(node: Http) -> str:
    body = "null" if node.body is None else quote_json(node.body.value)
    return (
        f'{{"http":{{"url":{quote_json(node.url.value)},"method":{quote_json(node.method)},"body":{body},'
        f'"headers":{node.headers or "null"},"timeout_seconds":{node.timeout_seconds}}}}}'
    )


def read(text: str) -> Read:
    """The expression of a wire text, or of plain SQL as `df.start` takes it; problems are in the result."""
    try:
        if MARKER in text or text.startswith("/*dfc:"):
            return _decoded(text)
        if is_blank(text):
            raise WireError("the workflow is empty", "DF116")
        if is_identifier(text):
            raise WireError("the text is one bare word, not a workflow", "DF112")
        return Read(tree=_sql(text))
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
        return _expression(read_json(body, NESTING_MAX), faults)
    except UnicodeEncodeError:
        raise WireError("an expression cannot have half of a character (a lone surrogate)") from None
    except JsonFault as fault:
        raise WireError(f"the expression is not written as df functions write it: {fault}") from None


@dataclass(frozen=True, slots=True)
class _Make:
    """Put together what the last `count` finished nodes belong to."""

    kind: str
    count: int
    name: str = ""


def _expression(document: Json, faults: list[WireError] | None) -> Expression:
    todo: list[Json | _Make] = [document]
    done: list[Expression] = []
    while todo:
        task = todo.pop()
        try:
            if isinstance(task, _Make):
                parts = tuple(done[len(done) - task.count :])
                del done[len(done) - task.count :]
                done.append(_made(task, parts, faults))
            else:
                _node(task, todo, done, faults is not None)
        except WireError as fault:
            if faults is None:
                raise
            faults.append(fault)
            done.append(Hole())
    return done[0]


def _node(document: Json, todo: list[Json | _Make], done: list[Expression], lenient: bool) -> None:
    """Put the node on `done`, or what it is made of on `todo`."""
    if not isinstance(document, JsonObject) or not document.pairs:
        raise WireError("a node of the expression is not an object")
    keys = tuple(key for key, _ in document.pairs)
    values = [value for _, value in document.pairs]
    match keys, values:
        case ("sql",), [str() as query]:
            done.append(_sql(query, lenient))
        case ("http",), [JsonObject() as request]:
            done.append(_http(request))
        case ("step" | "as" as kind, "body"), [str() as name, body]:
            todo += (_Make(kind, 1, name if lenient else _name(name)), body)
        case ("chain" | "join" | "parallel" as kind,), [JsonArray(items=items)]:
            if len(items) < (2 if kind == "chain" else 1):
                raise WireError(f"a `{kind}` of the expression has too few parts")
            todo.append(_Make(kind, len(items)))
            todo += reversed(items)
        case _:
            raise WireError(f"a node of the expression has an unknown shape: {', '.join(keys)[:100]}")


def _made(task: _Make, parts: tuple[Expression, ...], faults: list[WireError] | None) -> Expression:
    match task.kind:
        case "step":
            return Step(name=Text(value=task.name), body=parts[0])
        case "as":
            return Bind(name=Text(value=task.name), body=parts[0])
        case "join":
            return Join(branches=parts)
        case "parallel":
            return FanOut(branches=parts)
        case _:
            if any(isinstance(part, Chain) for part in parts):
                fault = WireError("a chain of the expression is not flat")
                if faults is None:
                    raise fault
                faults.append(fault)
                parts = (*[item for part in parts for item in links(part)], Hole())
            return Chain(items=parts)


def _sql(query: str, lenient: bool = False) -> Expression:
    if not lenient and MARKER in query:
        raise WireError("a step has a piece of another expression in it")
    if not lenient and is_blank(query):
        raise WireError("a step of the expression is empty", "DF116")
    if is_reference(query):
        return Later(construct=f"{query}{LONE_REFERENCE}", children=())
    return Sql(query=Text(value=query))


def _name(name: str) -> str:
    fault = name_fault(name)
    if fault:
        raise WireError(f"the name `{name[:70]}` {fault}", "DF113")
    return name


def _http(request: JsonObject) -> Http:
    values = [value for _, value in request.pairs]
    if tuple(key for key, _ in request.pairs) == _HTTP_KEYS:
        match values:
            case [str() as url, str() as method, body, headers, JsonNumber(text=seconds)]:
                if (
                    (body is None or isinstance(body, str))
                    and (headers is None or _are_headers(headers))
                    and _METHOD.fullmatch(method)
                    and seconds.isdigit()
                    and len(seconds) <= 10
                    and 0 < int(seconds) <= _TIMEOUT_MAX
                ):
                    return Http(
                        url=Text(value=url),
                        method=method,
                        body=None if body is None else Text(value=body),
                        headers=None if headers is None else write_jsonb(headers),
                        timeout_seconds=int(seconds),
                    )
            case _:
                pass
    raise WireError("a request of the expression is not written as df.http writes it")


def _are_headers(value: Json) -> bool:
    return isinstance(value, JsonObject) and all(isinstance(item, str) for _, item in value.pairs)
