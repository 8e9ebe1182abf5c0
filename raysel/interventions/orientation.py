"""Orientation: the crop turned about its center."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysel.interventions.intervention import Intervention, Pixels
from raysel.interventions.resampling import resampled

ANGLES = tuple(range(15, 360, 15))
"""Degrees."""


def turned(pixels: Pixels, _seed: Sequence[int] = ()) -> Pixels:
    """The picture turned by each of `ANGLES`; corners that turn in have the color of the nearest edge pixel."""
    turns = [resampled(pixels, _rotation(np.deg2rad(angle))) for angle in ANGLES]
    return np.stack(turns)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


INTERVENTION = Intervention(
    "orientation",
    whole_image=False,
    variants=len(ANGLES),
    transform=turned,
    about_index="Share of the activation that is lost if crops are turned, mean of 23 angles; null if not asked for",
    about_curve="Relative activation over crops turned by 15, 30 ... 345 degrees; null if not asked for",
)
