"""Computes the same maps in fewer passes over memory, by folding batch norm and zero padding into convolutions.

In eval mode batch norm is a scale and a shift per channel. Folded weights are computed in float64, so that maps differ
from the plain network's in the last bits only.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn

from raysel.network.graph.operations import Operation, pair

Operations = dict[fx.Node, Operation]

_IN_PLACE_MODULES = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.ELU)
_IN_PLACE_FUNCTIONS = (
    nn.functional.relu,
    nn.functional.relu6,
    nn.functional.silu,
    nn.functional.hardswish,
    nn.functional.leaky_relu,
)


def simplify(module: nn.Module, graph: fx.Graph, operations: Operations) -> None:
    """Folds operations into convolutions if nothing else, such as a tap, uses the tensors between them.

    Args:
        module: owns the weights; folded convolutions are added to it.
        graph: the graph of a network in eval mode; it is changed.
        operations: describes the nodes; a node that is not in it stays as it is.
    """
    fresh: set[fx.Node] = set()  # nodes with a tensor that shares its memory with no other
    for number, node in enumerate(list(graph.nodes)):
        name = operations[node].name if node in operations else ""
        if name == "conv2d":
            fresh.add(_fold(module, graph, operations, node, f"folded_{number}"))
        elif name == "batch_norm" and node.users:
            fresh.add(node)
    for node in list(graph.nodes):
        source = node.args[0] if node.args else None
        if isinstance(source, fx.Node) and source in fresh and len(source.users) == 1:
            _work_in_place(module, node)


def _fold(module: nn.Module, graph: fx.Graph, operations: Operations, node: fx.Node, name: str) -> fx.Node:
    """Replaces padding, convolution `node` and batch norm by one convolution; returns the node of the result."""
    conv = _as_module(module, operations[node], node)
    if conv is None:
        return node
    pad = _folded_padding(operations, node, conv)
    norm = _folded_norm(module, operations, node)
    if pad is None and norm is None:
        return node
    if norm is not None:
        _scale(conv, module.get_submodule(str(norm.target)))
    source = node.args[0] if pad is None else pad.args[0]
    module.add_module(name, conv)
    with graph.inserting_before(node):
        folded = graph.call_module(name, (source,))
    last = node if norm is None else norm
    last.replace_all_uses_with(folded)
    for old in (norm, node, pad):
        if old is not None:
            graph.erase_node(old)
    return folded


def _as_module(module: nn.Module, operation: Operation, node: fx.Node) -> nn.Conv2d | None:
    """A new convolution with the same weights; None if they are computed, or if it does not pad with zeros."""
    weight: Any
    bias: Any
    if node.op == "call_module":
        own = module.get_submodule(str(node.target))
        weight, bias = own.weight, own.bias
    else:
        weight = _constant(module, operation.arguments.get("weight"))
        bias = _constant(module, operation.arguments.get("bias"))
        if weight is None or (bias is None and operation.arguments.get("bias") is not None):
            return None
    padding = operation.setting("padding", 0)
    if operation.setting("padding_mode", "zeros") != "zeros" or isinstance(padding, str):
        return None
    groups = int(operation.setting("groups", 1))
    conv = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=pair(operation.setting("stride", 1)),
        padding=pair(padding),
        dilation=pair(operation.setting("dilation", 1)),
        groups=groups,
        device="meta",
    )
    conv.weight = nn.Parameter(weight.detach(), requires_grad=False)
    conv.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return conv.eval()


def _constant(module: nn.Module, node: Any) -> torch.Tensor | None:
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    value: Any = module
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value if isinstance(value, torch.Tensor) else None


def _folded_padding(operations: Operations, node: fx.Node, conv: nn.Conv2d) -> fx.Node | None:
    """The padding before `node` if it adds equally many zeros on opposite sides; it is moved into `conv`."""
    pad = node.args[0]
    if not isinstance(pad, fx.Node) or pad not in operations or operations[pad].name != "pad" or len(pad.users) != 1:
        return None
    operation = operations[pad]
    amounts = operation.arguments["pad"]
    if operation.setting("mode", "constant") != "constant" or operation.setting("value", 0) != 0:
        return None
    if not isinstance(amounts, (tuple, list)) or len(amounts) != 4 or min(amounts) < 0:
        return None
    left, right, top, bottom = amounts
    if left != right or top != bottom:
        return None
    rows, columns = pair(conv.padding)
    conv.padding = (rows + top, columns + left)
    conv._reversed_padding_repeated_twice = [columns + left] * 2 + [rows + top] * 2
    return pad


def _folded_norm(module: nn.Module, operations: Operations, node: fx.Node) -> fx.Node | None:
    """The batch norm after `node`, if nothing else uses the tensor between them."""
    if len(node.users) != 1:
        return None
    norm = next(iter(node.users))
    if norm.op != "call_module" or norm not in operations or operations[norm].name != "batch_norm":
        return None
    return norm if getattr(module.get_submodule(str(norm.target)), "running_var", None) is not None else None


def _scale(conv: nn.Conv2d, norm: Any) -> None:
    """Changes the weights of `conv` to those of ``norm(conv(x))``."""
    gain = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        gain = gain * norm.weight.double()
    before: Any = 0.0 if conv.bias is None else conv.bias.double()
    shift = (before - norm.running_mean.double()) * gain
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    conv.weight = nn.Parameter((conv.weight.double() * gain[:, None, None, None]).to(conv.weight.dtype).detach(), False)
    conv.bias = nn.Parameter(shift.to(conv.weight.dtype).detach(), False)


def _work_in_place(module: nn.Module, node: fx.Node) -> None:
    """Makes an activation write over its input, which nothing else uses."""
    if node.op == "call_module":
        activation: Any = module.get_submodule(str(node.target))
        if type(activation) in _IN_PLACE_MODULES and not activation.inplace:
            name = f"in_place_{node.name}"
            activation = copy.copy(activation)
            activation.inplace = True
            module.add_module(name, activation)
            node.target = name
    elif node.op == "call_function" and node.target in _IN_PLACE_FUNCTIONS and len(node.args) == 1:
        node.kwargs = {**node.kwargs, "inplace": True}
