"""A check of receptive fields: a crop alone, on the mean image, must give the same activation as the whole image.

The mean image is zero at the network's input, as padding is, so only the crop can influence the activation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.network import Network, computing_in
from raysel.neurons import Tap


@dataclass(frozen=True)
class Crop:
    """A position on one neuron's map and its crop."""

    tap: int
    """Number of the tap."""
    channel: int
    position: tuple[int, int]
    """(row, column) on the map."""
    image: int
    """Row of the pixels."""
    box: tuple[int, int, int, int]
    """First row and column, end of rows and of columns, in pixels of the network's input."""


def crop_of(taps: Sequence[Tap], tap: int, channel: int, position: tuple[int, int], image: int) -> Crop | None:
    """The crop at a position; None if it cannot be run alone.

    It cannot if it is the whole input, reaches beyond the input, or may be less than the position sees.
    """
    field, columns = taps[tap].receptive_field, taps[tap].map_size[1]
    if field.whole or not field.exact:
        return None
    top, left, bottom, right = field.boxes(np.array(position[0] * columns + position[1]), columns).tolist()
    height, width = field.input_size
    if top < 0 or left < 0 or bottom > height or right > width:
        return None
    return Crop(tap, channel, position, image, (top, left, bottom, right))


def activations_alone(
    network: Network, pixels: NDArray[np.uint8], crops: Sequence[Crop], batch: int
) -> Iterator[tuple[Crop, float]]:
    """Yield each crop with the activation at its position when all pixels outside the crop are those of the mean image.

    Args:
        network: with its theoretical receptive fields.
        pixels: uint8 [images, H, W, 3].
        crops: crops of these images.
        batch: images in one forward.
    """
    for start in range(0, len(crops), batch):
        part = crops[start : start + batch]
        yield from zip(part, _forward(network, pixels, part, batch), strict=True)


def _forward(network: Network, pixels: NDArray[np.uint8], crops: Sequence[Crop], batch: int) -> list[float]:
    rows = [crop.image for crop in crops]
    values = [float("nan")] * len(crops)

    def read(tap: int, map_: torch.Tensor) -> None:
        for number, crop in enumerate(crops):
            if crop.tap == tap:
                values[number] = float(map_[number, crop.channel, crop.position[0], crop.position[1]])

    with torch.inference_mode(), computing_in(network.dtype, network.device.type):
        filled = rows + rows[-1:] * (batch - len(rows))  # every forward has the same shape
        inputs = network.normalize(torch.from_numpy(pixels[filled]))
        alone = torch.zeros_like(inputs)
        for number, crop in enumerate(crops):
            top, left, bottom, right = crop.box
            window = (number, slice(None), slice(top, bottom), slice(left, right))
            alone[window] = inputs[window]
        network.forward(alone, read)
    return values
