"""Plans taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dfc.compiler.plan import (
    ArmsNode,
    AtomicNode,
    Block,
    BreakNode,
    CallNode,
    CompensateNode,
    HttpNode,
    IfNode,
    LoopNode,
    MapNode,
    Node,
    Parameter,
    Plan,
    RetryNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    Use,
    ValueNode,
    blocks_of,
)
from tests.simulate.places import nodes_in


def with_blocks(node: Node, blocks: Sequence[Block]) -> Node:
    """The node with other blocks, in the order of `blocks_of`."""
    match node:
        case IfNode():
            condition, then, *last = blocks
            return replace(node, condition=condition, then=then, otherwise=last[0] if last else None)
        case LoopNode():
            body, *last = blocks
            return replace(node, body=body, condition=last[0] if last else None)
        case ArmsNode():
            return replace(node, arms=tuple(blocks))
        case MapNode() | AtomicNode() | RetryNode():
            return replace(node, body=blocks[0])
        case TimeoutNode():
            body, *last = blocks
            return replace(node, body=body, otherwise=last[0] if last else None)
        case TryNode():
            body, catch, *last = blocks
            return replace(node, body=body, catch=catch, final=last[0] if last else None)
        case CompensateNode():
            return replace(node, body=blocks[0], undo=blocks[1])
        case _:
            assert not blocks
            return node


def rewritten(block: Block, change: Callable[[Node], Node]) -> Block:
    """The block with every node changed, inner ones first."""
    nodes: list[Node] = []
    for node in block.nodes:
        inner = [rewritten(part, change) for _, part in blocks_of(node)]
        nodes.append(change(with_blocks(node, inner)))
    return Block(nodes=tuple(nodes), result=block.result)


def parameters_of(node: Node) -> tuple[Parameter, ...]:
    """The references of a node itself, not of the blocks in it."""
    match node:
        case (
            SqlNode(body=SqlBody() as body)
            | HttpNode(request=SqlBody() as body)
            | BreakNode(value=SqlBody() as body)
            | MapNode(items=SqlBody() as body)
            | CallNode(input=SqlBody() as body)
        ):
            return body.parameters
        case ValueNode(parameter=parameter) | MapNode(items=Parameter() as parameter):
            return (parameter,)
        case _:
            return ()


def with_parameters(node: Node, keep: Callable[[Parameter], bool]) -> Node:
    """The node without some references in its statement. A reference that is all of a node stays."""
    match node:
        case SqlNode(body=body):
            return replace(node, body=_thinned(body, keep))
        case HttpNode(request=SqlBody() as body):
            return replace(node, request=_thinned(body, keep))
        case BreakNode(value=SqlBody() as body):
            return replace(node, value=_thinned(body, keep))
        case MapNode(items=SqlBody() as body):
            return replace(node, items=_thinned(body, keep))
        case CallNode(input=SqlBody() as body):
            return replace(node, input=_thinned(body, keep))
        case _:
            return node


def statement(name: str, references: Sequence[Parameter], base: SqlBody) -> SqlBody:
    """The text of a statement with these references in it, whose offsets are set."""
    text = f"SELECT '{name}'"
    parameters: list[Parameter] = []
    for reference in references:
        text += ", "
        start = len(text)
        text += written(reference)
        parameters.append(replace(reference, start=start, end=len(text)))
    return replace(base, sql=text, parameters=tuple(parameters))


def written(reference: Parameter) -> str:
    """A reference as somebody would write it."""
    if reference.use is Use.ROWS:
        return f"${reference.name}.*"
    if reference.use is Use.ROW_COUNT:
        return f"${reference.name}.row_count"
    column = reference.column
    if reference.use is Use.ERROR:
        column = f"error.{column}"
    return f"${reference.name}" + (f".{column}" if column else "") + ("?" if reference.optional else "")


def _thinned(body: SqlBody, keep: Callable[[Parameter], bool]) -> SqlBody:
    kept = [parameter for parameter in body.parameters if keep(parameter)]
    if len(kept) == len(body.parameters):
        return body
    return statement(body.sql.split("'")[1], kept, body)


def with_used(plan: Plan) -> Plan:
    """The plan with `used` set on what is referred to, and only on that."""
    block = Block(nodes=plan.nodes, result=plan.result)
    used: set[str] = set()
    for node in nodes_in(block):
        for parameter in parameters_of(node):
            used.update((parameter.source, *parameter.otherwise))
    block = rewritten(block, lambda node: replace(node, used=node.id in used))
    return replace(plan, nodes=block.nodes, result=block.result)
