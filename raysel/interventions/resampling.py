"""Pictures turned or mirrored about their center."""

from __future__ import annotations

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
    center_y, center_x = (height - 1) / 2, (width - 1) / 2
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = y - center_y, x - center_x
    # Rounding to 1e-9 makes places that lie on a pixel exact.
    from_x = np.clip(np.round(matrix[0, 0] * x + matrix[0, 1] * y + center_x, 9), 0, width - 1)
    from_y = np.clip(np.round(matrix[1, 0] * x + matrix[1, 1] * y + center_y, 9), 0, height - 1)
    left, top = np.floor(from_x).astype(int), np.floor(from_y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (from_x - left)[..., None], (from_y - top)[..., None]
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)
