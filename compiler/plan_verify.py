"""What must be true of every plan. Runs after lowering, after reading JSON, and in every test of either."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from dfc.compiler.plan import (
    PLAN_FORMAT,
    Form,
    HttpNode,
    JoinNode,
    Node,
    Parameter,
    Plan,
    Returns,
    SqlBody,
    SqlNode,
    Use,
)
from dfc.compiler.plan_shape import shape

_METHOD = re.compile(r"[A-Z]{1,20}")


def verify(plan: Plan) -> tuple[str, ...]:
    """The faults of a plan, one sentence each; none for a good plan. Linear but for the nesting depth."""
    faults = tuple(_order(plan))
    return faults or (*_nodes(plan), *_references(plan))


def _order(plan: Plan) -> Iterator[str]:
    """Faults of the graph. The other checks rely on a sound one."""
    if plan.format != PLAN_FORMAT:
        yield f"the format is {plan.format}, not {PLAN_FORMAT}"
    if not plan.nodes:
        yield "there are no nodes"
    seen: set[str] = set()
    waited_for: dict[str, bool] = {}
    for node in plan.nodes:
        if not node.id:
            yield "a node has no id"
        if node.id in seen:
            yield f"node `{node.id}` occurs twice"
        joins = isinstance(node, JoinNode)
        if joins and not node.after:
            yield f"join `{node.id}` has no branches"
        if not joins and len(node.after) > 1:
            yield f"node `{node.id}` waits for several nodes and is not a join"
        if len(set(node.after)) != len(node.after):
            yield f"node `{node.id}` waits twice for the same node"
        for name in node.after:
            if name not in seen:
                yield f"node `{node.id}` comes before `{name}`, for which it waits"
            if name in waited_for and (joins or waited_for[name]):
                yield f"the branch that ends at `{name}` goes on behind its join"
            waited_for[name] = joins
        seen.add(node.id)
    if plan.result not in seen:
        yield f"the result node `{plan.result}` does not exist"
    elif plan.nodes[-1].id != plan.result:
        yield f"the result node `{plan.result}` is not the last"
    loose = [node.id for node in plan.nodes if node.id not in waited_for and node.id != plan.result]
    for name in loose:
        yield f"nothing waits for `{name}`"


def _nodes(plan: Plan) -> Iterator[str]:
    for node in plan.nodes:
        if any(not name for name in node.bindings):
            yield f"a binding of `{node.id}` is empty"
        if len(set(node.bindings)) != len(node.bindings):
            yield f"node `{node.id}` has a binding twice"
        match node:
            case SqlNode():
                yield from _statement(node.id, node.body)
            case HttpNode():
                yield from _request(node)
            case JoinNode():
                pass
            case _:
                assert_never(node)


def _request(node: HttpNode) -> Iterator[str]:
    request = node.request
    if isinstance(request, SqlBody):
        yield from _statement(node.id, request)
        if request.returns is not Returns.ROWS or request.form is Form.AUTOCOMMIT:
            yield f"the request of `{node.id}` is not computed by a query"
        return
    if node.many:
        yield f"`{node.id}` has one constant request and says `many`"
    if not request.url:
        yield f"the request of `{node.id}` has no URL"
    if _METHOD.fullmatch(request.method) is None:
        yield f"the method of `{node.id}` is `{request.method}`"
    if request.timeout_seconds <= 0:
        yield f"the timeout of `{node.id}` is {request.timeout_seconds} seconds"


def _statement(node_id: str, body: SqlBody) -> Iterator[str]:
    if not body.sql.strip():
        yield f"the statement of `{node_id}` is empty"
    if not body.kind:
        yield f"the statement of `{node_id}` has no kind"
    behind = 0
    for parameter in body.parameters:
        if not behind <= parameter.start < parameter.end <= len(body.sql):
            yield f"the parameters of `{node_id}` are out of order or out of range at {parameter.start}"
            return
        behind = parameter.end
        if not body.sql.startswith("$", parameter.start):
            yield f"no reference stands at {parameter.start} in the statement of `{node_id}`"
        if parameter.use is not Use.VALUE and parameter.column is not None:
            yield f"`${parameter.name}` in `{node_id}` wants a column and not a value"


def _references(plan: Plan) -> Iterator[str]:
    place = {node.id: i for i, node in enumerate(plan.nodes)}
    nesting = shape(plan.nodes)
    used: set[str] = set()
    for i, node in enumerate(plan.nodes):
        for parameter in parameters_of(node):
            source = place.get(parameter.source)
            if source is None:
                yield f"`{node.id}` refers to `{parameter.source}`, which does not exist"
                continue
            used.add(parameter.source)
            if not nesting.completes_before(source, i):
                yield f"`{node.id}` refers to `{parameter.source}`, which may not have completed"
            yield from _fitting(node, parameter, plan.nodes[source])
    for node in plan.nodes:
        if node.used != (node.id in used):
            yield f"`used` of `{node.id}` is {node.used}"


def _fitting(node: Node, parameter: Parameter, source: Node) -> Iterator[str]:
    match source:
        case SqlNode(body=SqlBody(returns=Returns.ROWS)):
            return
        case SqlNode():
            fits = parameter.use is Use.ROW_COUNT
        case HttpNode():
            fits = parameter.use is Use.VALUE and not (source.many and parameter.column is not None)
        case JoinNode():
            fits = False
        case _:
            assert_never(source)
    if not fits:
        yield f"`${parameter.name}` in `{node.id}` wants of `{source.id}` what that does not give"


def parameters_of(node: Node) -> tuple[Parameter, ...]:
    """The references of a node to other nodes' results."""
    match node:
        case SqlNode(body=body) | HttpNode(request=SqlBody() as body):
            return body.parameters
        case _:
            return ()
