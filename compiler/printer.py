"""An expression as canonical dfsql text, which parses back to the same tree.

Operators where there is one, functions elsewhere; one item of a chain a line. The SQL door's expressions are
shown in this form, so that messages about them have lines and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from dfc.compiler.ast import (
    DEFAULT_EVERY,
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
from dfc.compiler.durations import duration_text
from dfc.compiler.names import is_blank, is_identifier
from dfc.compiler.plan import Duration
from dfc.compiler.wire import MARKER

HOLE = "NULL"
"""What stands for a part of the wire text that is no expression; nothing else is written like this."""

_INDENT = "  "
_INDENTS_MAX = 20


def print_expression(expression: Expression) -> str:
    """The text of an expression. Raises ValueError for a construct that no wire text can hold yet."""
    parts: list[str] = []
    stack: list[Piece] = [(expression, 0, False)]
    while stack:
        task = stack.pop()
        if isinstance(task, str):
            parts.append(task)
        else:
            node, depth, operand = task
            stack.extend(reversed(_pieces(node, depth, operand)))
    return "".join(parts)


Piece = tuple[Expression, int, bool] | str
"""Text, or a node yet to print with its depth and whether it is an operand."""


def _pieces(node: Expression, depth: int, operand: bool) -> list[Piece]:
    """The text of a node, down to the nodes in it."""
    pieces = _operators(node, depth + operand)
    if pieces is not None:
        return ["(", *pieces, ")"] if operand else pieces
    match node:
        case Sql():
            return [_sql(node)]
        case Ref():
            return [quote(node.text.value)]
        case Http():
            return [_http(node)]
        case Step():
            body = _block(node.body, depth)
            policies = "".join(f", {option}" for option in _policies(node.policies))
            return [f"df.step({quote(node.name.value)}, ", *body, f"{policies})"]
        case Bind():
            return ["df.as(", (node.body, depth + 1, False), f", {quote(node.name.value)})"]
        case Chain():
            return _call("df.seq", node.items, depth)
        case Join():
            return _group("df.join", node.branches, node.cancels, depth)
        case FanOut():
            return _group("df.parallel", node.branches, node.cancels, depth)
        case Break():
            return [f"df.break({'' if node.value is None else quote(node.value.value)})"]
        case Hole(children=()):
            return [HOLE]
        case Hole():
            raise ValueError("a faulty part has no text")
        case Constant():
            raise ValueError("a part that nobody wrote has no text")
        case Sleep() | WaitUntil() | WaitSchedule() | WaitSignal() | CallWorkflow() | WaitInstance():
            return [_waiting(node)]
        case _:
            return _structure(node, depth)


def _waiting(node: Waiting) -> str:
    """The text of what waits and has no parts, as a call on one line."""
    match node:
        case Sleep(duration=duration):
            length = quote(duration.value) if isinstance(duration, Text) else _constant(duration)
            return f"df.sleep({length})"
        case WaitUntil():
            return f"df.wait_until({quote(node.at.value)})"
        case WaitSchedule():
            zone = [] if node.time_zone is None else [quote(node.time_zone)]
            return f"df.wait_for_schedule({', '.join((quote(node.cron.value), *zone))})"
        case WaitSignal():
            limit = [] if node.timeout is None else [_constant(node.timeout)]
            return f"df.wait_for_signal({', '.join((quote(node.name.value), *limit))})"
        case CallWorkflow():
            given = [] if node.input is None else [quote(node.input)]
            arguments = (quote(node.workflow.value), *given, *_policies(node.policies))
            return f"df.call({', '.join(arguments)})"
        case WaitInstance():
            limit = [] if node.timeout is None else [f"timeout => {_constant(node.timeout)}"]
            return f"df.wait_for_instance({', '.join((quote(node.instance.value), *limit))})"
        case _:
            assert_never(node)


def _operators(node: Expression, depth: int) -> list[Piece] | None:
    """The text of what an operator writes; None for what it takes a function to write."""
    match node:
        case Bind() if is_identifier(node.name.value):
            return [(node.body, depth, True), f" |=> {quote(node.name.value)}"]
        case Chain() if len(node.items) > 1 and not isinstance(node.items[0], Chain):
            return _separated(node.items, "~>", depth)
        case Join(branches=branches, cancels=False) if len(branches) == 2:
            return _separated(branches, "&", depth)
        case FanOut(branches=branches, cancels=False) if len(branches) > 1 and not _extends(branches[0]):
            return _separated(branches, "|=>", depth)
        case Race(arms=arms) if len(arms) == 2:
            return _separated(arms, "|", depth)
        case If():
            pieces = _separated((node.condition, node.then), "?>", depth)
            if node.otherwise is not None:
                pieces += [f"{_line(depth)}!> ", (node.otherwise, depth, True)]
            return pieces
        case Loop(condition=None, keep_undos=False):
            return ["@> ", (node.body, depth, True)]
        case _:
            return None


def _extends(first: Expression) -> bool:
    """Whether `|=>` behind a group would make the group larger."""
    return isinstance(first, FanOut) and not first.cancels


def _structure(node: Structured, depth: int) -> list[Piece]:
    """The text of what runs parts of its own, as a call."""
    match node:
        case Race():
            return _call("df.race", node.arms, depth)
        case If():
            return _call("df.if", _given(node.condition, node.then, node.otherwise), depth)
        case IfRows():
            branches = _given(node.then, node.otherwise)
            return _call("df.if_rows", (quote(node.name.value), *branches), depth)
        case Loop():
            kept = ("compensate => 'all'",) if node.keep_undos else ()
            return _call("df.loop", (*_given(node.body, node.condition), *kept), depth)
        case Map():
            return _call("df.map", (node.items, node.body, *_map_options(node)), depth)
        case Atomic():
            return _call("df.atomic", (node.body, *_policies(node.policies)), depth)
        case Retry():
            return _call("df.retry", (node.body, *_policies(node.policies)), depth)
        case Timeout():
            duration = quote(duration_text(node.duration))
            return _call("df.timeout", (node.body, duration, *_given(node.otherwise)), depth)
        case Try():
            return _call("df.try", _given(node.body, node.catch, node.final), depth)
        case Compensate():
            return _call("df.compensate", (node.body, node.undo), depth)
        case WaitFor():
            every = [] if node.every == DEFAULT_EVERY else [f"every => {_constant(node.every)}"]
            limit = [] if node.timeout is None else [f"timeout => {_constant(node.timeout)}"]
            return _call("df.wait_for", (node.query, *every, *limit), depth)
        case _:
            assert_never(node)


def _given(*parts: Expression | None) -> tuple[Expression | str, ...]:
    """The parts that there are. A hole is not what an optional part is when it is left out: NULL alone."""
    given = [part for part in parts if part is not None]
    return tuple([f"df.seq({HOLE})" if part == Hole() else part for part in given])


def _block(body: Expression, depth: int) -> list[Piece]:
    """An argument of a call: on lines of its own when it has several."""
    if isinstance(body, Chain | Join | FanOut | Race | If):
        return [_line(depth + 1), (body, depth + 1, False), _line(depth)]
    return [(body, depth, False)]


def _separated(items: tuple[Expression, ...], operator: str, depth: int) -> list[Piece]:
    pieces: list[Piece] = [(items[0], depth, True)]
    for item in items[1:]:
        pieces += [f"{_line(depth)}{operator} ", (item, depth, True)]
    return pieces


def _call(function: str, arguments: Sequence[Expression | str], depth: int) -> list[Piece]:
    """A call, one argument a line."""
    pieces: list[Piece] = [f"{function}("]
    for index, argument in enumerate(arguments):
        pieces += ["," if index else "", _line(depth + 1)]
        pieces.append(argument if isinstance(argument, str) else (argument, depth + 1, False))
    return [*pieces, _line(depth), ")"]


def _group(function: str, branches: Sequence[Expression], cancels: bool, depth: int) -> list[Piece]:
    if not cancels:
        return _call(function, branches, depth)
    array = _call("ARRAY", branches, depth)
    array[0], array[-1] = "ARRAY[", "]"
    return [f"{function}(", *array, ", on_failure => 'cancel')"]


def _line(depth: int) -> str:
    # Deep nesting would make the text quadratic; nobody reads it there.
    return "\n" + _INDENT * min(depth, _INDENTS_MAX)


def _sql(node: Sql) -> str:
    text = node.query.value
    bare = is_identifier(text) or is_blank(text) or MARKER in text or node.policies.given
    return f"df.sql({', '.join((quote(text), *_policies(node.policies)))})" if bare else quote(text)


def _http(node: Http) -> str:
    parts = [quote(node.url.value), quote(node.method)]
    if node.body is not None:
        parts.append(f"body => {_text(node.body)}")
    if node.parts is not None:
        parts.append(f"parts => {quote(node.parts)}")
    if node.headers is not None:
        parts.append(f"headers => {quote(node.headers)}")
    if node.timeout_seconds != 30:
        parts.append(f"timeout_seconds => {node.timeout_seconds}")
    parts += _policies(node.policies)
    return f"df.http{'' if node.parts is None else '_multipart'}({', '.join(parts)})"


def _map_options(node: Map) -> list[str]:
    options = {
        "name": (node.name.value, "item"),
        "max_parallel": (node.max_parallel, 16),
        "batch_size": (node.batch_size, 1),
        "on_error": (node.on_error, "fail"),
    }
    return [f"{name} => {_constant(value)}" for name, (value, default) in options.items() if value != default]


def _policies(policies: Policies) -> list[str]:
    return [f"{name} => {_constant(value)}" for name, value in policies.given]


def _constant(value: PolicyValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return quote(value)
        case Duration():
            return quote(duration_text(value))
        case ():
            return "ARRAY[]::text[]"
        case tuple():
            return f"ARRAY[{', '.join(map(quote, value))}]"


def _text(text: Text) -> str:
    return quote(text.value)


def quote(value: str) -> str:
    """A text as a string literal: dollar-quoted when it has quotes in it."""
    if "'" not in value:
        return f"'{value}'"
    for tag in ("", "sql", "dfc"):
        delimiter = f"${tag}$"
        # A `$` at the end would join the closing delimiter.
        if delimiter not in f"{value}{delimiter}"[:-1]:
            return f"{delimiter}{value}{delimiter}"
    doubled = value.replace("'", "''")
    return f"'{doubled}'"
