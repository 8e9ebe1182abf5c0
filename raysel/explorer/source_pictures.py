"""A crop's whole image, from the source of the index."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from raysel.explorer.catalog import Served
from raysel.store import Neuron, UnknownNeuronError, source_image

_LONGEST = 1024
"""Longer side of an image on its page, pixels."""


@dataclass(frozen=True)
class SourcePicture:
    """An image of the source, made smaller if it is large."""

    jpeg: bytes
    width: int
    height: int
    key: str
    box: tuple[float, float, float, float]
    """(left, top, right, bottom) of what the neuron saw, pixels of this picture; may reach outside of it."""

    def __len__(self) -> int:
        return len(self.jpeg)


def ranked(neuron: Neuron, rank: int) -> dict[str, Any]:
    """The row of the rankings table at a rank.

    Raises:
        UnknownNeuronError: the ranking is shorter.
    """
    if not 0 <= rank < len(neuron.ranking):
        raise UnknownNeuronError(f"the ranking of {neuron.address} has {len(neuron.ranking)} images: no rank {rank}")
    row: dict[str, Any] = neuron.ranking.slice(rank, 1).to_pylist()[0]
    return row


def source_picture(served: Served, neuron: Neuron, rank: int) -> SourcePicture:
    """The image at a rank of a neuron.

    Raises:
        UnknownNeuronError: the ranking is shorter.
        RayselError: the image cannot be read.
    """
    entry = ranked(neuron, rank)
    picture: SourcePicture = served.kept(("source", neuron.address, rank), lambda: _read(served, entry))
    return picture


def _read(served: Served, entry: dict[str, Any]) -> SourcePicture:
    found = source_image(served.index, entry, served.images)
    picture = found.picture
    scale = min(1.0, _LONGEST / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=88)
    top, left, bottom, right = (edge * scale for edge in found.box)
    return SourcePicture(file.getvalue(), *size, found.key, (left, top, right, bottom))
