"""The plan as a drawing for people: a chain as lines that begin with →, branches behind ║.

The layout follows pg_durable's df.explain, with the id of each node in front, because that is what
checkpoints and displays are named after. It is drawn from the plan alone, so a stored one can be shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from dfc.compiler.plan import Form, HttpNode, JoinNode, Node, Plan, Request, SqlBody, SqlNode
from dfc.compiler.plan_shape import START, Shape, shape

SQL_SHOWN_CHARACTERS = 60
URL_SHOWN_CHARACTERS = 60

Mark = Callable[[Node], str]


def plan_text(plan: Plan, mark: Mark | None = None) -> str:
    """One line a node (and one a branch), without a final newline.

    `mark` gives what stands behind a node's line, for instances that run: `✓`, `running 3 s`.
    """
    place = {node.id: i for i, node in enumerate(plan.nodes)}
    nesting = shape(plan.nodes)
    lines: list[str] = []
    # A line to print, or a node with the text in front of its line and the indentation of its branches.
    todo: list[str | tuple[int, str, str]] = _chain(nesting, place[plan.result], START, "", "")
    while todo:
        entry = todo.pop()
        if isinstance(entry, str):
            lines.append(entry)
            continue
        index, lead, indent = entry
        node = plan.nodes[index]
        shown = mark(node) if mark is not None else ""
        lines.append(f"{lead}{describe(node)}{f' {shown}' if shown else ''}")
        if isinstance(node, JoinNode) and len(node.after) > 1:
            # A group of one has no fork in the graph: its branch stands in front of it, like a chain.
            lasts = [place[name] for name in node.after]
            for number in range(len(lasts), 0, -1):
                first = indent + ("      └─" if number == len(lasts) else "      ├─")
                inner = _chain(nesting, lasts[number - 1], nesting.before[index], first, f"{indent}      ")
                todo += [*inner, f"{indent}    ║ branch {number}:"]
    return "\n".join(lines)


def describe(node: Node) -> str:
    """A node in one line: its kind, its id, the beginning of what it does, the names bound to its result."""
    names = "".join(f" |=> '{name}'" for name in node.bindings)
    match node:
        case SqlNode(body=body):
            outside = " (outside a transaction)" if body.form is Form.AUTOCOMMIT else ""
            return f"SQL {node.id}: {_short(body.sql, SQL_SHOWN_CHARACTERS)}{outside}{names}"
        case HttpNode():
            return f"HTTP {node.id}: {_request(node)}{names}"
        case JoinNode():
            return f"JOIN {node.id} ({len(node.after)}){names}"
        case _:
            assert_never(node)


def _request(node: HttpNode) -> str:
    match node.request:
        case Request(method=method, url=url):
            return f"{method} {_short(url, URL_SHOWN_CHARACTERS)}"
        case SqlBody(sql=sql):
            each = "for each row of " if node.many else ""
            return f"{each}{_short(sql, SQL_SHOWN_CHARACTERS)}"
        case _:
            assert_never(node.request)


def _chain(
    nesting: Shape, last: int, stop: int, first_lead: str, indent: str
) -> list[str | tuple[int, str, str]]:
    """The nodes from behind `stop` to `last`, the first one at the end: the order of a stack."""
    indexes: list[int] = []
    here = last
    while here != stop:
        indexes.append(here)
        here = nesting.before[here]
    first = len(indexes) - 1
    return [(index, first_lead if i == first else f"{indent}→ ", indent) for i, index in enumerate(indexes)]


def _short(text: str, limit: int) -> str:
    line = " ".join(text[: limit * 8].split())
    return line if len(line) <= limit and len(text) <= limit * 8 else f"{line[: limit - 1]}…"
