"""Neuron features and contact sheets as rows of their tables, and back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons import ContactSheet, feature_picture

_GAP = 2
"""Pixels between the crops of `joined`."""


def feature_row(
    channel: int, feature: NDArray[np.floating], count: NDArray[np.integer], *, floats: bool
) -> dict[str, Any]:
    """A row of the features table.

    Args:
        channel: channel of the neuron.
        feature: float[h, w, 3], RGB in [0, 1]; values where `count` is 0 are ignored.
        count: int[h, w], crops that show each pixel, at most 65,535.
        floats: whether the row also holds the feature as float16.
    """
    height, width = count.shape
    if feature.shape != (height, width, 3):
        raise ValueError(f"feature {feature.shape} does not fit its count {count.shape}")
    clean = feature if count.all() else np.where(count[..., None] > 0, feature, 0.0)
    return {
        "channel": channel,
        "height": height,
        "width": width,
        "picture": feature_picture(clean, count),
        "feature": clean.astype("<f2").tobytes() if floats else None,
        "count": count.astype("<u2").tobytes(),
    }


def decode_feature(row: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """(float32[h, w, 3] RGB in [0, 1], NaN where no crop shows the pixel; uint16[h, w] crops that show each pixel).

    The values are those of float16 if the row has them, else those of its picture: multiples of 1/255.
    """
    shape = (row["height"], row["width"])
    count = np.frombuffer(row["count"], "<u2").reshape(shape).astype(np.uint16)
    if row["feature"] is None:
        feature = np.asarray(decode_picture(row["picture"]).convert("RGB"), np.float32) / np.float32(255)
    else:
        feature = np.frombuffer(row["feature"], "<f2").reshape(*shape, 3).astype(np.float32)
    feature[count == 0] = np.nan
    return feature, count


def decode_picture(content: bytes) -> Image.Image:
    """The picture of a features row, RGB or RGBA, or of a sheets row, RGB."""
    return Image.open(io.BytesIO(content))


def sheet_row(channel: int, sheet: ContactSheet) -> dict[str, Any]:
    """A row of the sheets table. It describes the sheet's grid, so that any program can cut out the crops."""
    return {
        "channel": channel,
        "picture": sheet.encode(),
        "crops": sheet.crops,
        "columns": sheet.columns,
        **dict(zip(("crop_height", "crop_width"), sheet.crop_size, strict=True)),
        **dict(zip(("cell_height", "cell_width"), sheet.cell_size, strict=True)),
    }


def row_crops(row: dict[str, Any]) -> list[Image.Image]:
    """The crops on a row of the sheets table, RGB, in rank order."""
    sheet = decode_picture(row["picture"])
    height, width, down, across = (row[name] for name in ("crop_height", "crop_width", "cell_height", "cell_width"))
    cells = (divmod(rank, row["columns"]) for rank in range(row["crops"]))
    corners = [(column * across, line * down) for line, column in cells]
    return [sheet.crop((left, top, left + width, top + height)) for left, top in corners]


def joined(crops: list[Image.Image], columns: int) -> Image.Image:
    """Crops of one size, row by row on one RGB picture, with white between them."""
    width, height = crops[0].size
    lines = -(-len(crops) // columns)
    size = columns * (width + _GAP) - _GAP, lines * (height + _GAP) - _GAP
    picture = Image.new("RGB", size, "white")
    for rank, crop in enumerate(crops):
        line, column = divmod(rank, columns)
        picture.paste(crop, (column * (width + _GAP), line * (height + _GAP)))
    return picture
