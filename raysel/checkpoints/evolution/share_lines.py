"""When does selectivity appear? Shares of selective neurons in each layer, and the overlap of top images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from raysel.checkpoints.evolution.changes import layer_changes
from raysel.checkpoints.evolution.series import Series
from raysel.report.drawing.style import HIGH, INK, LOW, PALE, SOFT_INK, panels, short
from raysel.report.exhibit import Exhibit, Findings

ALL = "all layers"
_LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "dead": ("dead, of all neurons", {"color": SOFT_INK, "linestyle": ":", "linewidth": 1.4}),
    "color_over_0.4": ("color selectivity > 0.4", {"color": HIGH, "linewidth": 2.4, "marker": "o", "markersize": 5}),
    "class_over_0.6": ("class selectivity > 0.6", {"color": LOW, "linewidth": 1.3, "marker": "D", "markersize": 3.2}),
    "excess_over_0.6": (
        "class selectivity above chance > 0.6",
        {"color": LOW, "linewidth": 1.3, "marker": "D", "markersize": 3.2},
    ),
}
"""Column -> what it is, and how it is drawn: lines that cover each other differ in width."""
_OVERLAPS = {"overlap_previous": "with the checkpoint before", "overlap_last": "with the last checkpoint"}
_MOST_TICKS = 9
_TOPS = (0.1, 0.2, 0.5, 1.0)
"""Upper ends of the axis of shares."""


@dataclass(frozen=True)
class LayerLines(Findings):
    """`table` is that of `layer_changes`."""

    layers: tuple[str, ...]
    """In the order of the network, then all layers as one."""
    labels: tuple[str, ...]
    axis: str
    """What the labels are."""


def collect_shares(series: Series) -> LayerLines:
    caption = (
        "Share of the neurons of each layer above the thresholds of the paper, checkpoint by checkpoint, of those that "
        "are not dead. Above chance is (class - chance) / (1 - chance), where chance is the class selectivity of as "
        "many images drawn at random: with few classes, class selectivity as such is high from the start. The CSV has "
        "more thresholds. Checkpoints are evenly spaced, whatever their steps."
    )
    return _lines(series, caption)


def collect_overlaps(series: Series) -> LayerLines:
    caption = (
        "Overlap of the images that build a neuron's feature at two checkpoints: the Jaccard index, mean of the "
        "neurons of a layer, without those that are dead at one of the two. Where it nears 1, neurons have found what "
        "they respond to."
    )
    return _lines(series, caption)


def _lines(series: Series, caption: str) -> LayerLines:
    return LayerLines(layer_changes(series), caption, (*series.last.layers, ALL), series.labels, series.axis)


def shares(table: pa.Table, layer: str, column: str) -> NDArray[np.float64]:
    """float64 [checkpoints]: share of the neurons that are not dead, or of all for ``dead``; NaN if all are dead."""
    rows = table.filter(pc.equal(table["layer"], layer))
    counts, neurons, dead = (
        rows[name].cast("float64").to_numpy(zero_copy_only=False) for name in (column, "neurons", "dead")
    )
    whole = neurons if column == "dead" else neurons - dead
    return np.divide(counts, whole, out=np.full(len(rows), np.nan), where=whole > 0)


def draw_shares(found: LayerLines) -> Figure:
    columns = min(len(found.layers), 4)
    lines = _drawn(found.table)
    drawn = [share for layer in found.layers for column in lines for share in shares(found.table, layer, column)]
    top = next(each for each in _TOPS if each >= max(np.nan_to_num(drawn)))
    figure, axes = panels(len(found.layers), columns, 2.1 if len(found.layers) <= 12 else 1.6)
    for place, (panel, layer) in enumerate(zip(axes, found.layers, strict=True)):
        for column in lines:
            panel.plot(shares(found.table, layer, column), **_LINES[column][1], clip_on=False)
        _frame(panel, found, top, place // columns == (len(found.layers) - 1) // columns)
        panel.set_title(short(layer, 34), loc="left", fontweight="bold" if layer == ALL else "normal")
        ticks = [0, top / 2, top]
        panel.set_yticks(ticks, [f"{tick:.0%}" if place % columns == 0 else "" for tick in ticks])
    handles = [Line2D([], [], label=_LINES[column][0], **_LINES[column][1]) for column in lines]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=2.2)
    return figure


def _drawn(table: pa.Table) -> list[str]:
    """The columns to draw. Class selectivity as such is not shown where it is known what chance would give."""
    left_out = {"class_over_0.6"} if "excess_over_0.6" in table.column_names else set()
    return [column for column in _LINES if column in table.column_names and column not in left_out]


def draw_overlaps(found: LayerLines) -> Figure:
    """A line per layer, from the first (light) to the last (dark)."""
    layers = found.layers[:-1]
    figure, axes = panels(len(_OVERLAPS), 2, 3.0, legend=0.7 + 0.075 * max(len(short(layer)) for layer in layers))
    ramp = colormaps["viridis_r"]
    colors = [to_hex(ramp(0.12 + 0.88 * place / max(len(layers) - 1, 1))) for place in range(len(layers))]
    for panel, (column, title) in zip(axes, _OVERLAPS.items(), strict=True):
        for layer, color in zip(layers, colors, strict=True):
            rows = found.table.filter(pc.equal(found.table["layer"], layer))
            line = rows[column].cast("float64").to_numpy(zero_copy_only=False).copy()
            if column == "overlap_last":
                line[-1] = np.nan  # with itself
            panel.plot(line, color=color, marker="o", markersize=3, linewidth=1.4, clip_on=False)
        _frame(panel, found, 1.0, lowest=True)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
        panel.set_title(f"Overlap of top images {title}", loc="left")
    shown = np.unique(np.linspace(0, len(layers) - 1, min(len(layers), 16)).round().astype(int))
    handles = [
        Line2D([], [], color=colors[each], marker="o", markersize=3, label=short(layers[each])) for each in shown
    ]
    figure.legend(handles=handles, loc="center right", title="layer", alignment="left", labelspacing=0.3)
    return figure


def _frame(panel: Axes, found: LayerLines, top: float, lowest: bool) -> None:
    """Axes from 0 to `top` over the checkpoints."""
    count = len(found.labels)
    ticks = np.unique(np.linspace(0, count - 1, min(count, _MOST_TICKS)).round().astype(int))
    names = [short(found.labels[tick], 12) for tick in ticks] if lowest else [""] * len(ticks)
    turned = sum(map(len, names)) > 40
    panel.set_xticks(ticks, names, rotation=45 if turned else 0, ha="right" if turned else "center")
    panel.set_xlim(-0.2, count - 0.8)
    panel.set_ylim(0, top)
    panel.grid(axis="y", color=PALE, linewidth=0.8)
    panel.set_axisbelow(True)
    if lowest:
        panel.set_xlabel(found.axis, color=INK)


SHARES = Exhibit("evolution-shares", "When selectivity appears", collect_shares, draw_shares)
OVERLAPS = Exhibit("evolution-overlap", "When neurons settle on their images", collect_overlaps, draw_overlaps)
