"""Distribution of every index through the layers, also of those that other packages add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from raysel import interventions, selectivity
from raysel.query.measures import rows_of_layers, values
from raysel.report.drawing.style import SOFT_INK, one_line, panels, short
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.missing_values import require
from raysel.store import Index, neurons_schema

BINS = 20
_MOST_NAMED = 30
"""Of more layers, every second or third one is named, so that the figure fits a page."""


@dataclass(frozen=True)
class Distributions(Findings):
    """`table` has a row per column, layer and bin with neurons: column, layer, low, high, neurons, share (of the
    layer's neurons that have a value)."""

    ranges: dict[str, tuple[float, float, int]]
    """Column -> where its first bin begins, where its last ends, and the number of bins."""
    layers: tuple[str, ...]


def numeric_columns(index: Index) -> list[str]:
    """Numeric columns of indexes and interventions, also of packages that are not installed here."""
    indexes = {field.name for field in (*selectivity.columns(), *interventions.COLUMNS)}
    own = {field.name for field in neurons_schema()} - indexes
    return [
        field.name
        for field in index.neurons.schema
        if field.name not in own and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
    ]


def collect(index: Index) -> Distributions:
    require(index, "a_max")
    rows, ranges = [], {}
    for column in numeric_columns(index):
        known = values(index, column)
        if not np.isfinite(known).any():
            continue
        edges = bin_edges(known[np.isfinite(known)], pa.types.is_integer(index.neurons.schema.field(column).type))
        ranges[column] = (float(edges[0]), float(edges[-1]), len(edges) - 1)
        for layer, of_layer in rows_of_layers(index).items():
            counts = np.histogram(known[of_layer][np.isfinite(known[of_layer])], edges)[0]
            rows += [
                {
                    "column": column,
                    "layer": layer,
                    "low": edges[place],
                    "high": edges[place + 1],
                    "neurons": int(count),
                    "share": count / counts.sum(),
                }
                for place, count in enumerate(counts)
                if count
            ]
    caption = (
        "Distribution of each index in each layer, from the first layer (top) to the last: the darker a cell, the "
        "larger the share of the layer's neurons in this bin. Neurons without a value are left out."
    )
    return Distributions(pa.Table.from_pylist(rows), caption, ranges, index.layers)


def bin_edges(known: NDArray[np.float64], whole: bool) -> NDArray[np.float64]:
    """Edges of at most 20 bins: from 0 to 1 for shares, from -180 to 180 for angles, between whole numbers, else from
    the smallest to the largest value."""
    low, high = float(known.min()), float(known.max())
    if whole:
        width = np.ceil((high - low + 1) / BINS)
        return np.asarray(np.arange(low - 0.5, high + width, width))
    if low >= 0 and 0.2 < high <= 1:
        low, high = 0.0, 1.0
    elif -180 <= low < -90 and 90 < high <= 180:
        low, high = -180.0, 180.0
    elif high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def draw(found: Distributions) -> Figure:
    columns = list(found.ranges)
    place_of = {layer: place for place, layer in enumerate(found.layers)}
    shares = {column: np.zeros((len(found.layers), found.ranges[column][2])) for column in columns}
    for row in found.table.to_pylist():
        low, high, bins = found.ranges[row["column"]]
        place = round((row["low"] - low) / (high - low) * bins)
        shares[row["column"]][place_of[row["layer"]], place] = row["share"]
    deep = len(found.layers) > _MOST_NAMED
    across, step = (5, -(-len(found.layers) // _MOST_NAMED)) if deep else (3, 1)
    figure, axes = panels(len(columns), across, max(1.5, 0.7 + 0.115 * len(found.layers) / step))
    shown = [short(layer, 24) for layer in found.layers]
    for place, (panel, column) in enumerate(zip(axes, columns, strict=True)):
        extent = (*found.ranges[column][:2], len(shown) - 0.5, -0.5)
        panel.imshow(shares[column], cmap="Greys", vmin=0, aspect="auto", extent=extent, interpolation="nearest")
        panel.set_title(one_line(column.replace("_", " "), 40 if across == 3 else 24), loc="left")
        names = shown[::step] if place % across == 0 else [""] * len(shown[::step])
        panel.set_yticks(range(0, len(shown), step), names, fontsize=6)
        panel.tick_params(axis="y", length=0)
        for side in ("top", "right"):
            panel.spines[side].set_visible(True)
        panel.tick_params(axis="x", colors=SOFT_INK)
    return figure


DISTRIBUTIONS = Exhibit("distributions", "Distributions of all indexes", collect, draw)
