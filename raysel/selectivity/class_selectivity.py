"""Class selectivity (Eq. 3, 4): from how few classes the images come that activate a neuron most."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value, column

TOLERANCE = 1e-9
"""Rounding error allowed when a share, or a sum of shares, is compared with a threshold."""
_MIN_SHARE = 0.1
"""Minimum share of a class that counts in the population code."""


def class_selectivity(evidence: Evidence) -> dict[str, Value]:
    """Eq. 4 with its classes, the population code, and the value expected by chance.

    Images without a label are ignored: N is the number of labeled images. All values are None if N = 0. Gamma is None
    if N = 1; chance and excess are None if N = 1 or the class threshold is not 1.
    """
    n = int(np.count_nonzero(evidence.labels >= 0))
    if n == 0:
        return dict.fromkeys(field.name for field in INDEX.columns)
    numbers, shares = class_shares(evidence.weights, evidence.labels)
    threshold = evidence.derive.class_threshold
    m, gamma = fewest_classes(shares, threshold, n)
    chance = chance_level(n, evidence.class_sizes) if threshold == 1 else None
    classes = [
        {"label": evidence.class_labels[number], "share": share}
        for number, share in zip(numbers[:m].tolist(), shares[:m].tolist(), strict=True)
    ]
    return {
        "class_selectivity": gamma,
        "class_chance": chance,
        "class_excess": _excess(gamma, chance),
        "n_classes": m,
        "population_code": int(np.count_nonzero(shares >= _MIN_SHARE - TOLERANCE)),
        "label": classes[0]["label"],
        "label_share": classes[0]["share"],
        "classes": classes,
    }


def class_shares(
    weights: NDArray[np.float64], labels: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Eq. 3: the classes of the images and their share f of the activation, largest first, ties by class number.

    Args:
        weights: float64 [N], relative activations.
        labels: int [N], class numbers; images with -1 are ignored.

    Returns:
        int64 [C] class numbers and float64 [C] shares, whose sum is 1.
    """
    by_class: dict[int, list[float]] = {}
    for label, weight in zip(labels.tolist(), weights.tolist(), strict=True):
        if label >= 0:
            by_class.setdefault(label, []).append(weight)
    # fsum rounds once, so ties between classes do not depend on the order of the images.
    sums = {label: math.fsum(of_class) for label, of_class in by_class.items()}
    total = math.fsum(weight for of_class in by_class.values() for weight in of_class)
    ordered = sorted(sums, key=lambda label: (-sums[label], label))
    return np.array(ordered, dtype=np.int64), np.array([sums[label] / total for label in ordered])


def fewest_classes(shares: NDArray[np.float64], threshold: float, n: int) -> tuple[int, float | None]:
    """M, the fewest classes whose shares, largest first, reach the threshold, and gamma (Eq. 4), None if N = 1."""
    m = min(int(np.searchsorted(np.cumsum(shares), threshold - TOLERANCE)) + 1, len(shares))
    return m, (n - m) / (n - 1) if n > 1 else None


def chance_level(n: int, class_sizes: NDArray[np.int64]) -> float | None:
    """Expected gamma of N = `n` images drawn at random from classes of these sizes; None if N = 1.

    ``E[M] = sum_c (1 - C(n - n_c, N) / C(n, N))`` and ``chance = (N - E[M]) / (N - 1)``.
    """
    return _chance_level(n, np.ascontiguousarray(class_sizes, dtype=np.int64).tobytes()) if n > 1 else None


@lru_cache(maxsize=1024)
def _chance_level(n: int, class_sizes: bytes) -> float:
    sizes, occurrences = np.unique(np.frombuffer(class_sizes, dtype=np.int64), return_counts=True)
    images = int(sizes @ occurrences)
    # C(n - n_c, N) / C(n, N), the chance that no draw hits the class, is the product over i < N of 1 - n_c / (n - i).
    left = images - np.arange(n, dtype=np.float64)
    with np.errstate(divide="ignore"):
        missed = np.exp(np.log1p(np.maximum(-sizes[:, None] / left, -1.0)).sum(axis=1))
    expected = float(occurrences @ (1 - missed))
    return max((n - expected) / (n - 1), 0.0)  # not -1e-16 where every class has one image


def _excess(gamma: float | None, chance: float | None) -> float | None:
    if gamma is None or chance is None or 1 - chance < TOLERANCE:
        return None
    return (gamma - chance) / (1 - chance)


INDEX = SelectivityIndex(
    name="class",
    columns=(
        column(
            "class_selectivity",
            pa.float64(),
            "Class selectivity gamma, 0 (as many classes as images) to 1 (one class): Eq. 4",
        ),
        column("class_chance", pa.float64(), "Expected gamma of as many images drawn at random"),
        column("class_excess", pa.float64(), "Gamma above chance: (gamma - chance) / (1 - chance)"),
        column("n_classes", pa.int32(), "M of Eq. 4: fewest classes whose shares reach the threshold"),
        column("population_code", pa.int32(), "Number of classes with at least a tenth of the activation"),
        column("label", pa.string(), "Label of the class with the largest share of the activation"),
        column("label_share", pa.float64(), "Share f of the activation of this class: Eq. 3"),
        column(
            "classes",
            pa.list_(pa.struct([("label", pa.string()), ("share", pa.float64())])),
            "The M classes with their share f of the activation, largest first: Eq. 3",
        ),
    ),
    measure=class_selectivity,
)
