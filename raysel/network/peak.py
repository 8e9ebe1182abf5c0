"""A neuron's activation for an image: the maximum of its map over space, and where it stands."""

from __future__ import annotations

import torch


def peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maximum over space and the position of its first occurrence in raster order (design, sec. 1).

    The maximum of each row first, side by side over the channels, then the first row that reaches it, then the first
    column within that row. With channels last in memory this costs a small part of a maximum with indices.

    Args:
        maps: float [images, channels, rows, columns].

    Returns:
        (float32 [images, channels], int32 [images, channels]: ``row * columns + column``). NaN anywhere gives NaN.
    """
    pixels = maps.permute(0, 2, 3, 1).contiguous()
    columns = pixels.shape[2]
    activation, row = pixels.amax(dim=2).max(dim=1)
    line = pixels.gather(1, row[:, None, None, :].expand(-1, 1, columns, -1)).squeeze(1)
    position = row * columns + line.argmax(dim=1)
    return activation.float(), position.int()
