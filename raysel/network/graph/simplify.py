"""Fewer passes over memory for the same maps: what a convolution can do itself is folded into it.

Batch norm in eval mode is a scale and a shift per channel, and zeros around the input can be the convolution's own
padding. Folded weights are computed in float64: maps differ from the plain network's in the last bits only.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn

from raysel.network.graph.operations import Operation

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
    """Folds what `graph` over `module` allows, where nothing else, a tap least of all, uses what lies between.

    Args:
        module: owner of the weights; folded convolutions are added to it.
        graph: of a network in eval mode; changed.
        operations: what each of its nodes does; nodes that are not in it are left alone.
    """
    fresh: set[fx.Node] = set()  # nodes whose memory nothing else looks at
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
    """One convolution for padding, convolution and batch norm; the node that gives its result."""
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
    """A convolution of its own with the same weights; None if they are computed, or its padding is not of zeros."""
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
        stride=_pair(operation.setting("stride", 1)),
        padding=_pair(padding),
        dilation=_pair(operation.setting("dilation", 1)),
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
    """The padding in front of `node`, if it is of zeros and even on both sides; `conv` then does it itself."""
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
    rows, columns = _pair(conv.padding)
    conv.padding = (rows + top, columns + left)
    conv._reversed_padding_repeated_twice = [columns + left] * 2 + [rows + top] * 2
    return pad


def _folded_norm(module: nn.Module, operations: Operations, node: fx.Node) -> fx.Node | None:
    """The batch norm behind `node` that alone uses it."""
    if len(node.users) != 1:
        return None
    norm = next(iter(node.users))
    if norm.op != "call_module" or norm not in operations or operations[norm].name != "batch_norm":
        return None
    return norm if getattr(module.get_submodule(str(norm.target)), "running_var", None) is not None else None


def _scale(conv: nn.Conv2d, norm: Any) -> None:
    """``norm(conv(x))`` becomes ``conv(x)``."""
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
    """An activation writes over its input, which nothing else uses."""
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


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[-1])) if isinstance(value, (tuple, list)) else (int(value), int(value))
