"""What a node of a graph does, told alike for modules, functions, methods and ATen operators."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from raysel.network.graph.tracing import Traced, holds_tensors
from raysel.network.importers.local_response import ChannelNormalization

_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
_AVERAGE_POOL = ("input", "kernel_size", "stride", "padding", "ceil_mode")
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_CONV_TRANSPOSE = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")

REDUCTIONS = ("mean", "sum", "amax", "amin", "max", "min", "std", "var", "logsumexp", "prod")
"""Operations over dimensions of one tensor."""

CONVOLUTIONS = ("conv2d", "conv_transpose2d")
"""Operations whose channels are neurons by default."""

SIGNATURES: dict[str, tuple[str, ...]] = {
    "conv2d": _CONV,
    "conv_transpose2d": _CONV_TRANSPOSE,
    "max_pool2d": _POOL,
    "max_pool2d_with_indices": _POOL,
    "avg_pool2d": _AVERAGE_POOL,
    "lp_pool2d": ("input", "norm_type", "kernel_size", "stride", "ceil_mode"),
    "adaptive_avg_pool2d": ("input", "output_size"),
    "adaptive_max_pool2d": ("input", "output_size"),
    "pad": ("input", "pad", "mode", "value"),
    "constant_pad_nd": ("input", "pad", "value"),
    "cat": ("tensors", "dim"),
    "concat": ("tensors", "dim"),
    "stack": ("tensors", "dim"),
    "linear": ("input", "weight", "bias"),
    "layer_norm": ("input", "normalized_shape"),
    "permute": ("input", "dims"),
    "transpose": ("input", "dim0", "dim1"),
    "unsqueeze": ("input", "dim"),
    "squeeze": ("input", "dim"),
    "chunk": ("input", "chunks", "dim"),
    "split": ("input", "size", "dim"),
    "unbind": ("input", "dim"),
    "select": ("input", "dim", "index"),
    "slice": ("input", "dim", "start", "end", "step"),
    "narrow": ("input", "dim", "start", "length"),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "pixel_shuffle": ("input", "upscale_factor"),
    "pixel_unshuffle": ("input", "downscale_factor"),
    "getitem": ("input", "index"),
    **dict.fromkeys(REDUCTIONS, ("input", "dim", "keepdim")),
}
"""Names of the positional arguments, for the operations whose arguments matter."""

_MODULES: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "conv_transpose2d",
    nn.MaxPool2d: "max_pool2d",
    nn.AvgPool2d: "avg_pool2d",
    nn.LPPool2d: "lp_pool2d",
    nn.AdaptiveAvgPool2d: "adaptive_avg_pool2d",
    nn.AdaptiveMaxPool2d: "adaptive_max_pool2d",
    nn.BatchNorm2d: "batch_norm",
    nn.BatchNorm1d: "batch_norm",
    nn.SyncBatchNorm: "batch_norm",
    nn.InstanceNorm2d: "instance_norm",
    nn.GroupNorm: "group_norm",
    nn.LayerNorm: "layer_norm",
    nn.LocalResponseNorm: "local_response_norm",
    ChannelNormalization: "local_response_norm",
    nn.Linear: "linear",
    nn.Softmax: "softmax",
    nn.Upsample: "interpolate",
    nn.UpsamplingNearest2d: "interpolate",
    nn.UpsamplingBilinear2d: "interpolate",
    nn.PixelShuffle: "pixel_shuffle",
    nn.PixelUnshuffle: "pixel_unshuffle",
    nn.ChannelShuffle: "channel_shuffle",
    nn.Flatten: "reshape",
    nn.Unflatten: "reshape",
    nn.ZeroPad2d: "pad",
    nn.ConstantPad2d: "pad",
    nn.ReflectionPad2d: "pad",
    nn.ReplicationPad2d: "pad",
    nn.CircularPad2d: "pad",
    nn.Identity: "identity",
    nn.Dropout: "dropout",
    nn.Dropout1d: "dropout",
    nn.Dropout2d: "dropout",
    nn.AlphaDropout: "dropout",
    nn.FeatureAlphaDropout: "dropout",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.RReLU: "rrelu",
    nn.ELU: "elu",
    nn.CELU: "celu",
    nn.SELU: "selu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Hardswish: "hardswish",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardtanh: "hardtanh",
    nn.Hardshrink: "hardshrink",
    nn.Softshrink: "softshrink",
    nn.Sigmoid: "sigmoid",
    nn.LogSigmoid: "logsigmoid",
    nn.Tanh: "tanh",
    nn.Softplus: "softplus",
    nn.Softsign: "softsign",
    nn.Threshold: "threshold",
}

_PAD_MODES = {nn.CircularPad2d: "circular", nn.ReflectionPad2d: "reflect", nn.ReplicationPad2d: "replicate"}

_SYNONYMS = {
    "native_batch_norm_legit_no_training": "batch_norm",
    "native_batch_norm": "batch_norm",
    "swish": "silu",
    "truediv": "div",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "concatenate": "cat",
    "concat": "cat",
    "view": "reshape",
    "unsafe_view": "reshape",
    "flatten": "reshape",
    "unflatten": "reshape",
    "swapaxes": "transpose",
    "constant_pad_nd": "pad",
    "max_pool2d_with_indices": "max_pool2d",
    "split_with_sizes": "split",
    "tensor_split": "split",
    "stochastic_depth": "dropout",
    "feature_dropout": "dropout",
    "alpha_dropout": "dropout",
    "dropout2d": "dropout",
}

_IN_PLACE_OPERATORS: dict[Any, str] = {
    operator.iadd: "add",
    operator.isub: "sub",
    operator.imul: "mul",
    operator.itruediv: "div",
}


@dataclass(frozen=True)
class Operation:
    """One operation: its canonical name, and its arguments by name: values where they are known, nodes for tensors."""

    name: str
    arguments: dict[str, Any]
    in_place: bool

    def setting(self, name: str, default: Any) -> Any:
        """The argument, or `default` where it is missing or None."""
        value = self.arguments.get(name)
        return default if value is None else value


def describe(node: fx.Node, traced: Traced) -> Operation:
    """What `node` does; name ``placeholder``, ``constant`` or ``output`` for nodes that compute nothing."""
    if node.op == "get_attr":
        return Operation("constant", {}, False)
    if node.op in ("placeholder", "output"):
        return Operation(node.op, {}, False)
    if node.op == "call_module":
        return _of_module(node, traced)
    raw = _IN_PLACE_OPERATORS.get(node.target) if node.op == "call_function" else None
    in_place = raw is not None
    raw = raw or function_name(node.target)
    if raw.endswith("_") and not raw.endswith("__"):
        raw, in_place = raw[:-1], True
    name = _SYNONYMS.get(raw, raw)
    arguments = _named(SIGNATURES.get(raw, SIGNATURES.get(name, ("input",))), node.args)
    arguments |= node.kwargs
    if raw == "relu" and len(node.args) > 1:
        arguments["inplace"] = node.args[1]
    if "dims" in arguments and len(node.args) > 2:  # x.permute(0, 2, 3, 1)
        arguments["dims"] = node.args[1:]
    arguments = {key: _known(value, traced) for key, value in arguments.items()}
    if name in CONVOLUTIONS:
        arguments["kernel_size"] = (traced.tensor_shape(arguments["weight"]) or (1, 1))[-2:]
    return Operation(name, arguments, in_place or arguments.get("inplace") is True or "out" in arguments)


def function_name(target: Any) -> str:
    """Plain name of a call's target: a method's name, a function, an ATen operator without its overload."""
    if isinstance(target, str):
        return target
    if isinstance(target, torch._ops.OpOverload):
        return target.overloadpacket.__name__
    return str(getattr(target, "__name__", target)).lstrip("_") or str(target)


def _named(names: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    named = dict(zip(names, values, strict=False))
    named.update({f"#{i}": value for i, value in enumerate(values[len(names) :], start=len(names))})
    return named


def _of_module(node: fx.Node, traced: Traced) -> Operation:
    module = traced.module.get_submodule(str(node.target))
    name = next((_MODULES[base] for base in type(module).__mro__ if base in _MODULES), type(module).__name__)
    arguments: dict[str, Any] = _named(("input",), node.args) | dict(node.kwargs)
    names = (*SIGNATURES.get(name, ()), "kernel_size", "padding_mode", "inplace")
    arguments |= {key: getattr(module, key) for key in names if key not in arguments and hasattr(module, key)}
    if name == "pad":
        arguments["pad"] = getattr(module, "padding", None)
        arguments["mode"] = _PAD_MODES.get(type(module), "constant")
    if name == "interpolate":
        arguments["mode"] = getattr(module, "mode", "nearest")
    arguments = {key: _known(value, traced) for key, value in arguments.items()}
    return Operation(name, arguments, bool(arguments.get("inplace")))


def _known(value: Any, traced: Traced) -> Any:
    """Nodes that stand for plain values (a size, say) become those values; nodes of tensors stay."""

    def resolve(node: fx.Node) -> Any:
        known = traced.shapes.get(node, node)
        return node if holds_tensors(known) else known

    return fx.map_arg(value, resolve)
