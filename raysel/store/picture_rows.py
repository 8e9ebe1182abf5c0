"""Neuron features and contact sheets as rows of their tables, and back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons import encode_sheet, feature_png, sheet_boxes


def feature_row(channel: int, feature: NDArray[np.floating], count: NDArray[np.integer]) -> dict[str, Any]:
    """A row of the features table.

    Args:
        channel: channel of the neuron.
        feature: float[h, w, 3], RGB in [0, 1]; values where `count` is 0 are ignored.
        count: int[h, w], crops that show each pixel, at most 65,535.
    """
    height, width = count.shape
    if feature.shape != (height, width, 3):
        raise ValueError(f"feature {feature.shape} does not fit its count {count.shape}")
    clean = np.where(count[..., None] > 0, feature, 0.0)
    return {
        "channel": channel,
        "height": height,
        "width": width,
        "png": feature_png(clean, count),
        "feature": clean.astype("<f2").tobytes(),
        "count": count.astype("<u2").tobytes(),
    }


def decode_feature(row: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """(float32[h, w, 3] RGB in [0, 1], NaN where no crop shows the pixel; uint16[h, w] crops that show each pixel)."""
    shape = (row["height"], row["width"])
    count = np.frombuffer(row["count"], "<u2").reshape(shape).astype(np.uint16)
    feature = np.frombuffer(row["feature"], "<f2").reshape(*shape, 3).astype(np.float32)
    feature[count == 0] = np.nan
    return feature, count


def sheet_row(channel: int, picture: NDArray[np.uint8], crops: int) -> dict[str, Any]:
    """A row of the sheets table. It describes the sheet's grid, so that any program can cut out the crops.

    Args:
        channel: channel of the neuron.
        picture: uint8[H, W, 3], a contact sheet made by `raysel.neurons.contact_sheet`.
        crops: number of crops on it, at least 1.
    """
    boxes = sheet_boxes((picture.shape[0], picture.shape[1]), crops)
    left, top, right, bottom = boxes[0]
    columns = sum(box[1] == top for box in boxes)
    return {
        "channel": channel,
        "picture": encode_sheet(picture),
        "crops": crops,
        "columns": columns,
        "crop_height": bottom - top,
        "crop_width": right - left,
        "gap": boxes[1][0] - right if columns > 1 else 0,
    }


def row_crops(row: dict[str, Any]) -> list[Image.Image]:
    """The crops on a row of the sheets table, RGB, in rank order."""
    sheet = Image.open(io.BytesIO(row["picture"])).convert("RGB")
    height, width, gap = row["crop_height"], row["crop_width"], row["gap"]
    cells = (divmod(rank, row["columns"]) for rank in range(row["crops"]))
    corners = [(column * (width + gap), line * (height + gap)) for line, column in cells]
    return [sheet.crop((left, top, left + width, top + height)) for left, top in corners]
