"""Hues of color-selective neurons against the hues of the data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from raysel.query.measures import COLOR, rows_of_layers, values
from raysel.report.drawing.style import INK, SOFT_INK, WIDTH
from raysel.report.exhibit import Exhibit, Findings, NotShownError
from raysel.report.figures.missing_values import require
from raysel.selectivity.opponent import OpponentSpace, opponent
from raysel.store import Index

MIN_COLOR = 0.4
SECTORS = 24
MOST_IMAGES = 600
_MOST_NEURONS = 60
_PIXELS = 24
"""Longer side to which crops are reduced before their hues are counted."""


@dataclass(frozen=True)
class Hues(Findings):
    """`table` has a row per sector: low, high (degrees), neurons, neurons_share, images_share."""


def collect(index: Index) -> Hues:
    require(index, COLOR)
    require(index, "hue")
    hues = values(index, "hue")[np.nan_to_num(values(index, COLOR), nan=0.0) > MIN_COLOR]
    hues = hues[~np.isnan(hues)]
    if not len(hues):
        raise NotShownError(f"No neuron has a color selectivity above {MIN_COLOR}.")
    neurons = sectors(hues, np.ones(len(hues)))
    layer, images = _widest_crops(index)
    space: OpponentSpace = index.manifest.config.get("derive", {}).get("color_space", "authors")
    own = np.zeros(SECTORS)
    for picture in images:
        own += image_hues(picture, space) / len(images)
    edges = np.linspace(-180, 180, SECTORS + 1)
    table = pa.table(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "neurons": neurons.astype(np.int64),
            "neurons_share": neurons / neurons.sum(),
            "images_share": own / max(own.sum(), 1e-12),
        }
    )
    caption = (
        f"Filled: hue of the {len(hues):,} neurons with color selectivity above {MIN_COLOR}, as shares of them. Line: "
        f"hues of the data set, estimated from {len(images):,} of its images. Each image counts once, by the crop that "
        f"a neuron of {layer} saw, the layer with the largest receptive field, and in it each pixel by its chroma. "
        "Images that are among the best of no neuron of this layer are missing, so the line is an estimate. Hue is the "
        "angle in the opponent space of Eq. 2: 0 is red against green, 90 is yellow against blue."
    )
    return Hues(table, caption)


def sectors(hues: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [24]: sum of the weights of hues, in degrees, per sector of 15 degrees from -180 on."""
    places = np.floor((hues + 180) / 360 * SECTORS).astype(int) % SECTORS
    return np.bincount(places, weights=weights, minlength=SECTORS).astype(np.float64)


def image_hues(picture: Image.Image, space: OpponentSpace) -> NDArray[np.float64]:
    """float64 [24]: hues of the pixels by their chroma; the sum is the mean chroma, so that gray images count less."""
    small = picture.copy()
    small.thumbnail((_PIXELS, _PIXELS), Image.Resampling.BOX)
    _, o2, o3 = opponent(np.asarray(small, np.float64).reshape(-1, 3) / 255, space).T
    return sectors(np.degrees(np.arctan2(o3, o2)), np.hypot(o2, o3)) / len(o2)


def _widest_crops(index: Index) -> tuple[str, list[Image.Image]]:
    """The layer with the largest receptive field, and one crop of each of up to 600 images from its sheets.

    Reads the sheets of at most 60 neurons, evenly spaced.
    """
    sizes = values(index, "rf_size")
    layers = {layer: rows[index.neurons["n"].to_numpy()[rows] > 0] for layer, rows in rows_of_layers(index).items()}
    layer = max((layer for layer in layers if len(layers[layer])), key=lambda name: sizes[layers[name][0]])
    rows = layers[layer]
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(_MOST_NEURONS, len(rows))).astype(int))]
    crops: dict[int, Image.Image] = {}
    for row in chosen.tolist():
        neuron = index.neuron(layer, index.neurons["channel"][row].as_py())
        for image, crop in zip(neuron.ranking["image"].to_pylist(), neuron.crops, strict=False):
            crops.setdefault(image, crop)
        if len(crops) >= MOST_IMAGES:
            break
    return layer, list(crops.values())[:MOST_IMAGES]


def draw(found: Hues) -> Figure:
    figure = Figure(figsize=(WIDTH, 5.2))
    wheel = figure.add_axes((0.28, 0.06, 0.44, 0.86), projection="polar")
    low, share, own = (found.table[name].to_numpy() for name in ("low", "neurons_share", "images_share"))
    angles = np.radians(low + 180 / SECTORS)
    wheel.bar(
        angles, share, 2 * np.pi / SECTORS, color=[hue_color(a) for a in angles], edgecolor="white", linewidth=0.5
    )
    steps = np.linspace(0, 2 * np.pi / SECTORS, 8)
    around = np.concatenate([np.radians(start) + steps for start in low] + [np.radians(low[:1])])
    outline = np.concatenate([np.repeat(own, len(steps)), own[:1]])
    wheel.plot(around, outline, color=INK, linewidth=1.4)
    top = max(share.max(), own.max()) * 1.08
    wheel.set_ylim(0, top)
    ticks = [tick for tick in wheel.get_yticks() if 0 < tick < top]
    wheel.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks], color=SOFT_INK, fontsize=6.5)
    wheel.set_rlabel_position(112.5)  # type: ignore[attr-defined]
    wheel.set_xticks(
        np.radians(np.arange(0, 360, 45)), [f"{angle}°" for angle in (0, 45, 90, 135, 180, -135, -90, -45)]
    )
    wheel.grid(linewidth=0.4)
    wheel.set_axisbelow(True)
    handles = [Patch(color=SOFT_INK, label="neurons"), Line2D([], [], color=INK, linewidth=1.4, label="images")]
    wheel.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.08, 1.0))
    return figure


def hue_color(angle: float) -> tuple[float, float, float]:
    """An RGB color of this hue, in radians, in the authors' opponent space, at middle intensity."""
    o2, o3 = np.cos(angle), np.sin(angle)
    # Inverse of O2 = R - G, O3 = (R + G - 2B) / 2 with R + G + B fixed.
    blue = -2 * o3 / 3
    red, green = (o2 - blue) / 2, (-o2 - blue) / 2
    rgb = np.array([red, green, blue])
    return tuple((0.5 + 0.42 * rgb / np.abs(rgb).max()).tolist())


HUE_WHEEL = Exhibit("hue-wheel", "Hues of color-selective neurons and of the data set", collect, draw)
