"""The rules of single operations: from what the operand sees to what the result sees.

A rule gets the operation, its operand's field and shape, and the result's shape; None means that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from raysel.network.graph.operations import REDUCTIONS, Operation
from raysel.network.receptive_field.axis_extent import AxisExtent
from raysel.network.receptive_field.tensor_field import Shape, TensorReceptiveField, broadcast

POINTWISE = frozenset(
    (
        *("batch_norm", "local_response_norm", "identity", "dropout", "relu", "relu6", "leaky_relu", "prelu", "rrelu"),
        *("elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "hardshrink"),
        *("softshrink", "sigmoid", "logsigmoid", "log_sigmoid", "tanh", "tanhshrink", "softplus", "softsign"),
        *("threshold", "clamp", "clip", "clamp_min", "clamp_max", "add", "sub", "rsub", "mul", "div", "neg", "abs"),
        *("pow", "square", "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "sin", "cos", "erf", "maximum", "minimum"),
        *("where", "lerp", "addcmul", "addcdiv", "contiguous", "clone", "to", "float", "half", "double", "type"),
        *("type_as", "detach", "alias", "cpu", "cuda", "positive", "reciprocal", "floor", "ceil", "round", "sign"),
        *("masked_fill", "nan_to_num"),
    )
)
"""Operations on each position for itself; several operands are broadcast."""

Result = TensorReceptiveField | None
"""What the result of an operation sees; None: its rule does not know."""


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        return (int(value[0]), int(value[-1]))
    return (int(value), int(value))


def _window(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    if seen is None or operation.arguments.get("padding_mode") == "circular":
        return None
    kernel = _pair(operation.arguments["kernel_size"])
    stride = _pair(operation.setting("stride", kernel) or kernel)
    dilation = _pair(operation.setting("dilation", 1))
    asked = operation.setting("padding", 0)
    if isinstance(asked, str):
        padding = tuple(d * (k - 1) // 2 if asked == "same" else 0 for d, k in zip(dilation, kernel, strict=True))
    else:
        padding = _pair(asked)
    rows, columns = (
        axis.window(shape[axis_dim], kernel[k], stride[k], padding[k], dilation[k])
        for k, (axis, axis_dim) in enumerate(zip(seen.axes, (-2, -1), strict=True))
    )
    return seen.with_axes(rows, columns)


def _transposed(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    if seen is None:
        return None
    settings = zip(
        seen.axes,
        shape[-2:],
        *(_pair(operation.setting(key, 1)) for key in ("kernel_size", "stride")),
        _pair(operation.setting("padding", 0)),
        _pair(operation.setting("dilation", 1)),
        strict=True,
    )
    rows, columns = (axis.transposed_window(n, k, s, p, d) for axis, n, k, s, p, d in settings)
    return seen.with_axes(rows, columns)


def _adaptive(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    if seen is None:
        return None
    rows, columns = (_adapted(axis, n) for axis, n in zip(seen.axes, shape[-2:], strict=True))
    return seen.with_axes(rows, columns)


def _adapted(axis: AxisExtent, length: int) -> AxisExtent:
    """Output r averages the inputs from ``floor(r * n / length)`` to ``ceil((r + 1) * n / length) - 1``."""
    if length == 1:
        return axis.everything(1) if axis.length > 1 else axis
    if axis.length % length == 0:
        return axis.window(length, axis.length // length, axis.length // length)
    step, rest = Fraction(axis.length, length), Fraction(length - 1, length)
    return axis.resampled(length, step, -rest, step - 1 + rest)


def _pad(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    if seen is None or operation.arguments.get("mode") == "circular":
        return None
    amounts = operation.arguments["pad"]
    amounts = list(amounts) if isinstance(amounts, (tuple, list)) else [amounts] * 4
    left, top = amounts[0], amounts[2] if len(amounts) > 2 else 0
    return seen.with_axes(seen.axes[0].shift(shape[-2], top), seen.axes[1].shift(shape[-1], left))


def _linear(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    return field.reduced({len(before) - 1}, len(before), keepdim=True)


def _layer_norm(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    normalized = operation.arguments["normalized_shape"]
    count = len(normalized) if isinstance(normalized, (tuple, list)) else 1
    return _over(field, set(range(len(before) - count, len(before))), before)


def _softmax(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    return _over(field, {int(operation.setting("dim", 1)) % len(before)}, before)


def _over_space(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    return _over(field, set(range(2, len(before))), before)


def _over(field: TensorReceptiveField, dims: set[int], shape: Shape) -> TensorReceptiveField:
    """Statistics over `dims` reach every value; the shape stays."""
    if field.flattened and field.dims[0] in dims:
        return field.everything(shape, True)
    rows, columns = (
        axis.everything(axis.length) if dim in dims and axis.length > 1 else axis
        for axis, dim in zip(field.axes, field.dims, strict=True)
    )
    return field.with_axes(rows, columns)


def _reduction(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    dim = operation.arguments.get("dim", operation.arguments.get("axis"))
    if dim is None or dim == ():
        dims = set(range(len(before)))
    else:
        dims = {int(d) % len(before) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))}
    return field.reduced(dims, len(before), keepdim=len(before) == len(shape))


def _reshape(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    return field.reshaped(before, shape)


def _permute(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    dims = operation.arguments["dims"]
    order = dims if isinstance(dims, (tuple, list)) else (dims,)
    return field.permuted(tuple(int(d) % len(before) for d in order))


def _transpose(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    order = list(range(len(before)))
    a, b = (int(operation.arguments[key]) for key in ("dim0", "dim1"))
    order[a], order[b] = order[b], order[a]
    return field.permuted(tuple(order))


def _unsqueeze(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    at = int(operation.arguments["dim"]) % len(shape)
    return field.moved(lambda d: d + (d >= at))


def _part(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    return field if int(operation.setting("dim", 0)) % len(before) not in field.dims else None


def _unbind(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    dim = int(operation.setting("dim", 0)) % len(before)
    return field.moved(lambda d: d - (d > dim)) if dim not in field.dims else None


def joined(operation: Operation, operands: list[tuple[TensorReceptiveField, Shape]], shape: Shape) -> Result:
    """Concatenation along channels sees what any part sees; along space it is not followed."""
    dim = int(operation.setting("dim", 0)) % len(shape)
    if operation.name == "stack":
        operands = [(field.moved(lambda d: d + (d >= dim)), shape) for field, _ in operands]
    if any(dim in field.dims for field, _ in operands):
        return None
    return broadcast(operands, shape)


def _getitem(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    index = operation.arguments["index"]
    return _indexed(field, before, shape, index if isinstance(index, tuple) else (index,))


def _slice(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    dim = int(operation.setting("dim", 0)) % len(before)
    cut = slice(*(operation.arguments.get(key) for key in ("start", "end", "step")))
    return _indexed(field, before, shape, (slice(None),) * dim + (cut,))


def _select(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    dim = int(operation.arguments["dim"]) % len(before)
    return _indexed(field, before, shape, (slice(None),) * dim + (int(operation.arguments["index"]),))


def _indexed(field: TensorReceptiveField, before: Shape, shape: Shape, index: tuple[Any, ...]) -> Result:
    """Basic indexing: slices of space crop and thin the map; an index taken out of space is not followed."""
    if Ellipsis in index:
        at = index.index(Ellipsis)
        missing = len(before) - sum(item is not None for item in index) + 1
        index = (*index[:at], *(slice(None),) * missing, *index[at + 1 :])
    axes, dims = list(field.axes), list(field.dims)
    source = target = 0
    for item in (*index, *(slice(None),) * (len(before) - sum(i is not None for i in index))):
        if item is None:
            target += 1
            continue
        places = [k for k in (0, 1) if field.dims[k] == source]
        if isinstance(item, slice):
            start, _, step = item.indices(before[source])
            for k in places:
                dims[k] = target
                if (start, step) != (0, 1) and len(places) > 1:
                    return None
                axes[k] = axes[k].window(shape[target], 1, step, -start) if len(places) == 1 else axes[k]
            target += 1
        elif not isinstance(item, int) or places:
            return None
        source += 1
    return TensorReceptiveField((axes[0], axes[1]), (dims[0], dims[1]))


_MARGINS = {"nearest": Fraction(1), "nearest-exact": Fraction(1), "bilinear": Fraction(1), "bicubic": Fraction(2)}


def _interpolate(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    margin = _MARGINS.get(operation.setting("mode", "nearest"))
    if seen is None or margin is None or operation.arguments.get("antialias"):
        return None
    aligned = bool(operation.setting("align_corners", False))
    lengths = zip(seen.axes, shape[-2:], strict=True)
    rows, columns = (_interpolated(axis, length, margin, aligned) for axis, length in lengths)
    return seen.with_axes(rows, columns)


def _interpolated(axis: AxisExtent, length: int, margin: Fraction, aligned: bool) -> AxisExtent:
    if length == axis.length:
        return axis
    if aligned and length > 1:
        return axis.resampled(length, Fraction(axis.length - 1, length - 1), -margin, margin)
    step = Fraction(axis.length, length)
    centre = (step - 1) / 2
    return axis.resampled(length, step, centre - margin, centre + margin)


def _pixel_shuffle(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    if seen is None:
        return None
    step = Fraction(before[-1], shape[-1])
    rows, columns = (a.resampled(n, step, step - 1, Fraction(0)) for a, n in zip(seen.axes, shape[-2:], strict=True))
    return seen.with_axes(rows, columns)


def _pixel_unshuffle(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    seen = field.spatial(before)
    if seen is None:
        return None
    factor = before[-1] // shape[-1]
    rows, columns = (a.window(n, factor, factor) for a, n in zip(seen.axes, shape[-2:], strict=True))
    return seen.with_axes(rows, columns)


def _same(operation: Operation, field: TensorReceptiveField, before: Shape, shape: Shape) -> Result:
    return field


RULES: dict[str, Callable[[Operation, TensorReceptiveField, Shape, Shape], TensorReceptiveField | None]] = {
    **dict.fromkeys(("conv2d", "max_pool2d", "avg_pool2d", "lp_pool2d"), _window),
    "conv_transpose2d": _transposed,
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive),
    "pad": _pad,
    **dict.fromkeys(REDUCTIONS, _reduction),
    "linear": _linear,
    "layer_norm": _layer_norm,
    **dict.fromkeys(("group_norm", "instance_norm"), _over_space),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    "reshape": _reshape,
    **dict.fromkeys(("squeeze", "view_as"), _reshape),
    "permute": _permute,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    **dict.fromkeys(("chunk", "split"), _part),
    "unbind": _unbind,
    "getitem": _getitem,
    "slice": _slice,
    "select": _select,
    "interpolate": _interpolate,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "channel_shuffle": _same,
}
