"""The last step of preprocessing, on the network's device: from uint8 pixels to the network's input."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.config import Preprocessing
from raysel.errors import RayselError
from raysel.files import read_bytes, redact_uri


class Normalization:
    """``input = (pixel * scale - mean) / std``, then the channel order: one multiplication, one addition per value.

    The result is channels-last in memory, as decoded pixels are; this layout is the fast one on CPUs.
    """

    def __init__(self, preprocessing: Preprocessing, average_image: NDArray[np.float32] | None = None) -> None:
        """With `average_image`, [H, W, 3], instead of the mean."""
        mean = torch.tensor(preprocessing.mean if average_image is None else average_image, dtype=torch.float64)
        std = torch.tensor(preprocessing.std, dtype=torch.float64)
        self._size = preprocessing.input_size
        # One value per color of a whole row, [W, 3], so that a row is one run of memory: three values are ten times
        # slower. An average image has all rows.
        self._gain = (preprocessing.scale / std).to(torch.float32).repeat(self._size[1], 1)
        shift = (-mean / std).to(torch.float32)
        self._shift = shift.repeat(self._size[1], 1) if average_image is None else shift
        self._bgr = preprocessing.channel_order == "BGR"

    @property
    def device(self) -> torch.device:
        """Where the constants are, and the results will be."""
        return self._gain.device

    def to(self, device: str) -> None:
        """Moves the constants."""
        self._gain, self._shift = self._gain.to(device), self._shift.to(device)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [B, H, W, 3] RGB to float32 [B, 3, H, W]; raises ValueError for another dtype or size."""
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or tuple(pixels.shape[1:]) != (*self._size, 3):
            raise ValueError(
                f"pixels must be uint8[B, {self._size[0]}, {self._size[1]}, 3], got {pixels.dtype}{list(pixels.shape)}"
            )
        values = pixels.to(self.device).to(torch.float32).mul_(self._gain).add_(self._shift)
        if self._bgr:
            values = values.flip(-1)
        return values.permute(0, 3, 1, 2)


def with_average_image(preprocessing: Preprocessing) -> tuple[Preprocessing, NDArray[np.float32] | None]:
    """Reads the average image, float32 [H, W, 3], if `preprocessing` names one, and sets the mean to its mean color.

    Raises:
        RayselError: the file does not exist, is not an array, or has another size than the network's input.
    """
    path = preprocessing.average_image
    if path is None:
        return preprocessing, None
    content, shown = read_bytes(path, "average image"), redact_uri(path)
    try:
        image: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32)
    except (ValueError, OSError, EOFError, AttributeError, TypeError) as error:
        raise RayselError(f"{shown} is not an average image: save it with numpy.save as .npy") from error
    expected = (*preprocessing.input_size, 3)
    if not np.isfinite(image).all():
        raise RayselError(f"the average image in {shown} has values that are not finite: save it again")
    if image.shape != expected:
        raise RayselError(f"the average image in {shown} is {list(image.shape)}, the network's input {list(expected)}")
    red, green, blue = image.reshape(-1, 3).mean(axis=0, dtype=np.float64).tolist()
    return replace(preprocessing, mean=(red, green, blue)), image
