"""The look that all figures share: fonts, colors, and grids of panels for any number of layers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK, SOFT_INK, RULE, PALE = "#1f2937", "#6b7280", "#d1d5db", "#eceff3"
HIGH, LOW = "#d55e00", "#0072b2"
"""Vermilion and blue of Okabe and Ito, which color-blind readers can tell apart."""
ORANGE = "#e69f00"

RC: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.edgecolor": SOFT_INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # a $ in the name of a layer is a $
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "raysel",
    "savefig.facecolor": "white",
}
"""Settings of matplotlib for all figures."""

WIDTH = 10.0
"""Width of a figure, inches."""

_LONGEST_NAME = 26


def ten_steps(last: str) -> list[str]:
    """Ten colors from light gray to `last`, for bins of a tenth."""
    ramp = LinearSegmentedColormap.from_list("steps", ["#d6d6d6", last])
    return [to_hex(ramp(step / 9)) for step in range(10)]


def short(layer: str, longest: int = _LONGEST_NAME) -> str:
    """A layer's name of at most `longest` characters: words of a longer one lose their ends, numbers stay.

    Layers mostly differ in numbers: ``features.denseblock3.denselayer12.conv1`` becomes ``feat.dens3.dens12.conv1``.
    """
    layer = " ".join(layer.split())
    letters = longest
    while len(layer) > longest and letters > 0:
        layer = re.sub(rf"([^\W\d_]{{{letters}}})[^\W\d_]+", r"\1", layer)
        letters -= 1
    return one_line(layer, longest)


def one_line(text: str, longest: int) -> str:
    """A text of at most `longest` characters: the middle of a longer one is left out."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[head + 1 - longest :]}"


def panels(count: int, most_columns: int, height: float, legend: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, row by row, each `height` inches high, and `legend` inches free at the right."""
    columns = min(count, most_columns)
    rows = math.ceil(count / columns)
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1 - legend / WIDTH, 1), hspace=0.06, wspace=0.04)
    figure = Figure(figsize=(WIDTH, rows * height + 0.3), layout=layout)
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def layer_ticks(axes: Axes, layers: Sequence[str]) -> None:
    """Names of the layers below bars at 0, 1, 2, ..., turned where they would touch."""
    shown = [short(layer) for layer in layers]
    axes.set_xticks(range(len(shown)), shown)
    room = WIDTH * 11 / max(len(shown), 1)  # characters of 7 points that fit below a bar
    if max(map(len, shown)) > room:
        axes.tick_params(axis="x", labelrotation=90 if len(shown) > 12 else 30)
        if len(shown) <= 12:
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)


def bar_height(layers: Sequence[str]) -> float:
    """Height of a panel of bars, inches, with room for the names below them."""
    return 2.9 if len(layers) <= 12 else 2.2 + 0.065 * max(len(short(layer)) for layer in layers)


def runs(layers: Sequence[str], most: int) -> list[list[str]]:
    """The layers in rows of nearly equal length, at most `most` each."""
    rows = math.ceil(len(layers) / most)
    length = math.ceil(len(layers) / rows)
    return [list(layers[start : start + length]) for start in range(0, len(layers), length)]
