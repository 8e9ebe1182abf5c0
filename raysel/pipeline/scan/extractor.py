"""Pixels in, activations out: the forward passes of a scan, without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.network import Network, Tap, peaks


def first_neurons(taps: Sequence[Tap]) -> list[int]:
    """Number of each tap's first neuron, and at the end how many there are: neurons are numbered tap by tap."""
    return list(accumulate((tap.channels for tap in taps), initial=0))


class ActivationExtractor:
    """Runs a network and keeps, per image and neuron, the activation and its position.

    Every forward has one shape, `batch` images, short ones padded: an image gives the same activations wherever it
    stands.
    """

    def __init__(self, network: Network, batch: int, device: str = "cpu") -> None:
        self._network = network.to(device)
        self._batch = batch
        self._device = device
        self._first = first_neurons(network.taps)

    @property
    def neurons(self) -> int:
        """Channels of all taps together."""
        return self._first[-1]

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Activations and positions of some images.

        Args:
            pixels: uint8 [images, H, W, 3], RGB as decoded.

        Returns:
            (float32 [images, neurons], int32 [images, neurons]: ``row * columns + column`` on the tap's map)
        """
        activations = np.empty((len(pixels), self.neurons), np.float32)
        positions = np.empty((len(pixels), self.neurons), np.int32)
        padded = np.zeros((self._batch, *pixels.shape[1:]), np.uint8)
        for start in range(0, len(pixels), self._batch):
            rows = slice(start, min(start + self._batch, len(pixels)))
            padded[: rows.stop - start] = pixels[rows]
            self._forward(padded, activations[rows], positions[rows])
        return activations, positions

    def _forward(
        self, pixels: NDArray[np.uint8], activations: NDArray[np.float32], positions: NDArray[np.int32]
    ) -> None:
        def visit(tap: int, maps: torch.Tensor) -> None:
            neurons = slice(self._first[tap], self._first[tap + 1])
            activation, position = peaks(maps[: len(activations)])
            activations[:, neurons] = activation.cpu().numpy()
            positions[:, neurons] = position.cpu().numpy()

        self._network.run(torch.from_numpy(pixels).to(self._device), visit)
