"""What a workflow has to come to, worked out by following the plan's nodes by hand, without the core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, assert_never

from dfc.compiler.plan import HttpNode, JoinNode, Plan, Request, Returns, SqlBody, SqlNode
from dfc.executor.journal import Result, Rows, StepError, Value
from tests.simulate.plans import Fate

NONCE = "nonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The end: status, its result (values by path, lists for joins) or error, and all records."""

    status: str
    result: Any
    error: StepError | None
    completed: Mapping[str, str]
    """Rendered results by path."""
    failed: Mapping[str, StepError]
    before: Mapping[str, frozenset[str]]
    """The activations that come directly before each activation, through joins."""


def render(result: Result) -> str:
    """A result as text, without what differs from one execution to the next."""
    match result:
        case Value(json=text):
            return text
        case Rows(columns=columns, cells=cells, row_count=count):
            width = max(len(columns), 1)
            kept = [cell for at, cell in enumerate(cells) if not columns or columns[at % width] != NONCE]
            return json.dumps([list(columns), kept, count])
        case _:
            assert_never(result)


def sql_result(path: str, body: SqlBody, sources: Mapping[str, Result], nonce: str, many: bool) -> Rows:
    """What the model's statement returns: it depends on the path, the sources' values, and nothing else."""
    names = sorted({parameter.source for parameter in body.parameters})
    seen = [render(sources[name]) if name in sources else "missing" for name in names]
    text = blake2b("\0".join([path, *seen]).encode(), digest_size=6).hexdigest()
    if body.returns is Returns.COUNT:
        return Rows(columns=(), types=(), cells=(), row_count=int(text, 16) % 1000)
    rows = int(text, 16) % 3 if many else 1
    cells = tuple(cell for row in range(rows) for cell in (f"{text}:{row}", nonce))
    return Rows(columns=("v", NONCE), types=(25, 25), cells=cells, row_count=rows)


def http_result(path: str, request: Request | Rows) -> Value:
    """What the model's endpoint answers."""
    asked = request.url if isinstance(request, Request) else render(request)
    return Value(json=json.dumps(blake2b(f"{path}\0{asked}".encode(), digest_size=6).hexdigest()))


def error_of(path: str, sqlstate: str) -> StepError:
    """The error of the model's step that has to fail."""
    return StepError(step=path.split("/")[0], message=f"{path} fails", sqlstate=sqlstate)


def interpret(plan: Plan, fates: Mapping[str, Fate]) -> Expected:
    """Follow the plan, node by node in its order: nothing here runs at the same time as anything else."""
    results: dict[str, Result] = {}
    shapes: dict[str, Any] = {}
    errors: dict[str, StepError] = {}
    completed: dict[str, str] = {}
    failed: dict[str, StepError] = {}
    before: dict[str, frozenset[str]] = {}
    ends: dict[str, frozenset[str]] = {}

    def activation(path: str, result: Result) -> bool:
        if (sqlstate := fates[path].error) is not None:
            failed[path] = error_of(path, sqlstate)
            return False
        results[path] = result
        completed[path] = render(result)
        return True

    for node in plan.nodes:
        come_before = frozenset(path for id in node.after for path in ends[id])
        ends[node.id] = come_before
        paths: list[str] = []
        match node:
            case SqlNode():
                paths = [node.id]
            case HttpNode():
                computed = isinstance(node.request, SqlBody)
                paths = [f"{node.id}/request"] * computed + [f"{node.id}/response"]
            case JoinNode():
                pass
        for path in paths:
            before[path] = ends[node.id]
            ends[node.id] = frozenset({path})
        blamed = [errors[id] for id in node.after if id in errors]
        if blamed:
            errors[node.id] = blamed[0]
            continue
        if isinstance(node, JoinNode):
            shapes[node.id] = [shapes[id] for id in node.after]
            continue
        for path in paths:
            result: Result
            body = node.body if isinstance(node, SqlNode) else node.request
            if path.endswith("/response"):
                assert isinstance(node, HttpNode)
                asked = node.request
                rows = results.get(f"{node.id}/request")
                result = http_result(path, asked if isinstance(asked, Request) else rows_of(rows))
            else:
                assert isinstance(body, SqlBody)
                sources = {p.source: results[_last(plan, p.source)] for p in body.parameters}
                result = sql_result(path, body, sources, "", path.endswith("/request") and _many(node))
            if not activation(path, result):
                errors[node.id] = failed[path]
                break
            shapes[node.id] = completed[path]
    error = errors.get(plan.result)
    return Expected(
        status="failed" if error else "completed",
        result=None if error else shapes[plan.result],
        error=error,
        completed=completed,
        failed=failed,
        before=before,
    )


def rows_of(result: Result | None) -> Rows:
    """The result, which has to be rows."""
    assert isinstance(result, Rows)
    return result


def _many(node: SqlNode | HttpNode) -> bool:
    return isinstance(node, HttpNode) and node.many


def _last(plan: Plan, id: str) -> str:
    node = next(node for node in plan.nodes if node.id == id)
    return f"{id}/response" if isinstance(node, HttpNode) else id
