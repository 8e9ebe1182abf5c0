"""Neuron features and contact sheets as pictures.

A contact sheet holds the crops of one neuron in rank order, ten in a row, with a white gap between them. What a crop
hides is white. The size of the sheet and the number of crops determine the grid.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons.crops import Crops

SHEET_COLUMNS = 10
SHEET_GAP = 2
_WHITE = 255
_JPEG_FROM = 16  # smaller crops would bleed into each other in JPEG's blocks of 8 x 8, and are small as PNG
_PNG = {"compress_type": zlib.Z_RLE}  # features are smooth: as small as with zlib's search, in a third of the time

Picture = NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""


def contact_sheet(crops: Crops) -> Picture:
    """The contact sheet of N >= 1 crops."""
    n, height, width, _ = crops.sums.shape
    levels = _levels(crops)
    lines = -(-n // SHEET_COLUMNS)
    cells = np.full((lines, height + SHEET_GAP, SHEET_COLUMNS, width + SHEET_GAP, 3), _WHITE, dtype=np.uint8)
    for line in range(lines):
        row = levels[line * SHEET_COLUMNS : (line + 1) * SHEET_COLUMNS]
        cells[line, :height, : len(row), :width] = row.swapaxes(0, 1)
    picture = cells.reshape(lines * (height + SHEET_GAP), SHEET_COLUMNS * (width + SHEET_GAP), 3)
    return picture[:-SHEET_GAP, :-SHEET_GAP]


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


def sheet_boxes(size: tuple[int, int], n: int) -> list[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) of the `n` >= 1 crops of a sheet of `size` (height, width), in rank order."""
    lines = -(-n // SHEET_COLUMNS)
    down, across = (size[0] + SHEET_GAP) // lines, (size[1] + SHEET_GAP) // SHEET_COLUMNS
    corners = [(j % SHEET_COLUMNS * across, j // SHEET_COLUMNS * down) for j in range(n)]
    return [(left, top, left + across - SHEET_GAP, top + down - SHEET_GAP) for left, top in corners]


def encode_sheet(picture: Picture) -> bytes:
    """A contact sheet as an image file: JPEG of quality 85 with full color resolution; PNG if its crops are tiny."""
    across = (picture.shape[1] + SHEET_GAP) // SHEET_COLUMNS - SHEET_GAP
    if across < _JPEG_FROM:
        return _encode(picture, "PNG")
    return _encode(picture, "JPEG", quality=85, subsampling="4:4:4")


def feature_png(feature: NDArray[np.float64], count: NDArray[np.integer]) -> bytes:
    """A neuron feature as PNG.

    Args:
        feature: float64 [h, w, 3], RGB in [0, 1].
        count: int [h, w], how many crops show each pixel. If it is 0 somewhere, the PNG is transparent there.
    """
    levels = np.rint(np.clip(feature, 0, 1) * 255).astype(np.uint8)
    if (count > 0).all():
        return _encode(levels, "PNG", **_PNG)
    alpha = np.where(count > 0, 255, 0).astype(np.uint8)
    return _encode(np.concatenate([levels, alpha[:, :, None]], axis=2), "PNG", **_PNG)


def _encode(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **options)
    return file.getvalue()
