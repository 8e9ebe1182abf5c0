"""Which dimension of a tensor holds its channels: [B, C, rows, columns] after convolutions, [B, rows, columns, C] after
linear layers."""

from __future__ import annotations

Shape = tuple[int, ...]
Space = tuple[int | None, int | None]

_SLACK = 0.25
"""Borders change the ratio of rows to columns a little."""


def channels_dim(shape: Shape, space: Space | None, batch: int, input_size: tuple[int, ...]) -> int | None:
    """The dimension of the channels.

    Args:
        shape: the shape of a tensor.
        space: the dimensions of rows and columns; None: not known, and inferred from the shape of the images.
        batch: images in the batch.
        input_size: (height, width) of the images.

    Returns:
        1 or 3; None if the tensor is neither a map nor a vector of the batch's images, or if this cannot be decided.
    """
    if len(shape) not in (2, 4) or shape[0] != batch:
        return None
    if len(shape) == 2:
        return 1
    if space is not None and None not in space:
        return 1 if space == (2, 3) else 3 if space == (1, 2) else None
    first, last = (_misfit(shape[k], shape[k + 1], input_size) for k in (2, 1))
    return None if min(first, last) > _SLACK else 1 if first <= last else 3


def channels_first(shape: Shape, channels: int) -> Shape:
    """The shape [B, C, ...] of a tensor whose channels are in dimension `channels`."""
    return (shape[0], shape[channels], *(side for k, side in enumerate(shape) if k not in (0, channels)))


def _misfit(rows: int, columns: int, input_size: Shape) -> float:
    """How far the ratio of rows to columns is from that of the images, 0 to 1."""
    height, width = input_size
    a, b = rows * width, columns * height
    return abs(a - b) / max(a, b) if rows <= height and columns <= width else 1.0
