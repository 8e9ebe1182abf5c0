"""Sharpness (paper, sections 2 and 5): how much of the contrast of the crops is left in the neuron feature."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.neurons import Crops
from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value, column

_MOST_ROWS = 24
"""Rows of pixels that are compared. On photographs the rows between them would change sharpness by 0.03 at most."""
_MIN_CONTRAST = 1e-6
"""Crops whose variance is smaller, a quarter of a gray level squared, show nothing that could be sharp or blurred."""


def sharpness(evidence: Evidence) -> dict[str, Value]:
    """Contrast of the feature against the contrast of its crops, corrected for chance: 0 to 1.

    The pixels are those of Eq. 2. ``V_j`` is the variance over the pixels of crop j, mean of R, G and B, and ``V`` that
    of the feature of the crops without their own means, so that bright and dark crops of one pattern are equal:

        ``sharpness = sqrt((V - chance) / (sum_j w_j V_j / sum_j w_j - chance))``, 0 if ``V < chance``,
        ``chance = sum_j w_j^2 V_j / (sum_j w_j)^2``

    Chance is what V is expected to be if the crops have nothing in common, which is 1/N of their contrast if they are
    alike in contrast and w. So 1 means equal crops and 0 as blurred as N unrelated crops. Its square is the mean
    covariance of two crops relative to their mean variance. A pixel's sums are over the crops that show it. Of features
    with more than 24 rows every k-th row is used, with the least k that leaves at most 24. None if N = 1, if no pixel
    takes part, or if the crops have no contrast.
    """
    step = -(-len(evidence.count) // _MOST_ROWS)
    crops, w, pixels = evidence.crops.every(step, 1), evidence.weights, evidence.pixel_weights[::step] > 0
    if evidence.n == 1 or not pixels.any():
        return {"sharpness": None}
    means, variances = _contrast(crops, pixels)
    weight = crops.sum_where_visible(w)[pixels]
    own_means = np.stack([crops.sum_where_visible(w * mean) for mean in means.T], axis=-1)[pixels]
    sums = (evidence.feature * evidence.count[:, :, None])[::step][pixels]
    of_feature = float((((sums - own_means) / weight[:, None]) ** 2).mean())
    of_crops = float((crops.sum_where_visible(w * variances)[pixels] / weight).mean())
    chance = float((crops.sum_where_visible(w**2 * variances)[pixels] / weight**2).mean())
    if of_crops - chance < _MIN_CONTRAST:
        return {"sharpness": None}
    return {"sharpness": math.sqrt(min(max((of_feature - chance) / (of_crops - chance), 0.0), 1.0))}


def _contrast(crops: Crops, pixels: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean color, float64 [N, 3], and variance, float64 [N], of each crop over its visible pixels in a bool [h, w]."""
    n, _, width, _ = crops.sums.shape
    scale = np.repeat(pixels / (255.0 * crops.grid.areas), 3, axis=1)
    sums, squares = np.zeros((n, 3 * width)), np.zeros(n)
    for lines, values in crops.bands():
        values *= scale[lines]
        sums += np.add.reduce(values, axis=1)
        squares += np.einsum("jlp,jlp->j", values, values)
    rows, columns = crops.visible_lines
    counts = ((rows.astype(np.float64) @ pixels) * columns).sum(axis=1)
    crop, row, column = crops.hidden_corners
    np.subtract.at(counts, crop, pixels[row, column])
    counts = np.maximum(counts, 1)
    means = sums.reshape(n, width, 3).sum(axis=1) / counts[:, None]
    return means, np.maximum(squares / counts - (means**2).sum(axis=1), 0) / 3


INDEX = SelectivityIndex(
    name="structure",
    columns=(
        column(
            "sharpness",
            pa.float64(),
            "Sharpness, 0 (as blurred as a mean of unrelated crops) to 1 (equal crops): contrast left in the feature",
        ),
    ),
    measure=sharpness,
)
