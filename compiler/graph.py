"""The graph of a plan's nodes: proves that it has no circle and gives the order in which they stand.

The only user of networkx; no graph leaves this module.
"""

from __future__ import annotations

from collections.abc import Sequence

from dfc.compiler.plan import Node


class CircleError(ValueError):
    """Nodes wait for each other in a circle. No tree lowers to one, so this is a fault of the compiler."""


def in_order(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes in topological order, as near to the given (written) order as that allows.

    Raises CircleError. The order is a function of the nodes alone: among those that may come next the
    one written first does.
    """
    place = {node.id: i for i, node in enumerate(nodes)}
    if all(place[before] < i for i, node in enumerate(nodes) for before in node.after):
        return tuple(nodes)  # the written order is one, and none is nearer to itself
    # To import networkx takes longer than to compile most files.
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    graph.add_edges_from((place[before], place[node.id]) for node in nodes for before in node.after)
    try:
        return tuple([nodes[i] for i in nx.lexicographical_topological_sort(graph)])
    except nx.NetworkXUnfeasible as problem:
        raise CircleError("the nodes of the plan wait for each other in a circle") from problem
