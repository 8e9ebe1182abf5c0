"""Neurons of each layer by the basic color name of their feature."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from raysel.query.measures import COLOR, rows_of_layers, values
from raysel.report.drawing.style import SOFT_INK, bar_height, layer_ticks, panels, runs
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.missing_values import require
from raysel.store import Index

COLORS = {
    "red": "#d62828",
    "orange": "#f77f00",
    "brown": "#7f4f24",
    "yellow": "#ffd60a",
    "green": "#2a9d3a",
    "blue": "#1d6fd1",
    "purple": "#7b2cbf",
    "pink": "#ff8fab",
    "black": "#111111",
    "gray": "#9a9a9a",
    "white": "#ffffff",
}
"""Basic color name -> color of its bars."""
MIN_COLOR = 0.4
_GROUPS = {"all": "All neurons with a color name", "color": f"Neurons with color selectivity above {MIN_COLOR}"}
_MOST_BARS = 40


@dataclass(frozen=True)
class NameCounts(Findings):
    """`table` has a row per group, layer and name that occurs: group (``all``, ``color``), layer, name, neurons."""


def collect(index: Index) -> NameCounts:
    require(index, "color_name")
    names = np.array(index.neurons["color_name"].to_pylist(), dtype=object)
    colored = np.nan_to_num(values(index, COLOR), nan=0.0) > MIN_COLOR
    rows = []
    for group, members in (("all", np.ones(len(names), bool)), ("color", colored)):
        for layer, of_layer in rows_of_layers(index).items():
            counts = Counter(names[of_layer[members[of_layer]]].tolist())
            rows += [
                {"group": group, "layer": layer, "name": name, "neurons": counts[name]}
                for name in COLORS
                if counts[name] or name == "gray"
            ]
    caption = (
        "Share of the neurons of each layer by the basic color name with the largest share of their feature. Above: "
        f"all; below: those with a color selectivity above {MIN_COLOR}. Numbers: how many neurons. Features are "
        "averages, so gray and brown are frequent."
    )
    return NameCounts(pa.Table.from_pylist(rows), caption)


def draw(found: NameCounts) -> Figure:
    rows = runs(found.table["layer"].unique().to_pylist(), _MOST_BARS)
    counts = {(row["group"], row["layer"], row["name"]): row["neurons"] for row in found.table.to_pylist()}
    figure, axes = panels(len(_GROUPS) * len(rows), 1, bar_height(rows[0]), legend=1.1)
    order = [(group, layers) for group in _GROUPS for layers in rows]
    for panel, (group, layers) in zip(axes, order, strict=True):
        places, bottom = np.arange(len(layers)), np.zeros(len(layers))
        sums = np.array([sum(counts.get((group, layer, name), 0) for name in COLORS) for layer in layers])
        for name, color in COLORS.items():
            share = np.array([counts.get((group, layer, name), 0) for layer in layers]) / np.maximum(sums, 1)
            panel.bar(places, share, 0.78, bottom, color=color, edgecolor=SOFT_INK, linewidth=0.3)
            bottom += share
        if len(layers) <= 20:
            for place, total in enumerate(sums.tolist()):
                panel.text(place, 1.02, f"{total:,}", ha="center", fontsize=6.5, color=SOFT_INK)
        panel.set_title(_GROUPS[group], loc="left", pad=14)
        panel.set_ylim(0, 1)
        panel.set_xlim(-0.6, max(len(layers), 4) - 0.4)
        panel.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        layer_ticks(panel, layers)
    handles = [Patch(facecolor=color, edgecolor=SOFT_INK, linewidth=0.3, label=name) for name, color in COLORS.items()]
    figure.legend(handles=handles[::-1], loc="center right", labelspacing=0.25, handlelength=1.4)
    return figure


COLOR_NAME_BARS = Exhibit("color-names", "Color names", collect, draw)
