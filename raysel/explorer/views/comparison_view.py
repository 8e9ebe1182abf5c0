"""Two indexes side by side: which neurons became selective, and how the selectivity indexes moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.explorer.charts.histograms import Cell, density
from raysel.explorer.views.network_view import CLASS_SELECTIVE, COLOR_SELECTIVE
from raysel.query.measures import CLASS, COLOR, numbers

MOST_PAIRS = 24


@dataclass(frozen=True)
class Pair:
    """One neuron in both indexes."""

    address: str
    before: float | None
    after: float | None
    image_overlap: float | None
    """Share of the best images that both have, 0 to 1."""


@dataclass(frozen=True)
class Change:
    """How one selectivity index moved."""

    column: str
    title: str
    threshold: float
    cells: list[Cell]
    """Joint distribution: in A across, in B up."""
    mean_a: float | None
    mean_b: float | None
    became: list[Pair]
    """Neurons above the threshold in B only, the largest change first."""
    became_total: int
    ceased: list[Pair]
    """Neurons above it in A only."""
    ceased_total: int


@dataclass(frozen=True)
class ComparisonView:
    """Everything that the page of a comparison shows."""

    neurons: int
    """Neurons that both indexes have."""
    overlap: float | None
    """Mean overlap of the best images."""
    changes: list[Change]


def comparison_view(table: pa.Table, color: float | None = None, class_: float | None = None) -> ComparisonView:
    """Collect the page from the rows of `raysel.query.diff`.

    Args:
        table: a row per neuron that both indexes have.
        color: threshold of color selectivity.
        class_: threshold of class selectivity.
    """
    asked = [
        (COLOR, "Color selectivity", COLOR_SELECTIVE if color is None else color),
        (CLASS, "Class selectivity", CLASS_SELECTIVE if class_ is None else class_),
    ]
    changes = [_change(table, *each) for each in asked if f"{each[0]}_a" in table.column_names]
    return ComparisonView(len(table), _mean(numbers(table, "image_overlap")), changes)


def _change(table: pa.Table, column: str, title: str, threshold: float) -> Change:
    before, after = numbers(table, f"{column}_a"), numbers(table, f"{column}_b")
    became = np.flatnonzero((after > threshold) & (before <= threshold))
    ceased = np.flatnonzero((before > threshold) & (after <= threshold))
    became = became[np.argsort((before - after)[became], kind="stable")]
    ceased = ceased[np.argsort((after - before)[ceased], kind="stable")]
    return Change(
        column,
        title,
        threshold,
        density(before, after),
        _mean(before),
        _mean(after),
        _pairs(table, column, became),
        len(became),
        _pairs(table, column, ceased),
        len(ceased),
    )


def _pairs(table: pa.Table, column: str, rows: NDArray[np.intp]) -> list[Pair]:
    names = ["layer", "channel", f"{column}_a", f"{column}_b", "image_overlap"]
    found: list[dict[str, Any]] = table.select(names).take(rows[:MOST_PAIRS]).to_pylist()
    return [
        Pair(f"{row['layer']}:{row['channel']}", row[f"{column}_a"], row[f"{column}_b"], row["image_overlap"])
        for row in found
    ]


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
