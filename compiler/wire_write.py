"""Expressions as wire text; `wire` reads it. A stack of its own, so that nesting costs no frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from dfc.compiler.ast import (
    Atomic,
    Bind,
    Break,
    CallWorkflow,
    Chain,
    Compensate,
    Constant,
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
    Sleep,
    Sql,
    Step,
    Structured,
    Text,
    Timeout,
    Try,
    WaitFor,
    Waiting,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.json_text import quote_json
from dfc.compiler.params import Params
from dfc.compiler.plan import Duration

VERSION = 1
MARKER = f"/*dfc:{VERSION}:"

_Written = list[Expression | str]


def write(expression: Expression, params: Params | None = None) -> str:
    """The wire text of an expression, with the inputs that its definition declares.

    Raises ValueError for a faulty part, which has none.
    """
    parts: list[str] = []
    stack: list[Expression | str] = [expression]
    if params is not None:
        stack = ["}", expression, f'{{"params":{params.written},"body":']
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
        else:
            stack.extend(reversed(_written(node)))
    body = "".join(parts)
    return f"{MARKER}{len(body)}*/{body}"


def _written(node: Expression) -> _Written:
    """The text of a node: strings, and the nodes in it."""
    match node:
        case Sql():
            return [f'{{"sql":{quote_json(node.query.value)}', _policy(node.policies), "}"]
        case Ref():
            return [f'{{"sql":{quote_json(node.text.value)}}}']
        case Http():
            return [_request_text(node), _policy(node.policies), "}"]
        case Step():
            return [f'{{"step":{quote_json(node.name.value)},"body":', node.body, _policy(node.policies), "}"]
        case Bind():
            return [f'{{"as":{quote_json(node.name.value)},"body":', node.body, "}"]
        case Chain():
            return _group("chain", node.items)
        case Join():
            return _group("join", node.branches, cancels=node.cancels)
        case FanOut():
            return _group("parallel", node.branches, cancels=node.cancels)
        case Break():
            return [f'{{"break":{"null" if node.value is None else quote_json(node.value.value)}}}']
        case Sleep() | WaitUntil() | WaitSchedule() | WaitSignal() | CallWorkflow() | WaitInstance():
            return [_waiting(node)]
        case Hole():
            raise ValueError("a faulty part has no wire form")
        case Constant():
            raise ValueError("a part that nobody wrote has no wire form")
        case _:
            return _structure(node)


def _waiting(node: Waiting) -> str:
    """The text of a node that waits, and has no parts."""
    match node:
        case Sleep(duration=duration):
            length = quote_json(duration.value) if isinstance(duration, Text) else _value(duration)
            return f'{{"sleep":{length}}}'
        case WaitUntil():
            return f'{{"wait_until":{quote_json(node.at.value)}}}'
        case WaitSchedule():
            zone = "" if node.time_zone is None else f',"time_zone":{quote_json(node.time_zone)}'
            return f'{{"wait_for_schedule":{quote_json(node.cron.value)}{zone}}}'
        case WaitSignal():
            return f'{{"wait_for_signal":{quote_json(node.name.value)}{_timeout(node.timeout)}}}'
        case CallWorkflow():
            given = "" if node.input is None else f',"input":{node.input}'
            return f'{{"call":{quote_json(node.workflow.value)}{given}{_policy(node.policies)}}}'
        case WaitInstance():
            return f'{{"wait_for_instance":{quote_json(node.instance.value)}{_timeout(node.timeout)}}}'
        case _:
            assert_never(node)


def _timeout(timeout: Duration | None) -> str:
    return "" if timeout is None else f',"timeout":{_value(timeout)}'


def _structure(node: Structured) -> _Written:
    """The text of a node that runs parts of its own."""
    match node:
        case Race():
            return _group("race", node.arms)
        case If():
            return ['{"if":', node.condition, ',"then":', node.then, *_optional("else", node.otherwise), "}"]
        case IfRows():
            name = quote_json(node.name.value)
            return [f'{{"if_rows":{name},"then":', node.then, *_optional("else", node.otherwise), "}"]
        case Loop():
            kept = ',"compensate":"all"}' if node.keep_undos else "}"
            return ['{"loop":', node.body, *_optional("while", node.condition), kept]
        case Map():
            return [
                '{"map":',
                node.items,
                ',"body":',
                node.body,
                f',"name":{quote_json(node.name.value)},"max_parallel":{node.max_parallel}'
                f',"batch_size":{node.batch_size},"on_error":{quote_json(node.on_error)}}}',
            ]
        case Atomic():
            return ['{"atomic":', node.body, _policy(node.policies), "}"]
        case Retry():
            return ['{"retry":', node.body, _policy(node.policies), "}"]
        case Timeout():
            duration = f',"duration":{_value(node.duration)}'
            return ['{"timeout":', node.body, duration, *_optional("else", node.otherwise), "}"]
        case Try():
            return ['{"try":', node.body, ',"catch":', node.catch, *_optional("finally", node.final), "}"]
        case Compensate():
            return ['{"compensate":', node.body, ',"undo":', node.undo, "}"]
        case WaitFor():
            every = f',"every":{_value(node.every)}'
            return ['{"wait_for":', node.query, every, _timeout(node.timeout), "}"]
        case _:
            assert_never(node)


def _optional(key: str, part: Expression | None) -> _Written:
    return [] if part is None else [f',"{key}":', part]


def _group(key: str, items: Sequence[Expression], *, cancels: bool = False) -> _Written:
    written: _Written = []
    for item in items:
        written += (",", item)
    written[:1] = [f'{{"{key}":[']
    return [*written, '],"on_failure":"cancel"}' if cancels else "]}"]


def _request_text(node: Http) -> str:
    """A request, its outermost brace left open."""
    content = "null" if node.body is None else quote_json(node.body.value)
    kind, field = (
        ("http", f'"body":{content}') if node.parts is None else ("multipart", f'"parts":{node.parts}')
    )
    return (
        f'{{"{kind}":{{"url":{quote_json(node.url.value)},"method":{quote_json(node.method)},{field},'
        f'"headers":{node.headers or "null"},"timeout_seconds":{node.timeout_seconds}}}'
    )


def _policy(policies: Policies) -> str:
    if not policies.given:
        return ""
    # Settings are JSON text already.
    inside = [f'"{name}":{value if name == "settings" else _value(value)}' for name, value in policies.given]
    return f',"policy":{{{",".join(inside)}}}'


def _value(value: PolicyValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return quote_json(value)
        case Duration():
            return f"[{value.months},{value.days},{value.microseconds}]"
        case tuple():
            return f"[{','.join(map(quote_json, value))}]"
