"""Opponent color space: one intensity axis and two color axes.

``authors`` is the definition in the public toolbox of the paper's authors, ``orthonormal`` the usual orthonormal one.
In both, the first axis is the intensity axis b of Eq. 2.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

OpponentSpace = Literal["authors", "orthonormal"]

_AXES: dict[OpponentSpace, NDArray[np.float64]] = {
    "authors": np.array([[1 / 1.5, 1 / 1.5, 1 / 1.5], [1, -1, 0], [0.5, 0.5, -1]]),
    "orthonormal": np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]]),
}
_ORIGIN: dict[OpponentSpace, NDArray[np.float64]] = {
    "authors": np.array([-1.0, 0.0, 0.0]),
    "orthonormal": np.zeros(3),
}


def opponent(rgb: NDArray[np.float64], space: OpponentSpace) -> NDArray[np.float64]:
    """RGB in 0..1, float64 [..., 3], to (O1, O2, O3), float64 [..., 3].

    ``authors``: ``(R+G+B-1.5)/1.5, R-G, (R+G-2B)/2``. ``orthonormal``: ``(R+G+B)/sqrt3, (R-G)/sqrt2, (R+G-2B)/sqrt6``.
    """
    return rgb @ _AXES[space].T + _ORIGIN[space]


def chroma(color: NDArray[np.float64]) -> float:
    """Distance of one opponent color, float64 [3], from the intensity axis: ``|(O2, O3)|``."""
    return math.hypot(color[1], color[2])


def hue(color: NDArray[np.float64]) -> float:
    """Angle of one opponent color, float64 [3], around the intensity axis: ``atan2(O3, O2)``, degrees, -180..180."""
    return math.degrees(math.atan2(color[2], color[1]))
