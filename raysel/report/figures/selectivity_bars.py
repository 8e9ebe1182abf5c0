"""Neurons per layer by their selectivity to color and to classes, in bins of a tenth (the paper's Fig. 5 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from raysel.query.measures import CHANCE, CLASS, COLOR, EXCESS, has, rows_of_layers, values
from raysel.report.drawing.style import INK, RULE, SOFT_INK, bar_height, layer_ticks, panels, runs, ten_steps
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.missing_values import require
from raysel.store import Index

BINS = 10
_MOST_BARS = 40
_HEADINGS = {COLOR: "Color selectivity", CLASS: "Class selectivity", EXCESS: "Class selectivity above chance"}
_RED, _BLUE = "#c1121f", "#0b4ea2"


@dataclass(frozen=True)
class Bars(Findings):
    """`table` has a row per measure, layer and bin: measure, layer, low, high (null: no value), neurons, share."""

    color: str
    """Of the highest bin."""


def bin_counts(of_layer: NDArray[np.float64]) -> NDArray[np.intp]:
    """int [11]: neurons in [0, 0.1), ..., [0.9, 1], and without a value. What is below 0 counts in the first bin."""
    known = of_layer[~np.isnan(of_layer)]
    bins = np.clip(np.floor(known * BINS + 1e-9), 0, BINS - 1).astype(np.intp)
    return np.append(np.bincount(bins, minlength=BINS), len(of_layer) - len(known))


def _collect(index: Index, measures: list[str]) -> pa.Table:
    rows = []
    for measure in measures:
        column = values(index, measure)
        for layer, of_layer in rows_of_layers(index).items():
            for place, count in enumerate(bin_counts(column[of_layer]).tolist()):
                low, high = (place / BINS, (place + 1) / BINS) if place < BINS else (None, None)
                share = count / len(of_layer)
                rows.append(
                    {"measure": measure, "layer": layer, "low": low, "high": high, "neurons": count, "share": share}
                )
    return pa.Table.from_pylist(rows)


def collect_color(index: Index) -> Bars:
    require(index, COLOR)
    caption = (
        "Share of the neurons of each layer by color selectivity (Eq. 2). Gray: they respond to intensity. Red: they "
        "respond to a color. Hatched: dead neurons, and those whose images leave no pixel to judge."
    )
    return Bars(_collect(index, [COLOR]), caption, _RED)


def collect_class(index: Index) -> Bars:
    require(index, CLASS)
    measures = [CLASS] + [EXCESS] * has(index, EXCESS)
    caption = "Share of the neurons of each layer by class selectivity (Eq. 4)."
    if has(index, EXCESS):
        chance = float(np.nanmean(values(index, CHANCE)))
        caption += (
            f" Images drawn at random would give {chance:z.2f} on average, so many neurons of the upper row are blue "
            "by chance alone where this is high. The lower row corrects for it: 0 is chance (values below 0 are in "
            "the first bin), 1 is a single class."
        )
    return Bars(_collect(index, measures), f"{caption} Hatched: dead neurons, and those without two labeled images.",
                _BLUE)  # fmt: skip


def draw(bars: Bars) -> Figure:
    """A stacked bar per layer, in rows of at most 40 layers, for each measure."""
    colors = ten_steps(bars.color)
    measures = bars.table["measure"].unique().to_pylist()
    rows = runs(bars.table["layer"].unique().to_pylist(), _MOST_BARS)
    figure, axes = panels(len(measures) * len(rows), 1, bar_height(rows[0]), legend=1.3)
    order = [(measure, layers) for measure in measures for layers in rows]
    for panel, (measure, layers) in zip(axes, order, strict=True):
        shares = _shares(bars.table, measure, layers)
        _draw_row(panel, shares, layers, colors)
        panel.set_title(_HEADINGS[measure], loc="left")
    handles = [
        Patch(color=color, label=f"{place / BINS:.1f} to {(place + 1) / BINS:.1f}")
        for place, color in enumerate(colors)
    ]
    none = Patch(facecolor="white", edgecolor=RULE, hatch="////", label="no value")
    figure.legend(handles=[none, *handles[::-1]], loc="center right", labelspacing=0.25, handlelength=1.4)
    return figure


def _shares(table: pa.Table, measure: str, layers: list[str]) -> NDArray[np.float64]:
    """float64 [layers, 11]."""
    found = {layer: [0.0] * (BINS + 1) for layer in layers}
    for row in table.to_pylist():
        if row["measure"] == measure and row["layer"] in found:
            place = BINS if row["low"] is None else round(row["low"] * BINS)
            found[row["layer"]][place] = row["share"]
    return np.array([found[layer] for layer in layers])


def _draw_row(panel: Axes, shares: NDArray[np.float64], layers: list[str], colors: list[str]) -> None:
    bottom, places = np.zeros(len(layers)), np.arange(len(layers))
    for color, share in zip(colors, shares.T, strict=False):
        panel.bar(places, share, 0.78, bottom, color=color, edgecolor="white", linewidth=0.3)
        bottom += share
    panel.bar(places, shares[:, -1], 0.78, bottom, color="white", edgecolor=RULE, hatch="////", linewidth=0.3)
    panel.set_ylim(0, 1)
    panel.set_xlim(-0.6, max(len(layers), 4) - 0.4)
    panel.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    panel.set_ylabel("neurons", color=INK)
    panel.tick_params(axis="x", colors=SOFT_INK)
    layer_ticks(panel, layers)


COLOR_BARS = Exhibit("fig5-color-selectivity", "Fig. 5: color selectivity through the layers", collect_color, draw)
CLASS_BARS = Exhibit("fig6-class-selectivity", "Fig. 6: class selectivity through the layers", collect_class, draw)
