"""Color selectivity (Eq. 2): the angle between the main color axis of the neuron feature and the intensity axis."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value, column
from raysel.selectivity.opponent import chroma, hue, opponent

_MIN_TRACE = 1e-12
"""Pixels whose covariance has a smaller trace have one color, and no main direction."""
_MIN_CHROMA = 1e-6
"""A color of smaller chroma is gray and has no hue."""


def color_selectivity(evidence: Evidence) -> dict[str, Value]:
    """Eq. 2, with and without the mean removed, and chroma and hue of the weighted mean color.

    All values are None if no pixel takes part; the hue of gray is None.
    """
    shown = evidence.pixel_weights > 0
    if not shown.any():
        return dict.fromkeys(field.name for field in INDEX.columns)
    colors, weights = opponent(evidence.feature[shown], evidence.derive.color_space), evidence.pixel_weights[shown]
    mean = weights @ colors / weights.sum()
    return {
        "color_selectivity": _angle(colors - mean, weights),
        "color_selectivity_uncentered": _angle(colors, weights),
        "chroma": chroma(mean),
        "hue": hue(mean) if chroma(mean) >= _MIN_CHROMA else None,
    }


def _angle(colors: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """``(2/pi) arccos(|b.v| / (|b||v|))``, in 0..1, where v is the first weighted principal component.

    The weights are squared in the covariance (Delchambre 2014): ``C = sum w^2 x x' / sum w^2``.
    """
    weighted = colors * weights[:, None]
    covariance = weighted.T @ weighted / (weights @ weights)
    if np.trace(covariance) < _MIN_TRACE:
        return 0.0
    v = np.linalg.eigh(covariance)[1][:, -1]
    # The same angle as the arccos of |b.v|, but accurate near zero, where the cosine is flat.
    return 2 / math.pi * math.atan2(math.hypot(v[1], v[2]), abs(v[0]))


INDEX = SelectivityIndex(
    name="color",
    columns=(
        column("color_selectivity", pa.float64(), "Color selectivity alpha, 0 (intensity) to 1 (color): Eq. 2"),
        column("color_selectivity_uncentered", pa.float64(), "Eq. 2 without removing the mean: includes uniform color"),
        column("chroma", pa.float64(), "Chroma of the feature's weighted mean color: distance from the intensity axis"),
        column("hue", pa.float64(), "Hue of the feature's weighted mean color in opponent space, degrees, -180 to 180"),
    ),
    measure=color_selectivity,
)
