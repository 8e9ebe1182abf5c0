"""The pixels of a neuron feature in opponent space, with the two axes of Eq. 2."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from raysel.selectivity.opponent import OpponentSpace, opponent

SIDE = 240
_MOST_LINES = 20
"""Rows and columns of the feature that are drawn."""


@dataclass(frozen=True)
class ColorCloud:
    """Pixels in the plane of the intensity axis (up) and the main color axis, in a box of `SIDE` x `SIDE`.

    In this plane the angle between the axes is seen as it is.
    """

    points: Markup
    """The pixels as SVG circles, each in its own color."""
    center: tuple[float, float]
    """The mean of the pixels."""
    intensity: tuple[float, float, float, float]
    """(x1, y1, x2, y2) of the intensity axis through the mean."""
    component: tuple[float, float, float, float]
    """The same for the first principal component."""
    angle: float
    """Degrees between both, 0 to 90."""


def color_cloud(
    feature: NDArray[np.float32], count: NDArray[np.integer], n: int, space: OpponentSpace
) -> ColorCloud | None:
    """The cloud of a neuron feature; None if no pixel takes part or all have one color.

    The pixels are those of Eq. 2, which at least max(2, n/2) crops show. All weigh the same here, while Eq. 2 weighs a
    pixel by how well the crops agree in it: its angle may differ a little.

    Args:
        feature: float32 [h, w, 3], RGB in 0..1.
        count: int [h, w], how many crops show each pixel.
        n: number of crops.
        space: opponent space of the index.
    """
    row, column = (-(-length // _MOST_LINES) for length in count.shape)
    shown = count >= max(2.0, n / 2) if n > 1 else count > 0
    rgb = feature[::row, ::column][shown[::row, ::column]].astype(np.float64)
    if len(rgb) < 2:
        return None
    colors = opponent(rgb, space)
    mean = colors.mean(axis=0)
    covariance = np.cov((colors - mean).T)
    if np.trace(covariance) < 1e-12:
        return None
    v = np.linalg.eigh(covariance)[1][:, -1]
    v = v if v[0] >= 0 else -v
    chromatic = math.hypot(v[1], v[2])
    across = np.array([v[1], v[2]]) / chromatic if chromatic > 1e-9 else np.array([1.0, 0.0])
    x, y = (colors - mean)[:, 1:] @ across, (colors - mean)[:, 0]
    scale = SIDE / 2 * 0.9 / max(float(np.abs(x).max()), float(np.abs(y).max()))
    middle = SIDE / 2
    places = np.column_stack([middle + scale * x, middle - scale * y]).round(1).tolist()
    levels = np.rint(np.clip(rgb, 0, 1) * 255).astype(int).tolist()
    points = Markup(
        "".join(
            f'<circle cx="{a}" cy="{b}" r="3.4" fill="#{red:02x}{green:02x}{blue:02x}"/>'
            for (a, b), (red, green, blue) in zip(places, levels, strict=True)
        )
    )
    reach = SIDE * 0.46
    a, b = chromatic * reach, float(v[0]) * reach
    return ColorCloud(
        points,
        (middle, middle),
        (middle, middle + reach, middle, middle - reach),
        (round(middle - a, 1), round(middle + b, 1), round(middle + a, 1), round(middle - b, 1)),
        math.degrees(math.atan2(chromatic, abs(float(v[0])))),
    )
