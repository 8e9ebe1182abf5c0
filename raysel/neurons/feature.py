"""The neuron feature (paper, Eq. 1) and the standard deviation between its crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysel.neurons.crops import Crops


@dataclass(frozen=True)
class NeuronFeature:
    """The neuron feature of one neuron, h x w pixels."""

    feature: NDArray[np.float64]
    """float64 [h, w, 3], RGB in [0, 1]; 0 where no crop shows the pixel."""
    count: NDArray[np.int64]
    """int64 [h, w]: how many crops show each pixel."""
    sigma: NDArray[np.float64]
    """float64 [h, w] in [0, 0.5]: root mean square over R, G and B of the population standard deviation over the crops
    that show the pixel."""


def neuron_feature(crops: Crops, weights: NDArray[np.float64]) -> NeuronFeature:
    """Eq. 1, ``sum_j w_j I_j``, with each pixel divided by the number of crops that show it.

    Crops are added in rank order, pixel by pixel and without BLAS, so that the result depends on nothing but the
    neuron's own crops. Sums of values and of squares are exact if no pixel of a block is hidden in any crop.

    Args:
        crops: N >= 1 crops.
        weights: float64 [N], relative activations w in (0, 1].
    """
    n, height, width, _ = crops.sums.shape
    sums = np.empty((3, height, 3 * width))
    for lines, values in crops.bands():
        flat = values.reshape(n, -1)
        weighted, total, squares = sums[:, lines].reshape(3, -1)
        np.einsum("j,jp->p", weights, flat, out=weighted)
        np.add.reduce(flat, axis=0, out=total)
        np.einsum("jp,jp->p", flat, flat, out=squares)
    weighted, total, squares = sums
    count = crops.count
    shown = np.maximum(count, 1)
    unit = 255.0 * crops.grid.areas * shown
    feature = weighted / np.repeat(unit, 3, axis=1)
    spread = squares * np.repeat(shown, 3, axis=1) - total * total
    variance = (spread[:, 0::3] + spread[:, 1::3] + spread[:, 2::3]) / 3
    sigma = np.sqrt(np.maximum(variance, 0)) / unit
    return NeuronFeature(feature.reshape(height, width, 3), count, sigma)
