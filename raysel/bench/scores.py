"""From when results came to figures: rates, medians over rounds, ratios, and how far rankings agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TIE = 1e-5
"""Activations that differ by less than this share of the neuron's highest are equal up to rounding."""


@dataclass(frozen=True)
class Score:
    """The figures of one contender in one round, or their medians over rounds. None: not measured."""

    images_per_second: float | None
    """From the launch of the process to its last result."""
    steady_images_per_second: float
    """From the end of the start to the last result."""
    start_seconds: float | None
    """From the launch to the end of the start."""
    cpu_seconds: float | None
    """Of all processes of the contender, its start included."""
    steady_cpu_ms_per_image: float | None
    """CPU milliseconds of all its processes between the end of the start and the last result, per image."""

    def as_json(self) -> dict[str, float | None]:
        """Plain data, rounded."""
        return {name: value if value is None else round(value, 3) for name, value in asdict(self).items()}


def score(
    launched: float,
    results: Sequence[tuple[float, int]],
    start_results: int,
    cpu: Sequence[tuple[float, float]] = (),
) -> Score:
    """The figures of one round.

    Args:
        launched: time at which the process was launched.
        results: times of the results with their numbers of images, in order.
        start_results: the first results, which end the start: one per actor that works for itself.
        cpu: times with the CPU seconds until then, in order.

    Raises:
        ValueError: no results come after those of the start.
    """
    if len(results) <= start_results:
        raise ValueError(f"{len(results)} results are too few: measure more images")
    began, ended = results[start_results - 1][0], results[-1][0]
    steady = sum(images for _, images in results[start_results:])
    total = steady + sum(images for _, images in results[:start_results])
    steady_cpu = None
    if cpu:
        times, seconds = zip(*cpu, strict=True)
        used = np.interp([began, ended], times, seconds)
        steady_cpu = 1e3 * float(used[1] - used[0]) / steady
    return Score(
        images_per_second=total / (ended - launched),
        steady_images_per_second=steady / (ended - began),
        start_seconds=began - launched,
        cpu_seconds=cpu[-1][1] if cpu else None,
        steady_cpu_ms_per_image=steady_cpu,
    )


def medians(rounds: Sequence[Score]) -> Score:
    """Each figure's median over the rounds in which it was measured."""
    fields: dict[str, Any] = {}
    for name in asdict(rounds[0]):
        values = [getattr(each, name) for each in rounds if getattr(each, name) is not None]
        fields[name] = median(values) if values else None
    return Score(**fields)


class Top(NamedTuple):
    """The images that activate each neuron most, in any order."""

    images: NDArray[np.int64]
    """[neurons, depth]: ids, -1 for none."""
    activations: NDArray[np.float32]
    """[neurons, depth]; anything where there is no image."""


def exact_share(top: Top, expected: Top) -> float:
    """Share of neurons with the same set of images in both.

    Images with about the activation of the last entry of a full ranking are not compared: another batch shape changes
    the last bits, and ties can be broken in any way.
    """
    activations = np.where(expected.images < 0, -np.inf, expected.activations)
    last = np.where(expected.images.min(axis=1) < 0, 0, activations.min(axis=1))
    limit = last + TIE * np.maximum(activations.max(axis=1), 0)
    same = 0
    for neuron, least in enumerate(limit):
        sets = [
            each.images[neuron][(each.activations[neuron] > least) & (each.images[neuron] >= 0)]
            for each in (top, expected)
        ]
        same += set(sets[0].tolist()) == set(sets[1].tolist())
    return same / len(limit)


def table(raysel: Score, against: Mapping[str, Score | str], exact: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """What the benchmark prints.

    Args:
        raysel: medians.
        against: baseline -> its medians, or why there are none.
        exact: baseline -> share of neurons with the same images as raysel's, where it ranks any.

    Returns:
        contender -> figures; a baseline also has ``ratio``, raysel's steady rate by its own, and ``exact``.
    """
    rows: dict[str, dict[str, Any]] = {"raysel": raysel.as_json()}
    for name, figures in against.items():
        if isinstance(figures, str):
            rows[name] = {"error": figures}
            continue
        ratio = raysel.steady_images_per_second / figures.steady_images_per_second
        rows[name] = {**figures.as_json(), "ratio": round(ratio, 4), "exact": exact.get(name)}
    return rows
