"""Activation against rank, and responses to turned and mirrored crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 120
RADIUS = 60


@dataclass(frozen=True)
class ActivationCurve:
    """Relative activation against rank in a box of `WIDTH` x `HEIGHT`."""

    line: str
    """Path of the whole ranking."""
    area: str
    """Path below the curve over the first N ranks."""
    ranks: int
    last: float
    """Relative activation of the last rank."""


def activation_curve(weights: Sequence[float], n: int) -> ActivationCurve:
    """The curve of relative activations in rank order, at least one, of which the first `n` build the feature."""
    across = max(len(weights) - 1, 1)
    points = [(round(rank / across * WIDTH, 1), round((1 - w) * HEIGHT, 1)) for rank, w in enumerate(weights)]
    if len(points) == 1:
        points.append((float(WIDTH), points[0][1]))
    used = points[: max(n, 1)]
    area = f"{_path(used)}V{HEIGHT}H0z"
    return ActivationCurve(_path(points), area, len(weights), float(weights[-1]))


@dataclass(frozen=True)
class Turns:
    """Relative activation over the angles of a crop, around a circle of `RADIUS` that stands for 1."""

    path: str
    labels: tuple[tuple[int, float], ...]
    """(degrees, relative activation)"""


def turns(curve: Sequence[float]) -> Turns:
    """Relative activations at 15, 30 ... 345 degrees; at 0 degrees it is 1."""
    values = [1.0, *curve]
    points = []
    for place, value in enumerate(values):
        angle, radius = 2 * math.pi * place / len(values), RADIUS * min(max(value, 0.0), 1.25)
        points.append((round(radius * math.sin(angle), 1), round(-radius * math.cos(angle), 1)))
    step = 360 // len(values)
    return Turns(f"{_path(points)}z", tuple((place * step, value) for place, value in enumerate(values)))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
