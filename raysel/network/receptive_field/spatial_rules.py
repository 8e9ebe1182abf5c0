"""Rules of operations along rows and columns: windows, padding, resampling."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from raysel.network.graph.operations import Operation, pair
from raysel.network.receptive_field.axis_extent import AxisExtent
from raysel.network.receptive_field.tensor_receptive_field import Result, Shape, TensorReceptiveField

_REACH = {"nearest": Fraction(1), "nearest-exact": Fraction(1), "bilinear": Fraction(1), "bicubic": Fraction(2)}
"""Positions of the input on either side of the center that an interpolated position sees at most."""


def window(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A convolution or a pooling."""
    if operation.arguments.get("padding_mode") == "circular":
        return None
    kernel = pair(operation.arguments["kernel_size"])
    stride = pair(operation.setting("stride", kernel) or kernel)
    dilation = pair(operation.setting("dilation", 1))
    padding = operation.setting("padding", 0)
    if isinstance(padding, str):
        padding = [d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
    return field.along_space(before, after, AxisExtent.window, kernel, stride, pair(padding), dilation)


def transposed_window(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A transposed convolution."""
    settings = (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    pairs = (pair(operation.setting(name, default)) for name, default in settings)
    return field.along_space(before, after, AxisExtent.transposed_window, *pairs)


def adaptive_pool(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A pooling to a given size."""
    return field.along_space(before, after, _adaptive)


def _adaptive(axis: AxisExtent, length: int) -> AxisExtent:
    """Position r sees the positions from ``floor(r * n / length)`` to ``ceil((r + 1) * n / length) - 1``."""
    if length == 1:
        return axis.everything(1) if axis.length > 1 else axis
    if axis.length % length == 0:
        return axis.window(length, axis.length // length, axis.length // length)
    step, rest = Fraction(axis.length, length), Fraction(length - 1, length)
    return axis.resampled(length, step, -rest, step - 1 + rest)


def pad(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Padding of any kind but circular; a negative amount crops."""
    if operation.arguments.get("mode") == "circular":
        return None
    amounts = operation.arguments["pad"]
    amounts = list(amounts) if isinstance(amounts, (tuple, list)) else [amounts] * 4
    left, top = amounts[0], amounts[2] if len(amounts) > 2 else 0
    return field.along_space(before, after, AxisExtent.shift, (top, left))


def interpolate(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Interpolation without antialiasing."""
    reach = _REACH.get(operation.setting("mode", "nearest"))
    if reach is None or operation.arguments.get("antialias"):
        return None
    aligned = bool(operation.setting("align_corners", False))
    return field.along_space(before, after, partial(_interpolated, reach=reach, aligned=aligned))


def _interpolated(axis: AxisExtent, length: int, reach: Fraction, aligned: bool) -> AxisExtent:
    if length == axis.length:
        return axis
    if aligned and length > 1:
        return axis.resampled(length, Fraction(axis.length - 1, length - 1), -reach, reach)
    step = Fraction(axis.length, length)
    center = (step - 1) / 2
    return axis.resampled(length, step, center - reach, center + reach)


def pixel_shuffle(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Channels to space: several positions come from one."""
    step = Fraction(before[-1], after[-1])
    return field.along_space(before, after, AxisExtent.resampled, (step,) * 2, (step - 1,) * 2, (Fraction(0),) * 2)


def pixel_unshuffle(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Space to channels: one position comes from a block."""
    block = before[-1] // after[-1]
    return field.along_space(before, after, AxisExtent.window, (block, block), (block, block))
