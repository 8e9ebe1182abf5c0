"""Pictures turned or mirrored about their center."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from raysel.interventions.intervention import Pixels


def resampled(pixels: Pixels, matrix: NDArray[np.float64]) -> Pixels:
    """The picture with each pixel taken, bilinearly, from where a matrix maps its place.

    Places outside of the picture have the color of its nearest edge pixel.

    Args:
        pixels: uint8 [h, w, 3].
        matrix: float64 [2, 2], which maps (x, y) relative to the center.
    """
    height, width, _ = pixels.shape
    values = pixels.reshape(-1, 3).astype(np.float32)
    mixed = np.zeros_like(values)
    for pixel, weight in _corners(height, width, tuple(matrix.ravel().tolist())):
        mixed += values.take(pixel, axis=0) * weight
    return np.rint(mixed).astype(np.uint8).reshape(pixels.shape)


@lru_cache(maxsize=32)
def _corners(
    height: int, width: int, matrix: tuple[float, float, float, float]
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """For each of the four pixels around a place: which pixel, int64 [h * w], and its weight, float32 [h * w, 1].

    Computing this takes longer than using it, and many crops of a layer have one size.
    """
    center_y, center_x = (height - 1) / 2, (width - 1) / 2
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float64)
    y, x = y - center_y, x - center_x
    # Rounding to 1e-9 makes places that lie on a pixel exact.
    from_x = np.clip(np.round(matrix[0] * x + matrix[1] * y + center_x, 9), 0, width - 1)
    from_y = np.clip(np.round(matrix[2] * x + matrix[3] * y + center_y, 9), 0, height - 1)
    left, top = np.floor(from_x).astype(np.int64), np.floor(from_y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = from_x - left, from_y - top
    corners = (
        (top, left, (1 - down) * (1 - across)),
        (top, right, (1 - down) * across),
        (bottom, left, down * (1 - across)),
        (bottom, right, down * across),
    )
    return [(row * width + column, weight[:, None].astype(np.float32)) for row, column, weight in corners]
