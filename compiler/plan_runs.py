"""How often a node of a plan runs: what the nodes around it make of it."""

from __future__ import annotations

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    CompensateNode,
    IfNode,
    LoopNode,
    MapNode,
    Node,
    RetryNode,
    TimeoutNode,
    TryNode,
)
from dfc.compiler.plan_shape import Nest, Place


def often(nesting: Nest, place: Place) -> tuple[str, ...]:
    """What is said of how often a node runs, from the outside in; nothing for once."""
    said: list[str] = []
    for _, level in nesting.outwards(place):
        if level.holder is not None and (word := _said(nesting.node(level.holder), level.role)):
            said.append(word)
    return tuple(reversed(said))


def _said(node: Node, role: str) -> str:
    match node:
        case LoopNode():
            return (
                f"each {'time that' if node.every else 'round of'} `{node.id}`{' asks' if node.every else ''}"
            )
        case MapNode():
            return f"each {'item' if node.batch_size == 1 else 'batch'} of `{node.id}`"
        case RetryNode():
            return f"each attempt of `{node.id}`"
        case IfNode() if role != "condition":
            return f"if `{node.id}` is {'true' if role == 'then' else 'false'}"
        case ArmsNode():
            ends = "another arm wins" if node.mode is ArmsMode.RACE else "another branch fails"
            return f"unless {ends} in `{node.id}`"
        case TimeoutNode():
            return f"{'unless' if role == 'body' else 'if'} the time of `{node.id}` is over"
        case TryNode() if role == "catch":
            return f"if `{node.id}` fails"
        case TryNode() if role == "finally":
            return f"at the end of `{node.id}`"
        case CompensateNode() if role == "undo":
            return f"if `{node.id}` is to be undone"
        case IfNode() | TryNode() | CompensateNode() | AtomicNode():
            return ""
        case _:
            raise ValueError("a leaf holds nothing")
