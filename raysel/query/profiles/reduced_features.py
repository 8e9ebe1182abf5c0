"""All neuron features of an index at one small size, to compare them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from raysel.query.kept import kept
from raysel.store import Index, decode_feature

SIDE = 8
"""Rows and columns of a reduced feature."""
_COLUMNS = ["channel", "height", "width", "picture", "feature", "count"]


@kept
def reduced_features(index: Index) -> NDArray[np.float32]:
    """float32[neurons, SIDE * SIDE * 3]: each neuron's reduced feature minus its mean, scaled to length 1.

    The scalar product of two rows is the correlation of both features over cells and R, G, B. A row of zeros: the
    neuron is dead, or its feature is one shade of gray. Read once; about 1,000 features of 100 x 100 pixels a second.
    """
    reduced = np.zeros((len(index.neurons), SIDE * SIDE * 3), np.float32)

    def fill(layer: str) -> None:
        start = index.row_of(layer, 0)
        for batch in index.feature_batches(layer, _COLUMNS):
            for row in batch.to_pylist():
                reduced[start + row["channel"]] = _unit(reduce_feature(*decode_feature(row)).ravel())

    with ThreadPoolExecutor() as pool:  # decompression and numpy run beside each other
        list(pool.map(fill, index.layers))
    return reduced


def reduce_feature(feature: NDArray[np.floating], count: NDArray[np.integer]) -> NDArray[np.float64]:
    """float64[SIDE, SIDE, 3]: mean over the visible pixels of each cell of a feature, RGB in [0, 1].

    Cells are of equal size, up to a pixel. A cell without a visible pixel has the mean of all visible pixels. A feature
    smaller than `SIDE` is enlarged first: a pixel then is in several cells.

    Args:
        feature: float[h, w, 3]; values where `count` is 0 are ignored.
        count: int[h, w], crops that show each pixel.
    """
    visible = (count > 0)[..., None].astype(np.float64)
    clean = np.where(visible > 0, feature, 0.0).astype(np.float64)
    sums, seen = _cells(clean), _cells(visible)
    mean = clean.sum((0, 1)) / max(visible.sum(), 1)
    return np.where(seen > 0, sums / np.maximum(seen, 1), mean)


def _cells(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the cells: float64[SIDE, SIDE, channels]."""
    for axis in (0, 1):
        length = values.shape[axis]
        if length < SIDE:
            values = values.take(np.arange(SIDE) * length // SIDE, axis)
            length = SIDE
        values = np.add.reduceat(values, np.arange(SIDE) * length // SIDE, axis)
    return values


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centered = values - values.mean()
    length = np.linalg.norm(centered)
    return centered / length if length > 1e-6 else np.zeros_like(centered)
