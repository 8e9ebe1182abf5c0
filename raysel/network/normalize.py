"""The last step of preprocessing, on the network's own device: from uint8 pixels to the network's input."""

from __future__ import annotations

import torch
from numpy.typing import NDArray

from raysel.config import Preprocessing


class Normalize:
    """``input = (pixel * scale - mean) / std``, then the channel order: one multiplication, one addition per value.

    The result has the memory layout channels-last, which comes free from decoded pixels and is the fast one on CPU.
    """

    def __init__(self, preprocessing: Preprocessing, average: NDArray | None = None) -> None:
        """With `average`, float [H, W, 3], in place of the mean."""
        mean = torch.tensor(preprocessing.mean if average is None else average, dtype=torch.float64)
        std = torch.tensor(preprocessing.std, dtype=torch.float64)
        self._gain = (preprocessing.scale / std).to(torch.float32)
        self._shift = (-mean / std).to(torch.float32)
        self._size = preprocessing.input_size
        self._bgr = preprocessing.channel_order == "BGR"

    def to(self, device: str) -> None:
        """Moves the constants."""
        self._gain, self._shift = self._gain.to(device), self._shift.to(device)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8[B, H, W, 3] RGB to float32[B, 3, H, W]; ValueError for another dtype or size."""
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or tuple(pixels.shape[1:]) != (*self._size, 3):
            raise ValueError(
                f"pixels must be uint8[B, {self._size[0]}, {self._size[1]}, 3], got {pixels.dtype}{list(pixels.shape)}"
            )
        values = pixels.to(self._gain.device).to(torch.float32).mul_(self._gain).add_(self._shift)
        if self._bgr:
            values = values.flip(-1)
        return values.permute(0, 3, 1, 2)
