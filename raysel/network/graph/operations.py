"""What a node of a graph does: one description for modules, functions, methods and ATen operators."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from raysel.network.graph.tracing import Traced, holds_tensors

CONVOLUTIONS = ("conv2d", "conv_transpose2d")
"""Operations whose channels are neurons by default."""

ACTIVATIONS = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish"),
        *("hardsigmoid", "hardtanh", "hardshrink", "softshrink", "sigmoid", "logsigmoid", "log_sigmoid", "tanh"),
        *("tanhshrink", "softplus", "softsign", "threshold", "clamp", "clip", "clamp_min", "clamp_max"),
    )
)
"""Activation functions."""

REDUCTIONS = ("mean", "sum", "amax", "amin", "max", "min", "std", "var", "logsumexp", "prod")
"""Operations over dimensions of one tensor."""

_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
_SIGNATURES: dict[str, tuple[str, ...]] = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "conv_transpose2d": ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    "max_pool2d": _POOL,
    "max_pool2d_with_indices": _POOL,
    "avg_pool2d": ("input", "kernel_size", "stride", "padding", "ceil_mode"),
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
    "group_norm": ("input", "num_groups"),
    "batch_norm": ("input", "#1", "#2", "#3", "#4", "training"),
    "instance_norm": ("input", "#1", "#2", "#3", "#4", "use_input_stats"),
    "dropout": ("input", "p", "training", "inplace"),
    "stochastic_depth": ("input", "p", "mode", "training"),
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
    "normalize": ("input", "p", "dim"),
    "norm": ("input", "p", "dim", "keepdim"),
    "linalg_vector_norm": ("input", "ord", "dim", "keepdim"),
    "log_softmax": ("input", "dim"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "pixel_shuffle": ("input", "upscale_factor"),
    "pixel_unshuffle": ("input", "downscale_factor"),
    "getitem": ("input", "index"),
    **dict.fromkeys(REDUCTIONS, ("input", "dim", "keepdim")),
}
"""Names of the positional arguments, for the operations whose arguments matter."""

_MODULE_TYPES: dict[str, tuple[type[nn.Module], ...]] = {
    "conv2d": (nn.Conv2d,),
    "conv_transpose2d": (nn.ConvTranspose2d,),
    "max_pool2d": (nn.MaxPool2d,),
    "avg_pool2d": (nn.AvgPool2d,),
    "lp_pool2d": (nn.LPPool2d,),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d,),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d,),
    "batch_norm": (nn.BatchNorm2d, nn.BatchNorm1d, nn.SyncBatchNorm),
    "instance_norm": (nn.InstanceNorm2d,),
    "group_norm": (nn.GroupNorm,),
    "layer_norm": (nn.LayerNorm,),
    "local_response_norm": (nn.LocalResponseNorm,),
    "interpolate": (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d),
    "pixel_shuffle": (nn.PixelShuffle,),
    "pixel_unshuffle": (nn.PixelUnshuffle,),
    "channel_shuffle": (nn.ChannelShuffle,),
    "reshape": (nn.Flatten, nn.Unflatten),
    "pad": (nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d),
    "dropout": (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout),
    "leaky_relu": (nn.LeakyReLU,),
}
_MODULES: dict[type[nn.Module], str] = {kind: name for name, kinds in _MODULE_TYPES.items() for kind in kinds} | {
    kind: kind.__name__.lower()
    for kind in (
        *(nn.Linear, nn.Softmax, nn.Identity, nn.ReLU, nn.ReLU6, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU),
        *(nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Hardshrink, nn.Softshrink),
        *(nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Threshold),
    )
}
_PAD_MODES = {nn.CircularPad2d: "circular", nn.ReflectionPad2d: "reflect", nn.ReplicationPad2d: "replicate"}

_ALIASES: dict[str, tuple[str, ...]] = {
    "batch_norm": ("native_batch_norm_legit_no_training", "native_batch_norm"),
    "silu": ("swish",),
    "div": ("truediv", "divide"),
    "mul": ("multiply",),
    "sub": ("subtract",),
    "cat": ("concatenate", "concat"),
    "reshape": ("view", "unsafe_view", "flatten", "unflatten"),
    "transpose": ("swapaxes",),
    "pad": ("constant_pad_nd",),
    "max_pool2d": ("max_pool2d_with_indices",),
    "split": ("split_with_sizes", "tensor_split"),
    "dropout": ("stochastic_depth", "feature_dropout", "alpha_dropout", "dropout1d", "dropout2d", "dropout3d"),
}
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
_BY_STATISTICS = {"batch_norm": "training", "instance_norm": "use_input_stats"}
"""Norms by stored statistics or by those of their input, with the argument that says which."""
_OF_TWO = {"max": "maximum", "min": "minimum"}
"""What operations with the name of a reduction are if they take two tensors."""

_IN_PLACE_OPERATORS: dict[Any, str] = {
    operator.setitem: "setitem",
    operator.iadd: "add",
    operator.isub: "sub",
    operator.imul: "mul",
    operator.itruediv: "div",
}


@dataclass(frozen=True)
class Operation:
    """An operation with its canonical name and its arguments by name: values if they are known, nodes for tensors."""

    name: str
    arguments: dict[str, Any]
    in_place: bool

    def setting(self, name: str, default: Any) -> Any:
        """The argument, or `default` if it is missing or None."""
        value = self.arguments.get(name)
        return default if value is None else value


def pair(value: Any) -> tuple[int, int]:
    """A setting for rows and columns: given once for both, or for each."""
    return (int(value[0]), int(value[-1])) if isinstance(value, (tuple, list)) else (int(value), int(value))


def describe(node: fx.Node, traced: Traced) -> Operation:
    """What `node` does; a node that computes nothing is called ``placeholder``, ``constant`` or ``output``."""
    if node.op == "get_attr":
        return Operation("constant", {}, False)
    if node.op in ("placeholder", "output"):
        return Operation(node.op, {}, False)
    name, arguments, in_place = _describe_module(node, traced) if node.op == "call_module" else _describe_call(node)
    arguments = {key: _known(value, traced) for key, value in arguments.items()}
    if name in _OF_TWO and (isinstance(arguments.get("dim"), fx.Node) or "other" in arguments):
        name = _OF_TWO[name]
    if name in _BY_STATISTICS:
        name, arguments["over_images"] = _norm_by_statistics(name, arguments)
    if name in CONVOLUTIONS and node.op != "call_module":
        arguments["kernel_size"] = (traced.tensor_shape(arguments["weight"]) or (1, 1))[-2:]
    return Operation(name, arguments, in_place or arguments.get("inplace") is True or "out" in arguments)


def _norm_by_statistics(name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
    """A norm's name by what it does, and True if it takes the statistics of a whole batch.

    With stored statistics, an instance norm is a batch norm. With those of its input, a batch norm is an instance norm
    if each image runs alone.
    """
    stored = arguments.get("running_mean", True) is not None and arguments.get(_BY_STATISTICS[name]) is not True
    return "batch_norm" if stored else "instance_norm", name == "batch_norm" and not stored


def reduced_dims(operation: Operation, ndim: int, default: int | None = None) -> set[int]:
    """The dimensions, from 0 to `ndim` - 1, that a reduction or a norm is over; all if it has none and no `default`."""
    dims = operation.arguments.get("dim", operation.arguments.get("axis"))
    dims = default if dims is None or isinstance(dims, bool) else dims  # x.std(False) is not over dimension 0
    if dims is None or dims == () or dims == []:
        return set(range(ndim))
    return {int(dim) % ndim for dim in (dims if isinstance(dims, (tuple, list)) else (dims,))}


def _describe_call(node: fx.Node) -> tuple[str, dict[str, Any], bool]:
    """Name, arguments, and whether it works in place, of a function, a method or an ATen operator."""
    in_place_operator = _IN_PLACE_OPERATORS.get(node.target) if node.op == "call_function" else None
    called = in_place_operator or _function_name(node.target)
    trailing_underscore = called.endswith("_") and not called.endswith("__")
    called = called[:-1] if trailing_underscore else called
    name = _CANONICAL.get(called, called)
    arguments = _by_name(_SIGNATURES.get(called, _SIGNATURES.get(name, ("input",))), node.args) | node.kwargs
    if called == "relu" and len(node.args) > 1:
        arguments["inplace"] = node.args[1]
    if "dims" in arguments and len(node.args) > 2:  # x.permute(0, 2, 3, 1)
        arguments["dims"] = node.args[1:]
    return name, arguments, in_place_operator is not None or trailing_underscore


def _describe_module(node: fx.Node, traced: Traced) -> tuple[str, dict[str, Any], bool]:
    module = traced.module.get_submodule(str(node.target))
    named = (_MODULES[base] for base in type(module).__mro__ if base in _MODULES)
    name = getattr(module, "raysel_operation", None) or next(named, type(module).__name__)
    arguments: dict[str, Any] = _by_name(("input",), node.args) | node.kwargs
    settings = (*_SIGNATURES.get(name, ()), "kernel_size", "padding_mode", "inplace", "running_mean")
    arguments |= {key: getattr(module, key) for key in settings if key not in arguments and hasattr(module, key)}
    if name == "pad":
        arguments["pad"] = getattr(module, "padding", None)
        arguments["mode"] = _PAD_MODES.get(type(module), "constant")
    if name == "interpolate":
        arguments["mode"] = getattr(module, "mode", "nearest")
    return name, arguments, False


def _function_name(target: Any) -> str:
    """A method's name, a function's name, or an ATen operator's name without its overload."""
    if isinstance(target, str):
        return target
    if isinstance(target, torch._ops.OpOverload):
        return target.overloadpacket.__name__
    return str(getattr(target, "__name__", target)).lstrip("_") or str(target)


def _by_name(names: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    named = dict(zip(names, values, strict=False))
    named.update({f"#{i}": value for i, value in enumerate(values[len(names) :], start=len(names))})
    return named


def _known(value: Any, traced: Traced) -> Any:
    """Replaces nodes that stand for plain values, such as a size, by those values; nodes of tensors stay."""

    def resolve(node: fx.Node) -> Any:
        known = traced.shapes.get(node, node)
        return node if holds_tensors(known) else known

    return fx.map_arg(value, resolve)
