"""The network: its layers in order, with counts, distributions and their sharpest neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.explorer.charts.histograms import Histogram, histogram
from raysel.explorer.column_data import chance_note
from raysel.explorer.views.tiles import Tile, tiles
from raysel.query.measures import CLASS, COLOR, EXCESS, has, rows_of_layers, values
from raysel.store import Index

COLOR_SELECTIVE, CLASS_SELECTIVE = 0.4, 0.6
"""Thresholds of the paper, sections 4.2 and 4.3."""
_SHOWN = 8
_MIN_IMAGES = 20
"""A feature of fewer images is sharp because few crops were averaged."""


@dataclass(frozen=True)
class LayerRow:
    """One layer."""

    name: str
    neurons: int
    dead: int
    receptive_field: str
    color: Histogram
    class_: Histogram
    color_selective: int
    """Neurons above `COLOR_SELECTIVE`."""
    class_selective: int
    """Neurons above `CLASS_SELECTIVE`, in excess of chance where chance is known."""
    sharpest: list[Tile]


@dataclass(frozen=True)
class NetworkView:
    """Everything that the page of the network shows."""

    facts: list[tuple[str, str]]
    chance: str
    class_column: str
    """The column whose distribution stands for class selectivity; empty without labels."""
    layers: list[LayerRow]


def network_view(index: Index) -> NetworkView:
    """Collect the page of the network."""
    neurons = index.neurons
    color = values(index, COLOR)
    class_column = next((name for name in (EXCESS, CLASS) if has(index, name)), "")
    class_ = values(index, class_column or CLASS)
    dead, chosen = neurons["dead"].to_numpy(), _sharpness(index)
    heights, widths = neurons["rf_height"].to_numpy(), neurons["rf_width"].to_numpy()
    rows = []
    for name, place in rows_of_layers(index).items():
        best = np.argsort(-chosen[place], kind="stable")[:_SHOWN]
        best = place[best[np.isfinite(chosen[place][best])]]
        rows.append(
            LayerRow(
                name,
                len(place),
                int(np.count_nonzero(dead[place])),
                f"{heights[place[0]]} × {widths[place[0]]} px",
                histogram(color[place]),
                histogram(class_[place]),
                int(np.count_nonzero(color[place] > COLOR_SELECTIVE)),
                int(np.count_nonzero(class_[place] > CLASS_SELECTIVE)),
                tiles(index, neurons.take(pa.array(best))),
            )
        )
    return NetworkView(_facts(index), chance_note(index), class_column, rows)


def _sharpness(index: Index) -> NDArray[np.float64]:
    """float64 [neurons]: what the shown neurons of a layer are chosen by; NaN for those that are not shown."""
    n = index.neurons["n"].to_numpy()
    value = values(index, "sharpness" if has(index, "sharpness") else COLOR)
    many = n >= _MIN_IMAGES
    return np.where(many if many.any() else n > 0, value, np.nan)


def _facts(index: Index) -> list[tuple[str, str]]:
    manifest, counts = index.manifest, index.manifest.counts
    return [
        ("Network", manifest.network.name),
        (
            "Neurons",
            f"{counts.neurons:,} in {len(index.layers)} layers" + (f", {counts.dead:,} dead" if counts.dead else ""),
        ),
        ("Images", f"{counts.usable:,}" + (f" of {counts.classes:,} classes" if counts.classes else " without labels")),
        ("Source", manifest.source.uri),
        ("Made", f"{manifest.created:%Y-%m-%d}"),
    ]
