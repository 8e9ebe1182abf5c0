"""Color selectivity (Eq. 2): how far the neuron feature's main direction of color lies from the intensity axis."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value, column
from raysel.selectivity.opponent import chroma, hue, opponent

_LEVEL = 1 / 255  # the least difference of a pixel: a deviation below it says nothing
_NO_SPREAD = 1e-12  # a trace below it is a cloud of one color, without a direction
_NO_HUE = 1e-6  # a chroma below it is grey


def color_selectivity(evidence: Evidence) -> dict[str, Value]:
    """Eq. 2, with and without the mean removed, and chroma and hue of the weighted mean color.

    A pixel takes part if at least max(2, N/2) crops show it, with weight ``1 / (sigma + 1/255)``; for N = 1 each that
    shows, with weight 1. All null where no pixel takes part; hue null where there is none.
    """
    taking_part = evidence.count >= (1 if evidence.n == 1 else max(2.0, evidence.n / 2))
    if not taking_part.any():
        return dict.fromkeys(field.name for field in INDEX.columns)
    colors = opponent(evidence.feature[taking_part], evidence.derive.color_space)
    weights = np.ones(len(colors)) if evidence.n == 1 else 1 / (evidence.sigma[taking_part] + _LEVEL)
    mean = weights @ colors / weights.sum()
    return {
        "color_selectivity": _angle(colors - mean, weights),
        "color_selectivity_uncentered": _angle(colors, weights),
        "chroma": chroma(mean),
        "hue": hue(mean) if chroma(mean) >= _NO_HUE else None,
    }


def _angle(colors: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """``(2/pi) arccos(|b.v| / (|b||v|))`` of the first weighted principal component v (Delchambre 2014), in 0..1.

    The weights enter the covariance squared: ``C = sum w^2 x x' / sum w^2``.
    """
    weighted = colors * weights[:, None]
    covariance = weighted.T @ weighted / (weights @ weights)
    if np.trace(covariance) < _NO_SPREAD:
        return 0.0
    v = np.linalg.eigh(covariance)[1][:, -1]
    # The same angle as the arccos of |b.v|, but exact near zero, where the cosine is flat.
    return 2 / math.pi * math.atan2(math.hypot(v[1], v[2]), abs(v[0]))


INDEX = SelectivityIndex(
    name="color",
    columns=(
        column("color_selectivity", pa.float64(), "Color selectivity alpha, 0 (intensity) to 1 (color): Eq. 2"),
        column("color_selectivity_uncentered", pa.float64(), "Eq. 2 without the mean removed: shows uniform color too"),
        column("chroma", pa.float64(), "Chroma of the feature's weighted mean color: distance from the intensity axis"),
        column("hue", pa.float64(), "Hue of the feature's weighted mean color in opponent space, degrees, -180 to 180"),
    ),
    measure=color_selectivity,
)
