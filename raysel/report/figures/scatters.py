"""One index against another, a panel for each layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from raysel.query.measures import CHANCE, CLASS, COLOR, has, values
from raysel.report.drawing.style import LOW, RULE, SOFT_INK, panels, short
from raysel.report.exhibit import Exhibit, Findings, NotShownError
from raysel.report.figures.missing_values import require
from raysel.store import Index

GRAY = "gray_index"


@dataclass(frozen=True)
class Points(Findings):
    """`table` has a row per neuron that has both values: layer, channel, and the two columns."""

    chance: float | None
    """A line across the panels."""


def collect(index: Index, x: str, y: str, text: str) -> Points:
    require(index, x)
    require(index, y)
    known = np.flatnonzero(~np.isnan(values(index, x)) & ~np.isnan(values(index, y)))
    if not len(known):
        raise NotShownError("No neuron has a value of both indexes.")
    table = index.neurons.select(["layer", "channel", x, y]).take(pa.array(known))
    table = table.set_column(0, "layer", table["layer"].cast(pa.string()))
    chance = float(np.nanmean(values(index, CHANCE))) if y == CLASS and has(index, CHANCE) else None
    if chance is not None:
        text += f" Dashed: what chance would give on average, {chance:z.2f}."
    return Points(table, text, chance)


def draw(found: Points) -> Figure:
    x, y = found.table.column_names[2:]
    layers = found.table["layer"].unique().to_pylist()
    columns = min(7, max(3, round(len(layers) ** 0.5 + 0.5)))
    figure, axes = panels(len(layers), columns, 2.6 if columns < 5 else 1.75 if columns < 7 else 1.5)
    # A neuron read before its activation may respond with less than 0: the index of an intervention is then above 1.
    lowest, highest = (float(edge) for edge in pc.min_max(found.table[y]).as_py().values())
    for panel, layer in zip(axes, layers, strict=True):
        rows = found.table.filter(pc.equal(found.table["layer"], layer))
        faint = min(0.6, max(0.12, 40 / len(rows)))
        panel.scatter(
            rows[x].to_numpy(), rows[y].to_numpy(), s=8, color=LOW, alpha=faint, linewidths=0, rasterized=True
        )
        if found.chance is not None:
            panel.axhline(found.chance, color=SOFT_INK, linewidth=0.8, linestyle="--")
        panel.set_title(short(layer, 24 if columns < 7 else 18), loc="left", fontsize=7.5 if columns < 6 else 6)
        panel.set_xlim(-0.03, 1.03)
        panel.set_ylim(min(0.0, lowest) - 0.03, max(1.0, highest) + 0.03)
        panel.grid(color=RULE, linewidth=0.3)
    for panel in axes[::columns]:
        panel.set_ylabel(y.replace("_", " "))
    for panel in axes[-columns:]:
        panel.set_xlabel(x.replace("_", " "))
    return figure


_COLOR_CLASS = "Each point is a neuron: color selectivity (Eq. 2) against class selectivity (Eq. 4)."
_GRAY_TEXT = (
    "Each point is a neuron: color selectivity (Eq. 2) against the share of its activation that is lost if its images "
    "are turned gray."
)

COLOR_AND_CLASS = Exhibit(
    "color-and-class", "Color against class", partial(collect, x=COLOR, y=CLASS, text=_COLOR_CLASS), draw
)
GRAY_AND_COLOR = Exhibit(
    "gray-and-color", "Gray images against Eq. 2", partial(collect, x=COLOR, y=GRAY, text=_GRAY_TEXT), draw
)
