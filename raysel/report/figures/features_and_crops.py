"""Neuron features with all the crops that build them (the paper's Fig. 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from PIL import Image

from raysel.query.measures import has, values
from raysel.report.drawing.board import Board, crop_grid, feature_tile
from raysel.report.drawing.style import RULE, SOFT_INK, short
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.choosing import example_layers, neuron_of, size_of
from raysel.report.figures.missing_values import require
from raysel.store import Index

NEURONS = 8
SIDE = 10
"""Crops in a row and in a column."""


@dataclass(frozen=True)
class FeaturesAndCrops(Findings):
    """`table` has a row per neuron: layer, channel, n, sharpness, receptive_field."""

    pictures: tuple[tuple[Image.Image, Image.Image], ...]
    """Feature and crops of each row."""


def collect(index: Index) -> FeaturesAndCrops:
    """The sharpest neuron of each of up to eight layers, evenly spaced by depth; the first if sharpness is unknown."""
    require(index, "a_max")
    sharpness = values(index, "sharpness")
    rows, pictures = [], []
    for members in example_layers(index, NEURONS).values():
        row = int(members[np.argmax(np.nan_to_num(sharpness[members], nan=-1.0))])
        neuron = index.neuron(*neuron_of(index, row))
        lines = min(SIDE, -(-neuron.row["n"] // SIDE))
        pictures.append((feature_tile(neuron), crop_grid(neuron, lines, SIDE)))
        rows.append(
            {
                "layer": neuron.layer,
                "channel": neuron.channel,
                "n": neuron.row["n"],
                "sharpness": neuron.row.get("sharpness"),
                "receptive_field": size_of(index, row),
            }
        )
    chosen = "The sharpest neuron" if has(index, "sharpness") else "A neuron"
    caption = (
        f"{chosen} of some layers: its feature, and the crops of its best images in rank order (up to "
        f"{SIDE * SIDE}). White in a crop lies outside of the image."
    )
    return FeaturesAndCrops(pa.Table.from_pylist(rows), caption, tuple(pictures))


def draw(found: FeaturesAndCrops) -> Figure:
    rows = found.table.to_pylist()
    tile, sheet, step = 1.15, 3.4, 4.95
    highest = max(crops.height / crops.width for _, crops in found.pictures)
    line = 0.45 + max(tile + 0.6, sheet * highest)
    board = Board(-(-len(rows) // 2) * line + 0.05)
    for place, (row, (feature, crops)) in enumerate(zip(rows, found.pictures, strict=True)):
        x, y = place % 2 * step + 0.1, place // 2 * line + 0.1
        board.text(f"{short(row['layer'], 40)}:{row['channel']}", x, y, 8)
        board.picture(feature, x, y + 0.22, tile, tile)
        board.frame(x, y + 0.22, tile, tile, RULE, 0.5)
        known = "" if row["sharpness"] is None else f"\nsharpness {row['sharpness']:.2f}"
        text = f"{row['n']} image{'s' * (row['n'] > 1)}\n{row['receptive_field']}{known}"
        board.text(text, x, y + 0.3 + tile, 7, SOFT_INK)
        height = sheet * crops.height / crops.width
        board.picture(crops, x + tile + 0.12, y + 0.22, sheet, height)
        board.frame(x + tile + 0.12, y + 0.22, sheet, height, RULE, 0.5)
    return board.figure


FEATURES_AND_CROPS = Exhibit("fig2-features-and-crops", "Fig. 2: neuron features and their crops", collect, draw)
