"""The eleven basic color names as fuzzy sets in CIELab (Benavente, Vanrell and Baldrich, JOSA A 25, 2008).

How well a name describes a color is its membership. In each of six ranges of lightness, the names of chromatic colors
are sectors of the plane (a, b), separated by sigmoids, outside of an ellipse around gray: the triple sigmoid with
elliptical center. What they leave of a color is black, gray or white by its lightness. The parameters are the published
ones. The model calls the primaries of a screen orange (255, 0, 0) and purple (0, 0, 255).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

NAMES = ("red", "orange", "brown", "yellow", "green", "blue", "purple", "pink", "black", "gray", "white")

LEVELS = 64
"""Levels of R, G and B in `memberships_by_cell`."""


@dataclass(frozen=True)
class _Level:
    """The model in one range of lightness. Angles are in degrees."""

    center: tuple[float, float]
    """(a, b) of the point where the sectors meet, and of the ellipse."""
    axes: tuple[float, float]
    slope: float
    """Slope of the ellipse's sigmoid."""
    angle: float
    """By which the ellipse is rotated."""
    ends: dict[str, tuple[float, float]]
    """Name -> (angle, slope) of the sigmoid that ends its sector, in order. It begins where the sector before ends."""

    @cached_property
    def names(self) -> NDArray[np.int64]:
        """int64 [names]: places in `NAMES`."""
        return np.array([NAMES.index(name) for name in self.ends])

    @cached_property
    def across(self) -> NDArray[np.float64]:
        """float64 [names, 2]: in which direction the sigmoid at the end of each sector rises, times its slope."""
        angles, slopes = np.array(list(self.ends.values())).T
        return slopes[:, None] * np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1)

    def memberships(self, ab: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [names, P]: how well each of the level's names describes colors (a, b), float64 [2, P]."""
        x, y = xy = ab - np.array(self.center)[:, None]
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        radius = ((x * cos + y * sin) / self.axes[0]) ** 2 + ((y * cos - x * sin) / self.axes[1]) ** 2
        before_end = _sigmoid(self.across @ xy)
        after_start = 1 - before_end[np.arange(-1, len(before_end) - 1)]
        return before_end * after_start * _sigmoid(self.slope * (radius - 1))


_LIGHTNESS = np.array([31.0, 42.0, 51.0, 66.0, 76.0])
"""Upper ends of all ranges of lightness but the last."""
_MODEL = (
    _Level((0.42, 0.25), (5.89, 7.47), 9.84, 2.32, {
        "red": (-56.55, 1.72), "brown": (14.56, 0.84), "green": (134.59, 1.95), "blue": (-147.15, 1.01),
        "purple": (-92.24, 0.90),
    }),
    _Level((0.23, 0.66), (6.46, 7.87), 6.03, 17.59, {
        "red": (-48.81, 5.0), "brown": (6.87, 0.69), "green": (120.46, 0.96), "blue": (-148.48, 0.92),
        "purple": (-105.72, 1.10), "pink": (-87.79, 0.52),
    }),
    _Level((-0.12, 0.52), (5.38, 6.98), 6.81, 19.58, {
        "red": (-45.55, 0.57), "orange": (-28.76, 0.52), "brown": (6.65, 0.84), "green": (109.38, 0.60),
        "blue": (-148.24, 0.80), "purple": (-112.63, 0.62), "pink": (-76.43, 1.0),
    }),
    _Level((-0.44, 1.08), (6.06, 7.50), 7.32, 24.55, {
        "red": (-57.01, 0.75), "orange": (-9.88, 0.48), "yellow": (5.67, 0.73), "green": (108.32, 0.64),
        "blue": (-148.77, 0.76), "purple": (-123.92, 5.0), "pink": (-63.48, 0.94),
    }),
    _Level((-0.57, 1.16), (5.37, 6.90), 100.0, 24.75, {
        "orange": (-15.85, 0.84), "yellow": (12.27, 0.86), "green": (98.57, 0.74), "blue": (-150.83, 0.47),
        "purple": (-122.55, 1.74), "pink": (-64.25, 2.0),
    }),
    _Level((-1.26, 1.81), (6.04, 7.39), 100.0, -1.19, {
        "orange": (-17.56, 0.79), "yellow": (16.24, 0.96), "green": (100.05, 0.90), "blue": (-149.43, 0.60),
        "purple": (-122.37, 1.93), "pink": (-64.26, 1.03),
    }),
)  # fmt: skip
_DARK, _LIGHT = (28.28, 0.71), (79.65, 0.31)
"""(lightness, slope) of the sigmoids between black and gray, and between gray and white."""


def memberships(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Memberships of each of `NAMES`, float64 [P, 11] with rows of sum 1, of sRGB colors in 0..1, float64 [P, 3]."""
    lab = cielab(rgb).T
    lightness, ab = lab[0], lab[1:]
    level = np.searchsorted(_LIGHTNESS, lightness)
    found = np.zeros((len(NAMES), len(rgb)))
    for number, model in enumerate(_MODEL):
        inside = np.flatnonzero(level == number)
        if len(inside):
            found[model.names[:, None], inside] = model.memberships(ab[:, inside])
    rest = np.maximum(1 - found.sum(axis=0), 0)
    not_black, white = (_sigmoid(slope * (lightness - at)) for at, slope in (_DARK, _LIGHT))
    found[-3:] = rest * (1 - not_black), rest * not_black * (1 - white), rest * white
    return (found / found.sum(axis=0)).T


@cache
def memberships_by_cell() -> NDArray[np.float32]:
    """Memberships of the mean color of each cell, float32 [LEVELS ** 3, 11]; takes a third of a second once.

    A cell holds the 8 bit colors of `LEVELS` levels of R, G and B, and its number is ``(r * LEVELS + g) * LEVELS + b``.
    """
    size = 256 // LEVELS
    steps = (np.arange(LEVELS) * size + (size - 1) / 2) / 255
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    return np.ascontiguousarray(memberships(cells.reshape(-1, 3)), np.float32)  # a cell's row is in one place


def cielab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB in 0..1 to CIELab under D65, float64 [P, 3] both: L in 0..100, a, b."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # exp(-x) is infinite, and the result 0
        return 1 / (1 + np.exp(-x))
