"""Rules of operations along rows and columns: windows, padding, resampling."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from raysel.network.graph.operations import Operation, pair
from raysel.network.receptive_field.axis_extent import AxisExtent
from raysel.network.receptive_field.tensor_receptive_field import Result, Shape, TensorReceptiveField


def window(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A convolution or a pooling."""
    mode = operation.setting("padding_mode", "zeros")
    if mode == "circular":
        return None
    kernel = pair(operation.arguments["kernel_size"])
    stride = pair(operation.setting("stride", 1 if operation.name == "conv2d" else kernel) or kernel)
    dilation = pair(operation.setting("dilation", 1))
    padding = operation.setting("padding", 0)
    if isinstance(padding, str):
        padding = [d * (k - 1) // 2 if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
    if mode == "zeros":
        return field.along_space(before, after, AxisExtent.window, kernel, stride, pair(padding), dilation)
    windows = zip(after[-2:], kernel, stride, dilation, strict=True)
    wide = (*before[:-2], *((n - 1) * s + d * (k - 1) + 1 for n, k, s, d in windows))
    padded = field.along_space(before, wide, AxisExtent.padded, pair(padding), (mode, mode))
    return padded and padded.along_space(wide, after, AxisExtent.window, kernel, stride, (0, 0), dilation)


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
        return axis.joined(1) if axis.length > 1 else axis
    step, rest = Fraction(axis.length, length), Fraction(length - 1, length)
    positions, new = np.arange(axis.length), np.arange(length)[:, None]
    mask = (positions >= new * axis.length // length) & (positions < -((new + 1) * -axis.length // length))
    if step.denominator == 1:
        return axis.through(mask, step, Fraction(0), step - 1, even=True)
    return axis.through(mask, step, -rest, step - 1 + rest, even=False)


def pad(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Padding of any kind but circular; a negative amount crops."""
    mode = operation.setting("mode", "constant")
    if mode == "circular":
        return None
    amounts = operation.arguments["pad"]
    amounts = list(amounts) if isinstance(amounts, (tuple, list)) else [amounts] * 4
    left, top = amounts[0], amounts[2] if len(amounts) > 2 else 0
    return field.along_space(before, after, AxisExtent.padded, (top, left), (mode, mode))


def interpolate(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Interpolation, with torch's own weights."""
    names = ("mode", "align_corners", "antialias", "recompute_scale_factor")
    options = {name: operation.arguments[name] for name in names if operation.arguments.get(name) is not None}
    scale = operation.arguments.get("scale_factor")
    scales = (None, None) if scale is None else scale if isinstance(scale, (tuple, list)) else (scale, scale)
    return field.along_space(before, after, partial(_interpolated, options), (scales[0], scales[-1]))


def _interpolated(options: dict[str, Any], axis: AxisExtent, length: int, scale: float | None) -> AxisExtent:
    single = torch.eye(axis.length, dtype=torch.float64)[None, :, None, :]  # a channel of one row for each position
    size: dict[str, Any] = {"size": (1, length)} if scale is None else {"scale_factor": (1.0, scale)}
    weights = functional.interpolate(single, **size, **options)[0, :, 0, :].T.numpy()
    mask = weights != 0
    if axis.length == length and (mask == np.eye(length)).all():
        return axis
    if options.get("align_corners") and length > 1:
        step = Fraction(axis.length - 1, length - 1)
    else:
        step = Fraction(axis.length, length) if scale is None else 1 / Fraction(scale).limit_denominator(10**6)
    ends = [(r * step, q) for r, line in enumerate(mask) for q in np.flatnonzero(line)[[0, -1]].tolist()]
    before, after = min(q - start for start, q in ends), max(q - start for start, q in ends)
    return axis.through(mask, step, before, after, even=False)


def pixel_shuffle(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Channels to space: several positions come from one."""
    times = after[-1] // before[-1]
    return field.along_space(before, after, lambda axis, _: axis.repeated(times))


def pixel_unshuffle(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Space to channels: one position comes from a block."""
    block = before[-1] // after[-1]
    return field.along_space(before, after, AxisExtent.window, (block, block), (block, block))
