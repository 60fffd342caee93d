"""An expression as canonical dfsql text, which parses back to the same tree.

One item of a chain a line. The SQL door's expressions are shown in this form, so that messages about them
have lines and columns.
"""

from __future__ import annotations

from typing import assert_never

from dfc.compiler.ast import Bind, Chain, Expression, FanOut, Hole, Http, Join, Later, Sql, Step, Text
from dfc.compiler.names import LONE_REFERENCE, is_blank, is_identifier
from dfc.compiler.wire import MARKER

HOLE = "NULL"
"""What stands for a part of the wire text that is no expression; nothing else is written like this."""

_INDENT = "  "


def print_expression(expression: Expression) -> str:
    """The text of an expression. Raises ValueError for a construct that no wire text can hold yet."""
    parts: list[str] = []
    stack: list[tuple[Expression, int, bool] | str] = [(expression, 0, False)]
    while stack:
        task = stack.pop()
        if isinstance(task, str):
            parts.append(task)
        else:
            node, depth, operand = task
            stack.extend(reversed(_pieces(node, depth, operand)))
    return "".join(parts)


Piece = tuple[Expression, int, bool] | str


def _pieces(node: Expression, depth: int, operand: bool) -> list[Piece]:
    """The text of a node: strings, and nodes yet to print with their depth and whether they are operands."""
    match node:
        case Sql():
            return [_sql(node)]
        case Http():
            return [_http(node)]
        case Step():
            body = _block(node.body, depth)
            return [f"df.step({quote(node.name.value)}, ", *body, ")"]
        case Bind() if not is_identifier(node.name.value):
            return ["df.as(", (node.body, depth + 1, False), f", {quote(node.name.value)})"]
        case Bind():
            pieces: list[Piece] = [(node.body, depth, True), f" |=> {quote(node.name.value)}"]
        case Chain() if len(node.items) > 1 and not isinstance(node.items[0], Chain):
            pieces = _separated(node.items, "~>", depth + operand)
        case Join() if len(node.branches) == 2:
            pieces = _separated(node.branches, "&", depth + operand)
        case FanOut() if len(node.branches) > 1 and not isinstance(node.branches[0], FanOut):
            pieces = _separated(node.branches, "|=>", depth + operand)
        case Chain():
            return _call("df.seq", node.items, depth)
        case Join():
            return _call("df.join", node.branches, depth)
        case FanOut():
            return _call("df.parallel", node.branches, depth)
        case Later(construct=construct, children=()) if construct.endswith(LONE_REFERENCE):
            return [quote(construct.removesuffix(LONE_REFERENCE))]
        case Later():
            raise ValueError(f"`{node.construct}` has no text yet")
        case Hole(children=()):
            return [HOLE]
        case Hole():
            raise ValueError("a faulty part has no text")
        case _:
            assert_never(node)
    return ["(", *pieces, ")"] if operand else pieces


def _block(body: Expression, depth: int) -> list[Piece]:
    """The last argument of a call: on lines of its own when it has several."""
    if isinstance(body, Chain | Join | FanOut):
        return [_line(depth + 1), (body, depth + 1, False), _line(depth)]
    return [(body, depth, False)]


def _separated(items: tuple[Expression, ...], operator: str, depth: int) -> list[Piece]:
    pieces: list[Piece] = [(items[0], depth, True)]
    for item in items[1:]:
        pieces += [f"{_line(depth)}{operator} ", (item, depth, True)]
    return pieces


def _call(function: str, items: tuple[Expression, ...], depth: int) -> list[Piece]:
    pieces: list[Piece] = [f"{function}("]
    for index, item in enumerate(items):
        pieces += ["," if index else "", _line(depth + 1), (item, depth + 1, False)]
    return [*pieces, _line(depth), ")"]


def _line(depth: int) -> str:
    # Deep nesting would make the text quadratic; nobody reads it there.
    return "\n" + _INDENT * min(depth, 20)


def _sql(node: Sql) -> str:
    text = node.query.value
    bare = is_identifier(text) or is_blank(text) or MARKER in text
    return f"df.sql({quote(text)})" if bare else quote(text)


def _http(node: Http) -> str:
    parts = [quote(node.url.value), quote(node.method)]
    if node.body is not None:
        parts.append(f"body => {_text(node.body)}")
    if node.headers is not None:
        parts.append(f"headers => {quote(node.headers)}")
    if node.timeout_seconds != 30:
        parts.append(f"timeout_seconds => {node.timeout_seconds}")
    return f"df.http({', '.join(parts)})"


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
