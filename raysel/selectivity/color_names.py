"""Color names (paper, section 3.1): which of the eleven basic names describe the neuron feature and its crops."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.neurons import Crops
from raysel.selectivity.color_naming import LEVELS, NAMES, memberships, memberships_by_cell
from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value, column

_MOST_LINES = 32
"""Rows and columns of pixels that are named: neighboring pixels mostly have the same name."""


def color_names(evidence: Evidence) -> dict[str, Value]:
    """The share of each name in the feature, with the pixel weights of Eq. 2, and in the crops, weighted by w.

    A share is the mean membership of the pixels that take part: of the feature, those of Eq. 2, and of the crops, the
    visible ones. A group of columns is None if no pixel takes part.

    Two approximations save most of the time. If a side has more than 32 pixels, every k-th row or column is named, with
    the least k that leaves at most 32. And each pixel of a crop takes the memberships of its cell, one of 64 ** 3;
    those of the feature are exact. Over a hundred crops of photographs, shares are within 0.02 of those without either.
    """
    row, column = (-(-length // _MOST_LINES) for length in evidence.count.shape)
    feature, weights = evidence.feature[::row, ::column], evidence.pixel_weights[::row, ::column]
    taking_part = weights > 0
    by_name = weights[taking_part] @ memberships(feature[taking_part])
    return _named("", by_name) | _named("crop_", _of_crops(evidence.crops.every(row, column), evidence.weights))


def _of_crops(crops: Crops, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [11]: sums of memberships over the visible pixels, weighted by crop."""
    of_crop = weights[:, None, None]
    channels = (crops.sums[..., channel] for channel in range(3))
    if crops.grid.factor == 1:
        red, green, blue = (channel // (256 // LEVELS) for channel in channels)
    else:
        shown = crops.rows[:, :, None] * crops.columns[:, None, :]
        scale = LEVELS / (256 * np.maximum(shown, 1))
        red, green, blue = ((channel * scale).astype(np.uint8) for channel in channels)
    cells = red.astype(np.int64)
    for channel in (green, blue):
        cells *= LEVELS
        cells += channel
    weight = np.broadcast_to(of_crop, cells.shape) if crops.complete else crops.visible * of_crop
    # Not by BLAS, whose sums depend on its threads.
    by_name: NDArray[np.float64] = np.einsum(
        "p,pn->n", weight.ravel(), memberships_by_cell().take(cells.ravel(), axis=0)
    )
    return by_name


def _named(prefix: str, by_name: NDArray[np.float64]) -> dict[str, Value]:
    total = float(by_name.sum())
    if not total:
        return dict.fromkeys((f"{prefix}color_name", f"{prefix}color_name_share", f"{prefix}color_names"))
    shares = dict(zip(NAMES, (by_name / total).tolist(), strict=True))
    leading = max(shares, key=shares.__getitem__)
    return {
        f"{prefix}color_name": leading,
        f"{prefix}color_name_share": shares[leading],
        f"{prefix}color_names": shares,
    }


_SHARES = pa.struct([(name, pa.float64()) for name in NAMES])

INDEX = SelectivityIndex(
    name="color_names",
    columns=(
        column("color_name", pa.string(), "Basic color name with the largest share of the feature"),
        column("color_name_share", pa.float64(), "Share of this name: mean membership of the feature's pixels"),
        column("color_names", _SHARES, "Share of each of the 11 basic color names in the feature"),
        column("crop_color_name", pa.string(), "Basic color name with the largest share of the crops"),
        column("crop_color_name_share", pa.float64(), "Share of this name: mean membership of the crops' pixels"),
        column("crop_color_names", _SHARES, "Share of each of the 11 basic color names in the crops"),
    ),
    measure=color_names,
)
