"""Selection of candidates from whole arrays, as the scan does it tap by tap on the device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysel.neurons import Candidates, entering, keys


def select(
    activations: NDArray[np.float32],
    positions: NDArray[np.integer],
    ids: NDArray[np.integer],
    cutoffs: NDArray[np.uint64],
) -> Candidates:
    """The activations of a batch that may enter their neuron's ranking.

    Args:
        activations: float32 [images, neurons].
        positions: integers [images, neurons], ``row * columns + column`` on the layer's map.
        ids: image ids [images].
        cutoffs: uint64 [neurons], see `Rankings.cutoffs`. Those of an earlier state are safe: they let more pass.
    """
    image, neuron = np.nonzero(keys.can_rank(activations) & (activations >= keys.activations_of(cutoffs)))
    return entering(neuron, activations[image, neuron], positions[image, neuron], ids[image], cutoffs)
