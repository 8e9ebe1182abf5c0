"""The sharpest and the most blurred neuron features of each layer (the paper's Fig. 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from PIL import Image

from raysel.query.measures import values
from raysel.report.drawing.board import Board, feature_tile
from raysel.report.drawing.style import RULE, SOFT_INK, WIDTH, short
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.choosing import example_layers, neuron_of, size_of
from raysel.report.figures.missing_values import require
from raysel.store import Index

SHARPNESS = "sharpness"
PER_SIDE = 6
MOST_LAYERS = 16


@dataclass(frozen=True)
class SharpAndBlurred(Findings):
    """`table` has a row per feature: layer, channel, side (``sharpest``, ``most blurred``), place, sharpness,
    receptive_field, n."""

    features: tuple[Image.Image, ...]
    """Of each row."""


def collect(index: Index) -> SharpAndBlurred:
    require(index, SHARPNESS)
    sharpness = values(index, SHARPNESS)
    rows, features = [], []
    for layer, members in example_layers(index, MOST_LAYERS).items():
        known = members[~np.isnan(sharpness[members])]
        ordered = known[np.argsort(-sharpness[known], kind="stable")]
        per_side = min(PER_SIDE, len(ordered) // 2) or len(ordered)
        sides = {"sharpest": ordered[:per_side], "most blurred": ordered[per_side:][::-1][:per_side]}
        for side, chosen in sides.items():
            for place, row in enumerate(chosen.tolist()):
                neuron = index.neuron(*neuron_of(index, row))
                features.append(feature_tile(neuron))
                rows.append(
                    {
                        "layer": layer,
                        "channel": neuron.channel,
                        "side": side,
                        "place": place,
                        SHARPNESS: sharpness[row],
                        "receptive_field": size_of(index, row),
                        "n": neuron.row["n"],
                    }
                )
    left_out = len(index.layers) - len({row["layer"] for row in rows})
    caption = (
        "For each layer, left: the neuron features with the highest sharpness, the sharpest first; right: those with "
        "the lowest, the most blurred last. Sharpness is 1 if all crops are equal, and 0 if the feature is as blurred "
        "as a mean of unrelated crops. Features are scaled to one size; their true size, the receptive field, is "
        "below the name of the layer."
    )
    if left_out:
        caption += f" {left_out} of {len(index.layers)} layers are left out."
    return SharpAndBlurred(pa.Table.from_pylist(rows), caption, tuple(features))


def draw(found: SharpAndBlurred) -> Figure:
    rows = found.table.to_pylist()
    layers = found.table["layer"].unique().to_pylist()
    left, middle, step, tile, line, head = 1.75, 0.3, 0.655, 0.6, 0.8, 0.35
    board = Board(len(layers) * line + head + 0.05)
    right = left + PER_SIDE * step + middle
    board.text("sharpest", left, 0.1)
    board.text("most blurred", right + PER_SIDE * step - (step - tile), 0.1, ha="right")
    for row, feature in zip(rows, found.features, strict=True):
        sharp = row["side"] == "sharpest"
        x = left + row["place"] * step if sharp else right + (PER_SIDE - 1 - row["place"]) * step
        y = layers.index(row["layer"]) * line + head
        board.picture(feature, x, y, tile, tile)
        board.frame(x, y, tile, tile, RULE, 0.5)
        board.text(f":{row['channel']}   {row['sharpness']:.2f}", x, y + tile + 0.03, 5.5, SOFT_INK)
    for place, layer in enumerate(layers):
        size = next(row["receptive_field"] for row in rows if row["layer"] == layer)
        board.text(short(layer), 0.1, place * line + head + 0.13, 7.5)
        board.text(size, 0.1, place * line + head + 0.32, 7.5, SOFT_INK)
    assert right + PER_SIDE * step <= WIDTH, "all features are on the board"
    return board.figure


SHARP_AND_BLURRED = Exhibit("fig3-sharpness", "Fig. 3: the sharpest and the most blurred features", collect, draw)
