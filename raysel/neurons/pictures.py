"""Neuron features and contact sheets as pictures.

A contact sheet holds the crops of one neuron in rank order, ten in a row. Each is in the upper left corner of a cell,
whose sides are multiples of 8 pixels: a block of JPEG then holds pixels of one crop only. The cell repeats the crop's
last row and column. What a crop hides is white.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons.crops import Crops

SHEET_COLUMNS = 10
_WHITE = 255
_BLOCK = 8  # pixels a side of what JPEG transforms at a time
_SMALL = 16  # pixels a side: a smaller crop is shown so large that its single pixels are seen
_FINE, _COARSE = (4, 0), (14, 3)
"""JPEG's quantization: steps of ``a + b (u + v)`` for frequency (u, v), in brightness and color alike. The usual tables
keep less color, and less of what is one or two pixels wide, which is much of a crop: at equal size, crops are closer to
their originals than with those, and color is closer than in WebP, which halves its resolution."""

Picture = NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""


@dataclass(frozen=True)
class ContactSheet:
    """The crops of one neuron on a grid."""

    picture: Picture
    crops: int
    crop_size: tuple[int, int]
    """(height, width) of a crop."""
    cell_size: tuple[int, int]
    """(height, width) of a cell of the grid."""

    @classmethod
    def of(cls, crops: NDArray[np.uint8]) -> ContactSheet:
        """The sheet of N >= 1 crops, uint8 [N, h, w, 3]."""
        n, down, across, _ = crops.shape
        height, width = (-(-side // _BLOCK) * _BLOCK for side in (down, across))
        columns = min(n, SHEET_COLUMNS)
        lines = -(-n // columns)
        cells = np.full((lines, height, columns, width, 3), _WHITE, dtype=np.uint8)
        for line in range(lines):
            row = crops[line * columns : (line + 1) * columns]
            cells[line, :down, : len(row), :across] = row.swapaxes(0, 1)
        cells[:, :, :, across:] = cells[:, :, :, across - 1 : across]
        cells[:, down:] = cells[:, down - 1 : down]
        return cls(cells.reshape(lines * height, columns * width, 3), n, (down, across), (height, width))

    @property
    def columns(self) -> int:
        """Crops in one row of the grid."""
        return self.picture.shape[1] // self.cell_size[1]

    def encode(self) -> bytes:
        """The sheet as a JPEG file with full color resolution."""
        base, slope = _FINE if max(self.crop_size) < _SMALL else _COARSE
        steps = [base + slope * sum(divmod(frequency, _BLOCK)) for frequency in range(_BLOCK**2)]
        return _encode(self.picture, "JPEG", qtables=[steps], subsampling="4:4:4", optimize=True)


def contact_sheet(crops: Crops) -> ContactSheet:
    """The contact sheet of N >= 1 crops."""
    return ContactSheet.of(_levels(crops))


def _levels(crops: Crops) -> NDArray[np.uint8]:
    """uint8 [N, h, w, 3]: the mean of each block's visible pixels, rounded; white where the block is hidden."""
    rows, columns = crops.visible_lines
    by_row = (1 / np.maximum(crops.rows, 1)).astype(np.float32)
    by_column = np.repeat(1 / np.maximum(crops.columns, 1), 3, axis=1).astype(np.float32)
    means = crops.sums.reshape(*by_row.shape, -1).astype(np.float32)
    means *= by_row[:, :, None]
    means *= by_column[:, None, :]
    means += 0.5
    levels = means.astype(np.uint8)
    if not crops.complete:
        levels[~rows] = _WHITE
        levels |= np.repeat(np.where(columns, 0, _WHITE).astype(np.uint8), 3, axis=1)[:, None, :]
    levels = levels.reshape(crops.sums.shape)
    levels[crops.hidden_corners] = _WHITE
    return levels


def feature_picture(feature: NDArray[np.floating], count: NDArray[np.integer]) -> bytes:
    """A neuron feature as lossless WebP, 8 bits a channel.

    Args:
        feature: float [h, w, 3], RGB in [0, 1].
        count: int [h, w], how many crops show each pixel. If it is 0 somewhere, the picture is transparent there.
    """
    levels = feature * 255
    np.rint(levels, out=levels)
    picture = np.clip(levels, 0, 255, out=levels).astype(np.uint8)
    if not count.all():
        alpha = np.where(count > 0, 255, 0).astype(np.uint8)
        picture = np.concatenate([picture, alpha[:, :, None]], axis=2)
    return _encode(picture, "WEBP", lossless=True, method=0)  # other methods take three times as long for 5% less


def _encode(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **options)
    return file.getvalue()
