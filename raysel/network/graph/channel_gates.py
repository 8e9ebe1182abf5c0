"""Channel gates, as in squeeze-and-excitation: a number per channel, computed from a map, that multiplies a map."""

from __future__ import annotations

from torch import fx

from raysel.network.graph.operation_graph import OperationGraph

_EXPANSIONS = frozenset(("expand", "expand_as", "broadcast_to"))


def gate_nodes(graph: OperationGraph) -> frozenset[fx.Node]:
    """The nodes that affect the network's output only through channel gates."""
    found: set[fx.Node] = set()
    for node in reversed(graph.order):
        users = [user for user in node.users if graph.has_tensor(user)]
        if users and all(user in found or _multiplies_channels(node, user, graph) for user in users):
            found.add(node)
    return frozenset(found)


def works_on_one_position(node: fx.Node, graph: OperationGraph) -> bool:
    """True if the node's first operand is a map of one position."""
    shape = graph.shape(node.all_input_nodes[0])
    return shape is not None and shape[-2:] == (1, 1)


def _multiplies_channels(node: fx.Node, user: fx.Node, graph: OperationGraph) -> bool:
    """True if `user` multiplies a map of several positions by `node`, which has one value for all of them."""
    if graph.name(user) != "mul" or len(graph.sources(user)) < 2:
        return False
    gate = node.all_input_nodes[0] if graph.name(node) in _EXPANSIONS else node
    shape, result = graph.shape(gate), graph.shape(user)
    return shape is not None and result is not None and shape[-2:] == (1, 1) != result[-2:]
