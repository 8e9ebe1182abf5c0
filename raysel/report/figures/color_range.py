"""Neurons over the range of color selectivity, with their crops (the paper's Fig. 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from PIL import Image

from raysel.query.measures import COLOR, values
from raysel.report.drawing.board import Board, crop_grid, feature_tile
from raysel.report.drawing.style import RULE, SOFT_INK, short
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.choosing import example_layers, neuron_of, size_of
from raysel.report.figures.missing_values import require
from raysel.store import Index

TARGETS = tuple(step / 9 for step in range(10))
"""Color selectivity that the columns aim at."""
_FARTHEST = 1 / 18
"""A neuron that is farther from its column's target is not shown."""
_MOST_GROUPS = 3


@dataclass(frozen=True)
class ColorRange(Findings):
    """`table` has a row per neuron shown: group, layer, channel, color_selectivity, target, receptive_field, n."""

    pictures: tuple[tuple[Image.Image, Image.Image], ...]
    """Feature and crops of each row."""


def collect(index: Index) -> ColorRange:
    require(index, COLOR)
    alpha = values(index, COLOR)
    by_layer = example_layers(index, len(index.layers))
    rows, pictures = [], []
    for layers in np.array_split(np.array(list(by_layer), dtype=object), min(_MOST_GROUPS, len(by_layer))):
        group = layers[0] if len(layers) == 1 else f"{layers[0]} to {layers[-1]}"
        members = np.concatenate([by_layer[layer] for layer in layers])
        members = members[~np.isnan(alpha[members])]
        for target in TARGETS if len(members) else ():
            row = int(members[np.argmin(np.abs(alpha[members] - target))])
            if abs(alpha[row] - target) > _FARTHEST:
                continue
            layer, channel = neuron_of(index, row)
            neuron = index.neuron(layer, channel)
            pictures.append((feature_tile(neuron), crop_grid(neuron, 3, 3)))
            rows.append(
                {
                    "group": group,
                    "layer": layer,
                    "channel": channel,
                    COLOR: alpha[row],
                    "target": target,
                    "receptive_field": size_of(index, row),
                    "n": neuron.row["n"],
                }
            )
    caption = (
        "Neurons from color selectivity 0 (left) to 1 (right): the neuron feature, scaled to one size, and its nine "
        "best crops. Each is the neuron of its layers closest to the value of its column; a gap: none is close."
    )
    return ColorRange(pa.Table.from_pylist(rows), caption, tuple(pictures))


def draw(found: ColorRange) -> Figure:
    rows = found.table.to_pylist()
    groups = found.table["group"].unique().to_pylist()
    left, step, tile, line = 0.1, 0.985, 0.92, 2.75
    board = Board(len(groups) * line + 0.1)
    for row, (feature, crops) in zip(rows, found.pictures, strict=True):
        top = groups.index(row["group"]) * line + 0.1
        x, y = left + TARGETS.index(row["target"]) * step, top + 0.22
        board.text(f"{row[COLOR]:.2f}", x, y, 9, weight="bold")
        board.picture(feature, x, y + 0.2, tile, tile)
        board.frame(x, y + 0.2, tile, tile, RULE, 0.5)
        board.picture(crops, x, y + 0.2 + tile + 0.04, tile, tile)
        label = f"{short(row['layer'], 20)}\n:{row['channel']}   {row['receptive_field']}"
        board.text(label, x, y + 0.2 + 2 * tile + 0.07, 5.5, SOFT_INK)
    for place, group in enumerate(groups):
        ends = " to ".join(short(layer, 60) for layer in group.split(" to "))
        board.text(ends, left, place * line + 0.1, 8, SOFT_INK)
    return board.figure


COLOR_RANGE = Exhibit("fig4-color-range", "Fig. 4: neurons over the range of color selectivity", collect, draw)
