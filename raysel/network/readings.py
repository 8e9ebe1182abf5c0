"""What belongs to a convolution: the batch norm and the activation that directly follow it."""

from __future__ import annotations

from torch import fx

from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import ACTIVATIONS

_GATE_PARTS = ACTIVATIONS | {"add", "mul", "div"}


def after_convolution(node: fx.Node, graph: OperationGraph) -> tuple[fx.Node, list[str]]:
    """The node at which convolution `node` is read, and the names of the operations between them."""
    parts: list[str] = []
    norm = graph.only_user(node)
    if norm is not None and graph.name(norm) == "batch_norm":
        node, parts = norm, ["batch norm"]
    activation = _activation_after(node, graph)
    if activation is not None:
        node, name = activation
        parts.append(name)
    return node, parts


def _activation_after(node: fx.Node, graph: OperationGraph) -> tuple[fx.Node, str] | None:
    user = graph.only_user(node)
    if user is not None:
        name = graph.name(user)
        return (user, name.replace("_", " ")) if name in ACTIVATIONS else None
    return _gate(node, graph)


def _gate(node: fx.Node, graph: OperationGraph) -> tuple[fx.Node, str] | None:
    """An activation written out as ``x * g(x)``: swish, hard swish, mish."""
    users = graph.users(node)
    products = [user for user in users if graph.name(user) == "mul"]
    starts = [user for user in users if user not in products]
    if len(products) != 1 or len(starts) != 1 or len(products[0].all_input_nodes) != 2:
        return None
    end, names = starts[0], []
    while end is not products[0]:
        names.append(graph.name(end))
        users = graph.users(end)
        if names[-1] not in _GATE_PARTS or len(end.all_input_nodes) != 1 or len(users) != 1:
            return None
        end = users[0]
    scaled = graph.only_user(end)  # x * relu6(x + 3) / 6
    if scaled is not None and graph.name(scaled) in ("mul", "div") and len(scaled.all_input_nodes) == 1:
        end = scaled
    gates = {("sigmoid",): "silu", ("softplus", "tanh"): "mish", ("hardsigmoid",): "hardswish"}
    if "relu6" in names or "hardtanh" in names or "clamp" in names:
        return end, "hardswish"
    return (end, gates.get(tuple(names), "gate")) if set(names) & ACTIVATIONS else None
