"""A board of pictures and text, measured in inches from its upper left corner."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from raysel.report.drawing.style import INK, WIDTH
from raysel.report.portrait import fitted
from raysel.store import Neuron

_TILE = 180
"""Longer side of a neuron feature on a board, pixels of the picture that is embedded."""
_NOTHING = (240, 240, 240, 255)
"""Where no crop shows a pixel."""


class Board:
    """A figure without axes."""

    def __init__(self, height: float, width: float = WIDTH) -> None:
        self.figure = Figure(figsize=(width, height))
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_autoscale_on(False)
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)

    def picture(self, picture: Image.Image, x: float, y: float, width: float, height: float) -> None:
        """Draw a picture as large as fits into a rectangle, at the rectangle's center."""
        scale = min(width / picture.width, height / picture.height)
        w, h = picture.width * scale, picture.height * scale
        left, top = x + (width - w) / 2, y + (height - h) / 2
        self._axes.imshow(np.asarray(picture), extent=(left, left + w, top + h, top), aspect="auto")

    def text(self, text: str, x: float, y: float, size: float = 8, color: str = INK, **more: Any) -> None:
        """Write text with its upper left corner at (x, y)."""
        self._axes.text(x, y, text, fontsize=size, color=color, **{"va": "top", "ha": "left", **more})

    def bar(self, x: float, y: float, width: float, height: float, color: Any) -> None:
        """Fill a rectangle whose upper left corner is at (x, y)."""
        self._axes.add_patch(Rectangle((x, y), width, height, facecolor=color, linewidth=0))

    def frame(self, x: float, y: float, width: float, height: float, color: str, line: float = 1.0) -> None:
        self._axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=color, linewidth=line))


def feature_tile(neuron: Neuron) -> Image.Image:
    """The neuron feature, RGB, enlarged so that its pixels stay visible; light gray where no crop shows the pixel."""
    picture = neuron.picture
    assert picture is not None, "a neuron that is not dead has a feature"
    backed = Image.alpha_composite(Image.new("RGBA", picture.size, _NOTHING), picture)
    return fitted(backed.convert("RGB"), _TILE)


def crop_grid(neuron: Neuron, rows: int, columns: int, cell: int = 48) -> Image.Image:
    """The first crops in rank order on a white grid, each scaled to `cell` pixels."""
    gap = 2
    grid = Image.new("RGB", (columns * (cell + gap) - gap, rows * (cell + gap) - gap), "white")
    for rank, crop in enumerate(neuron.crops[: rows * columns]):
        row, column = divmod(rank, columns)
        small = fitted(crop, cell)
        offset = (cell - small.width) // 2, (cell - small.height) // 2
        grid.paste(small, (column * (cell + gap) + offset[0], row * (cell + gap) + offset[1]))
    return grid
