"""Distributions as bars, and the joint distribution of two columns as cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 200, 44
BINS = 25
CELLS = 30


@dataclass(frozen=True)
class Histogram:
    """The distribution of values in 0..1."""

    path: str
    """Outline of the bars in a box of `WIDTH` x `HEIGHT`; empty without values."""
    count: int
    """Values that are known."""
    median: float | None

    @property
    def median_x(self) -> float | None:
        """Place of the median across the box."""
        return None if self.median is None else round(min(max(self.median, 0.0), 1.0) * WIDTH, 1)


def histogram(values: NDArray[np.float64]) -> Histogram:
    """The distribution of float64 [n], NaN where unknown; values outside of 0..1 count in the first or last bin."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Histogram("", 0, None)
    counts = np.histogram(np.clip(known, 0, 1), BINS, (0, 1))[0]
    step = WIDTH / BINS
    tops = np.round(counts / counts.max() * HEIGHT, 1)
    bars = [f"M{place * step:g} {HEIGHT}v-{top:g}h{step - 1:g}v{top:g}z" for place, top in enumerate(tops) if top]
    return Histogram("".join(bars), len(known), float(np.median(known)))


@dataclass(frozen=True)
class Cell:
    """One cell of a `Density`."""

    x: int
    """Column from the left."""
    y: int
    """Row from the top."""
    count: int
    level: int
    """1 (few) to 9 (the fullest cell), logarithmic."""


def density(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[Cell]:
    """How many pairs of values in 0..1 fall in each of `CELLS` x `CELLS` cells: those that are not empty."""
    known = np.isfinite(x) & np.isfinite(y)
    counts = np.histogram2d(np.clip(x[known], 0, 1), np.clip(y[known], 0, 1), CELLS, ((0, 1), (0, 1)))[0].astype(int)
    most = max(int(counts.max()), 2)
    return [
        Cell(
            column,
            CELLS - 1 - row,
            int(counts[column, row]),
            1 + round(8 * float(np.log(counts[column, row]) / np.log(most))),
        )
        for column, row in np.argwhere(counts).tolist()
    ]
