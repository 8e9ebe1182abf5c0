"""Relative activation by rank, layer by layer (the paper's Fig. 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from raysel.query.measures import rows_of_layers
from raysel.report.drawing.style import HIGH, INK, LOW, RULE, SOFT_INK, panels, short
from raysel.report.exhibit import Exhibit, Findings, NotShownError
from raysel.store import Index

RANKS = 400
"""As in the paper."""
_MOST_LINES = 1200
"""Examples in the whole figure; a layer has at most 100."""
_PALE_BAND = "#e5e7eb"


@dataclass(frozen=True)
class Curves(Findings):
    """`table` has a row per curve: layer, channel (null for a quantile), curve, area, and w of each rank as w1, w2, ...

    `curve` is ``highest area``, ``lowest area``, ``example``, or a quantile over all neurons: ``10%`` or ``90%``.
    """


def read_curves(index: Index) -> NDArray[np.float32]:
    """float32 [neurons, ranks]: relative activation by rank, 0 behind the end of a ranking; at most 400 ranks."""
    neurons = index.neurons
    layers = pa.array(index.layers)
    of_layer, channel = _layer_numbers(neurons["layer"], layers), neurons["channel"].to_numpy()
    stride = int(channel.max(initial=0)) + 1
    row_of = np.full(len(layers) * stride, -1)
    row_of[of_layer * stride + channel] = np.arange(len(neurons))
    curves = np.zeros((len(neurons), RANKS), np.float32)
    for batch in index.table("rankings.parquet").batches(["layer", "channel", "rank", "w"]):
        rank = batch["rank"].to_numpy()
        rows = row_of[_layer_numbers(batch["layer"], layers) * stride + batch["channel"].to_numpy()]
        first = rank < RANKS
        curves[rows[first], rank[first]] = batch["w"].to_numpy()[first]
    return curves[:, : int(np.count_nonzero(curves.any(axis=0)))]


def _layer_numbers(names: pa.ChunkedArray | pa.Array, layers: pa.Array) -> NDArray[np.int64]:
    return pc.index_in(names.cast(pa.string()), layers).cast(pa.int64()).to_numpy(zero_copy_only=False)


def collect(index: Index) -> Curves:
    """Curves of the extremes of each layer by area, two quantiles, and examples evenly spaced between the extremes."""
    curves = read_curves(index)
    if not curves.size:
        raise NotShownError("No image activates any neuron.")
    area, channels = curves.mean(axis=1, dtype=np.float64), index.neurons["channel"].to_numpy()
    groups = rows_of_layers(index)
    lines = max(5, min(100, _MOST_LINES // len(groups)))
    found: list[tuple[str, int | None, str, float, NDArray[np.float32]]] = []
    for layer, rows in groups.items():
        alive = rows[curves[rows, 0] > 0]
        ordered = alive[np.argsort(-area[alive], kind="stable")]
        if not len(ordered):
            continue
        for name, quantile in (("10%", 0.1), ("90%", 0.9)):
            band = np.quantile(curves[alive], quantile, axis=0).astype(np.float32)
            found.append((layer, None, name, float(band.mean()), band))
        between = ordered[1:-1]
        chosen = between[np.unique(np.linspace(0, len(between) - 1, min(lines, len(between))).astype(int))]
        roles = [("example", row) for row in chosen] + [("highest area", ordered[0])]
        roles += [("lowest area", ordered[-1])] * (len(ordered) > 1)
        found += [(layer, int(channels[row]), role, float(area[row]), curves[row]) for role, row in roles]
    ranks = np.stack([curve for *_, curve in found])
    columns = {
        "layer": pa.array([each[0] for each in found]),
        "channel": pa.array([each[1] for each in found], pa.int32()),
        "curve": pa.array([each[2] for each in found]),
        "area": pa.array([each[3] for each in found]),
        **{f"w{rank + 1}": pa.array(ranks[:, rank]) for rank in range(ranks.shape[1])},
    }
    caption = (
        f"Relative activation of the first {ranks.shape[1]} images of neurons, by rank; 0 where a ranking has ended. "
        "Vermilion and blue: the neurons with the highest and the lowest area under the curve, by channel, with the "
        f"area in parentheses. Gray: up to {lines} examples between them for each layer; band: 10% to 90% of the "
        "layer's neurons that are not dead."
    )
    return Curves(pa.table(columns), caption)


def draw(found: Curves) -> Figure:
    layers = found.table["layer"].unique().to_pylist()
    columns = min(7, max(3, round(len(layers) ** 0.5 + 0.5)))
    figure, axes = panels(len(layers), columns, 2.4 if columns == 3 else 1.9 if columns < 7 else 1.5)
    for panel, layer in zip(axes, layers, strict=True):
        _draw_layer(panel, found.table.filter(pc.equal(found.table["layer"], layer)), columns)
        panel.set_title(short(layer, {3: 30, 7: 18}.get(columns, 22)), loc="left", pad=13, color=INK, fontsize=7.5)
    for panel in axes[::columns]:
        panel.set_ylabel("relative activation")
    for panel in axes[-columns:]:
        panel.set_xlabel("rank")
    return figure


def _draw_layer(panel: Axes, rows: pa.Table, columns: int) -> None:
    narrow = columns > 3
    kinds, channels, areas = (rows[name].to_pylist() for name in ("curve", "channel", "area"))
    curves = np.stack([column.to_numpy() for column in rows.columns[4:]], axis=1)
    ranks = np.arange(1, curves.shape[1] + 1)
    panel.fill_between(ranks, curves[kinds.index("10%")], curves[kinds.index("90%")], color=_PALE_BAND, linewidth=0)
    for kind, curve in zip(kinds, curves, strict=True):
        if kind == "example":
            panel.plot(ranks, curve, color=SOFT_INK, alpha=0.22, linewidth=0.5, rasterized=True)
    for kind, color, x, side in (("highest area", HIGH, 1.0, "right"), ("lowest area", LOW, 0.0, "left")):
        if kind in kinds:
            place = kinds.index(kind)
            panel.plot(ranks, curves[place], color=color, linewidth=1.3)
            word = "" if narrow else f"{kind.removesuffix(' area')}: "
            text = f"{word}{channels[place]} ({areas[place]:.2f})"
            # In the narrowest panels there is no room for both above the curves.
            x, y = (0.03, 0.04) if columns == 7 and side == "left" else (x, 1.02)
            size = 6 if narrow else 6.5
            panel.text(x, y, text, transform=panel.transAxes, color=color, fontsize=size, ha=side)
    panel.set_ylim(0, 1.02)
    panel.set_xlim(1, max(len(ranks), 2))
    panel.locator_params(axis="x", integer=True)
    panel.grid(color=RULE, linewidth=0.3)


RANKED_ACTIVATIONS = Exhibit("fig1-ranked-activations", "Fig. 1: ranked activations", collect, draw)
