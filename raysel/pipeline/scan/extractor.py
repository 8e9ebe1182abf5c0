"""Pixels in, activations out: the forward passes of a scan, without Ray."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.network import Network, peaks
from raysel.neurons import first_neurons


def extract_activations(
    network: Network, pixels: NDArray[np.uint8], batch: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Run a network over images; return every neuron's activation and its position.

    Every forward has the same shape, `batch` images, and a short one is padded: the activations of an image do not
    depend on its place in a batch.

    Args:
        network: on any device.
        pixels: uint8 [images, H, W, 3], RGB as decoded.
        batch: images in one forward.

    Returns:
        (float32 [images, neurons], int32 [images, neurons]: ``row * columns + column`` on the tap's map). The
        activation is -inf, which does not rank, if the network did not visit the tap.
    """
    first = first_neurons(network.taps)
    activations = np.full((len(pixels), first[-1]), -np.inf, np.float32)
    positions = np.zeros(activations.shape, np.int32)
    padded = np.zeros((batch, *pixels.shape[1:]), np.uint8)
    rows = slice(0, 0)

    def keep_peaks(tap: int, maps: torch.Tensor) -> None:
        neurons = slice(first[tap], first[tap + 1])
        activation, position = peaks(maps[: rows.stop - rows.start])
        activations[rows, neurons] = activation.cpu().numpy()
        positions[rows, neurons] = position.cpu().numpy()

    for start in range(0, len(pixels), batch):
        rows = slice(start, min(start + batch, len(pixels)))
        padded[: rows.stop - start] = pixels[rows]
        network.run(torch.from_numpy(padded), keep_peaks)
    return activations, positions
