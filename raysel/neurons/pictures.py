"""Neuron features and contact sheets as pictures, and a sheet's crops cut out of it again.

A contact sheet holds a neuron's crops in rank order, ten in a row, each at most so many pixels a side by whole-factor
reduction, with a thin white gap. What a crop does not show is white. The grid follows from the sheet's own size and
the number of crops, so that whoever reads one needs nothing else.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons.crops import CropCutter, Crops
from raysel.neurons.receptive_field import ReceptiveField

SHEET_COLUMNS = 10
SHEET_GAP = 2
_WHITE = 255
_JPEG_FROM = 16  # crops smaller than two of JPEG's blocks run into each other; as PNG they are small anyway
_PNG = {"compress_type": zlib.Z_RLE}  # features are smooth: as small as by zlib's search, in a third of the time

Picture = NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""


def contact_sheets(
    inputs: NDArray[np.uint8],
    rows: NDArray[np.integer],
    origins: NDArray[np.integer],
    field: ReceptiveField,
    *,
    crop_size: int,
) -> Iterator[Picture | None]:
    """The contact sheets of a chunk of neurons of one layer, in order; None for a neuron without crops.

    Args:
        inputs: uint8 [images, H, W, 3], RGB: what the network saw, before normalisation; may be a memory map.
        rows: int [neurons, N], each neuron's images as rows of `inputs`, in rank order, -1 where it has fewer.
        origins: int [neurons, N, 2], first (row, column) of each crop (`ReceptiveField.origins`).
        field: the layer's receptive field.
        crop_size: crops larger than this many pixels a side are reduced by the least whole factor.
    """
    cutter = CropCutter(inputs, field, crop_size)
    for of_rows, of_origins in zip(rows, origins, strict=True):
        used = of_rows >= 0
        crops = cutter.cut(of_rows[used], of_origins[used])
        yield sheet(thumbnails(crops)) if len(crops) else None


def thumbnails(crops: Crops) -> NDArray[np.uint8]:
    """uint8 [N, h, w, 3]: block means to the nearest level, and white where a crop is hidden."""
    if crops.complete.all() and crops.factor == 1:
        return crops.sums.astype(np.uint8)
    showing = crops.rows[:, :, None] * crops.columns[:, None, :].astype(np.float32)
    area = np.outer(crops.block_rows, crops.block_columns).astype(np.float32)
    shows = 2 * showing >= area
    share, ground = shows / np.maximum(showing, 1), np.where(shows, np.float32(0.5), np.float32(_WHITE + 0.5))
    pictures = np.empty(crops.sums.shape, dtype=np.uint8)
    for channel in range(3):
        pictures[..., channel] = crops.sums[..., channel] * share + ground
    return pictures


def sheet(crops: NDArray[np.uint8]) -> Picture:
    """One contact sheet of at least one crop, uint8 [N, h, w, 3], in the order given."""
    n, height, width = crops.shape[:3]
    lines = -(-n // SHEET_COLUMNS)
    cells = np.full((lines, height + SHEET_GAP, SHEET_COLUMNS, width + SHEET_GAP, 3), _WHITE, dtype=np.uint8)
    for j, crop in enumerate(crops):
        cells[j // SHEET_COLUMNS, :height, j % SHEET_COLUMNS, :width] = crop
    picture = cells.reshape(lines * (height + SHEET_GAP), SHEET_COLUMNS * (width + SHEET_GAP), 3)
    return picture[:-SHEET_GAP, :-SHEET_GAP]


def sheet_boxes(size: tuple[int, int], n: int) -> list[tuple[int, int, int, int]]:
    """Where the crops are in a sheet of `size` (height, width) that holds `n`: (left, top, right, bottom), in order."""
    lines = -(-n // SHEET_COLUMNS)
    down, across = (size[0] + SHEET_GAP) // max(lines, 1), (size[1] + SHEET_GAP) // SHEET_COLUMNS
    corners = [(j % SHEET_COLUMNS * across, j // SHEET_COLUMNS * down) for j in range(n)]
    return [(left, top, left + across - SHEET_GAP, top + down - SHEET_GAP) for left, top in corners]


def cut_sheet(picture: Picture, n: int) -> NDArray[np.uint8]:
    """The `n` >= 1 crops of a sheet, uint8 [n, h, w, 3], in rank order."""
    boxes = sheet_boxes(picture.shape[:2], n)
    return np.stack([picture[top:bottom, left:right] for left, top, right, bottom in boxes])


def encode_sheet(picture: Picture) -> bytes:
    """A sheet as an image file: JPEG (quality 85, full color resolution); PNG where its crops are very small."""
    across = (picture.shape[1] + SHEET_GAP) // SHEET_COLUMNS - SHEET_GAP
    if across < _JPEG_FROM:
        return _encode(picture, "PNG")
    return _encode(picture, "JPEG", quality=85, subsampling="4:4:4")


def feature_png(feature: NDArray[np.float64], count: NDArray[np.integer]) -> bytes:
    """A neuron feature, float64 [h, w, 3] in 0..1, as PNG; alpha 0 where `count`, int [h, w], is 0: no crop shows."""
    levels = np.rint(np.clip(feature, 0, 1) * 255).astype(np.uint8)
    if (count > 0).all():
        return _encode(levels, "PNG", **_PNG)
    alpha = np.where(count > 0, 255, 0).astype(np.uint8)
    return _encode(np.concatenate([levels, alpha[:, :, None]], axis=2), "PNG", **_PNG)


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """What `encode_sheet` or `feature_png` wrote, uint8 [height, width, 3 or 4]."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def _encode(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, **options)
    return file.getvalue()
