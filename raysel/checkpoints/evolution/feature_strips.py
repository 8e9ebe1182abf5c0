"""Neuron features at each checkpoint, beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from PIL import Image

from raysel.checkpoints.evolution.changes import neuron_changes
from raysel.checkpoints.evolution.series import Series
from raysel.query.measures import CLASS, COLOR, EXCESS, has, values
from raysel.report.drawing.board import Board, feature_tile
from raysel.report.drawing.style import INK, PALE, RULE, SOFT_INK, WIDTH, one_line, short
from raysel.report.exhibit import Exhibit, Findings, NotShownError
from raysel.report.figures.choosing import example_layers, neuron_of
from raysel.report.figures.hue_wheel import hue_color

LAYERS = 6
ROWS = 12
"""Neurons that are shown, about."""
MOST_TILES = 9
_LEFT = 1.6
_GAP = 0.1


@dataclass(frozen=True)
class FeatureStrips(Findings):
    """`table` has the rows of `neuron_changes` of the neurons that are shown."""

    neurons: tuple[tuple[str, int], ...]
    places: tuple[int, ...]
    """Checkpoints that are shown."""
    labels: tuple[str, ...]
    """Of those checkpoints."""
    axis: str
    measure: str
    """Column of the measure of classes."""
    tiles: tuple[tuple[Image.Image | None, ...], ...]
    """Neuron by neuron, its features at those checkpoints; None where it is dead."""
    class_names: dict[str, str]
    """Label -> readable name, where one is known."""


def grown(series: Series, neurons: tuple[tuple[str, int], ...] = ()) -> tuple[tuple[str, int], ...]:
    """The neurons to show: those that were asked for, else of up to six layers those whose selectivity to color, and
    then to classes, has grown most from the first checkpoint to the last."""
    if neurons:
        return neurons
    first, last = series.indexes[0], series.last
    measures = [COLOR, *([_class_measure(series)] if has(last, CLASS) else [])]
    rises = [np.nan_to_num(values(last, each), nan=-1.0) - np.nan_to_num(values(first, each)) for each in measures]
    chosen: list[int] = []
    layers = example_layers(last, LAYERS)
    for rows in layers.values():
        for rise in rises:
            left = [row for row in rows[np.argsort(-rise[rows], kind="stable")].tolist() if row not in chosen]
            chosen += left[: max(1, min(2, ROWS // len(layers) // len(rises)))]
    return tuple(neuron_of(last, row) for row in chosen)


def _class_measure(series: Series) -> str:
    return EXCESS if all(has(index, EXCESS) for index in series.indexes) else CLASS


def collect(series: Series, neurons: tuple[tuple[str, int], ...] = ()) -> FeatureStrips:
    shown = grown(series, neurons)
    if not shown:
        raise NotShownError("No image activates any neuron at the last checkpoint.")
    count = len(series.members)
    places = tuple(np.unique(np.linspace(0, count - 1, min(count, MOST_TILES)).round().astype(int)).tolist())
    tiles = tuple(tuple(_tile(series, place, address) for place in places) for address in shown)
    table, wanted = neuron_changes(series), set(shown)
    addresses = zip(table["layer"].to_pylist(), table["channel"].to_pylist(), strict=True)
    rows = table.filter(pa.array([address in wanted for address in addresses]))
    measure = _class_measure(series)
    classes = "class selectivity above chance" if measure == EXCESS else "class selectivity"
    which = "" if neurons else " whose selectivity to color, and to classes, has grown most"
    caption = (
        f"Neurons{which}: their features from checkpoint to checkpoint. Bars below a feature, from 0 to 1: color "
        f"selectivity, in the neuron's hue, and {classes}, dark; then the class with the largest share. The CSV has "
        "the numbers, and neurons.parquet those of all neurons."
    )
    labels = tuple(series.labels[place] for place in places)
    return FeatureStrips(rows, caption, shown, places, labels, series.axis, measure, tiles, series.last.class_names)


def _tile(series: Series, place: int, address: tuple[str, int]) -> Image.Image | None:
    neuron = series.indexes[place].neuron(*address)
    return None if neuron.row["dead"] else feature_tile(neuron)


def draw(found: FeatureStrips) -> Figure:
    step = min((WIDTH - _LEFT) / len(found.places), 1.0)
    tile = step - _GAP
    line, top = tile + 0.36, 0.34
    board = Board(top + line * len(found.neurons) + 0.02, max(_LEFT + step * len(found.places), 0.7 * WIDTH))
    board.text(found.axis, _LEFT - 0.12, 0.08, 7, SOFT_INK, ha="right")
    for column, label in enumerate(found.labels):
        board.text(one_line(label, 16), _LEFT + column * step + tile / 2, 0.08, 8, INK, ha="center")
    rows = {(row["layer"], row["channel"], row["checkpoint"]): row for row in found.table.to_pylist()}
    order = list(dict.fromkeys(found.table["checkpoint"].to_pylist()))
    for number, (address, tiles) in enumerate(zip(found.neurons, found.tiles, strict=True)):
        y = top + number * line
        board.text(f"{short(address[0], 20)}:{address[1]}", _LEFT - 0.12, y + tile / 2, 7, INK, ha="right", va="center")
        for column, (place, picture) in enumerate(zip(found.places, tiles, strict=True)):
            row = rows[(*address, order[place])]
            _draw_tile(board, picture, row, found, _LEFT + column * step, y, tile)
    return board.figure


def _draw_tile(
    board: Board, picture: Image.Image | None, row: dict, found: FeatureStrips, x: float, y: float, tile: float
) -> None:
    if picture is None:
        board.bar(x, y, tile, tile, PALE)
        board.text("dead", x + tile / 2, y + tile / 2, 6.5, SOFT_INK, ha="center", va="center")
        return
    board.picture(picture, x, y, tile, tile)
    board.frame(x, y, tile, tile, RULE, 0.5)
    color = INK if row["hue"] is None else hue_color(float(np.radians(row["hue"])))
    for place, (share, ink) in enumerate(((row["color_selectivity"], color), (row.get(found.measure), "#4b5563"))):
        top = y + tile + 0.035 + place * 0.06
        board.bar(x, top, tile, 0.04, PALE)
        board.bar(x, top, tile * min(max(share or 0.0, 0.0), 1.0), 0.04, ink)
    if row["label"] is not None:
        board.text(one_line(found.class_names.get(row["label"], row["label"]), 18), x, y + tile + 0.17, 5.5, SOFT_INK)


def strips(neurons: tuple[tuple[str, int], ...] = ()) -> Exhibit[Series, FeatureStrips]:
    """The exhibit of these neurons; without any, of those whose selectivity has grown most."""
    return Exhibit("evolution-features", "Neuron features as they form", lambda series: collect(series, neurons), draw)
