"""The graph of a plan's nodes: proves that it has no circle and gives the order in which they stand.

The only user of networkx; no graph leaves this module.
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from dfc.compiler.plan import Node


class CircleError(ValueError):
    """Nodes wait for each other in a circle. No tree lowers to one, so this is a fault of the compiler."""


def in_order(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes in topological order, as near to the given (written) order as that allows.

    Raises CircleError. The order is a function of the nodes alone: among those that may come next the
    one written first does.
    """
    if len(nodes) == 1 and not nodes[0].after:
        return tuple(nodes)
    place = {node.id: i for i, node in enumerate(nodes)}
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    graph.add_edges_from((place[before], place[node.id]) for node in nodes for before in node.after)
    try:
        return tuple([nodes[i] for i in nx.lexicographical_topological_sort(graph)])
    except nx.NetworkXUnfeasible as problem:
        raise CircleError("the nodes of the plan wait for each other in a circle") from problem
