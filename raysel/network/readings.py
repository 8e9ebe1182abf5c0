"""What belongs to a convolution or to the output of a block: the bias, norm and activation that directly follow it."""

from __future__ import annotations

from collections.abc import Collection

from torch import fx

from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import ACTIVATIONS

Found = tuple[fx.Node, str] | None

_NORMS = ("batch_norm", "group_norm", "instance_norm", "layer_norm")
_GATES = {
    ("sigmoid",): "silu",
    ("mul", "sigmoid"): "swish",
    ("softplus", "tanh"): "mish",
    ("hardsigmoid",): "hardswish",
}
"""What ``x * g(x)`` is called, by the operations of g."""
_GATE_PARTS = ACTIVATIONS | {"add", "mul", "div"}


def after_convolution(node: fx.Node, graph: OperationGraph) -> tuple[fx.Node, list[str]]:
    """The node at which convolution `node` is read, and the names of the operations between them."""
    parts: list[str] = []
    for follow in (_bias_after, _norm_after, _activation_after):
        if (found := follow(node, graph)) is not None:
            node, name = found
            parts.append(name.replace("_", " "))
    return node, parts


def after_block(node: fx.Node, graph: OperationGraph, inside: Collection[fx.Node]) -> tuple[fx.Node, list[str]]:
    """As `after_convolution`, for a block that ends with `node`: what follows belongs to it if it runs `inside`."""
    parts: list[str] = []
    for follow in (_norm_after, _activation_after):
        if (found := follow(node, graph)) is not None and found[0] in inside:
            node, name = found
            parts.append(name.replace("_", " "))
    return node, parts


def _bias_after(node: fx.Node, graph: OperationGraph) -> Found:
    """A bias that is a parameter of its own."""
    user = graph.only_user(node)
    return (user, "bias") if user is not None and graph.is_per_channel(user, "add") else None


def _norm_after(node: fx.Node, graph: OperationGraph) -> Found:
    """A norm; layer norm over channels may have a permutation before it, and one back after it."""
    user = graph.only_user(node)
    if user is None:
        return None
    if graph.name(user) in _NORMS:
        return user, graph.name(user)
    if graph.name(user) == "permute":
        norm = graph.only_user(user)
        if norm is None or graph.name(norm) != "layer_norm":
            return None
        back = graph.only_user(norm)
        return back if back is not None and graph.name(back) == "permute" else norm, "layer_norm"
    shift = graph.only_user(user)
    frozen = graph.is_per_channel(user, "mul") and shift is not None and graph.is_per_channel(shift, "add")
    return (shift, "frozen_batch_norm") if frozen and shift is not None else None


def _activation_after(node: fx.Node, graph: OperationGraph) -> Found:
    user = graph.only_user(node)
    if user is not None:
        name = graph.name(user)
        return (user, name) if name in ACTIVATIONS else None
    return _gate(node, graph)


def _gate(node: fx.Node, graph: OperationGraph) -> Found:
    """An activation written out as ``x * g(x)``: swish, hard swish, mish."""
    users = graph.users(node)
    products = [user for user in users if graph.name(user) == "mul" and len(graph.sources(user)) == 2]
    starts = [user for user in users if user not in products]
    if len(products) != 1 or len(starts) != 1:
        return None
    end, names = starts[0], []
    while end is not products[0]:
        names.append(graph.name(end))
        users = graph.users(end)
        if names[-1] not in _GATE_PARTS or len(graph.sources(end)) != 1 or len(users) != 1:
            return None
        end = users[0]
    scaled = graph.only_user(end)  # x * relu6(x + 3) / 6
    if scaled is not None and graph.name(scaled) in ("mul", "div") and len(scaled.all_input_nodes) == 1:
        end = scaled
    if "relu6" in names or "hardtanh" in names or "clamp" in names:
        return end, "hardswish"
    return (end, _GATES.get(tuple(names), "gate")) if set(names) & ACTIVATIONS else None
