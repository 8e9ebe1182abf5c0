"""Symmetry: the crop mirrored at axes through its center."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysel.interventions.intervention import Intervention, Pixels
from raysel.interventions.resampling import resampled

AXES = (0, 45, 90, 135)
"""Degrees from the horizontal axis."""


def mirrored(pixels: Pixels, _seed: Sequence[int] = ()) -> Pixels:
    """The picture mirrored at each of `AXES`: at 0 degrees its upper and lower half change places."""
    return np.stack([resampled(pixels, _reflection(np.deg2rad(2 * axis))) for axis in AXES])


def _reflection(double: float) -> np.ndarray:
    return np.array([[np.cos(double), np.sin(double)], [np.sin(double), -np.cos(double)]])


INTERVENTION = Intervention(
    "symmetry",
    whole_image=False,
    variants=len(AXES),
    transform=mirrored,
    about_index="Share of the activation that is lost if crops are mirrored, mean of 4 axes; null if not asked for",
    about_curve="Relative activation over crops mirrored at 0, 45, 90 and 135 degrees; null if not asked for",
)
