"""The paper's formulas as plain loops in float64, to compare the product with.

It imports nothing from raysel. Loops run over images, neurons, crops and classes as in the paper; only the pixels of a
crop are one array. Images are uint8 [H, W, 3], RGB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Crop = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Pixels float64 [h, w, 3] in [0, 1], and which of them are visible, bool [h, w]."""


# Rankings -----------------------------------------------------------------------------------------------------------


def mix32(x: int) -> int:
    """lowbias32, a fixed bijection of 32 bits (Wellons' hash prospector), which orders equal activations."""
    x &= 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    x ^= x >> 16
    return x


def ranking(
    activations: Sequence[float], ids: Sequence[int], depth: int, mix: Callable[[int], int] = mix32
) -> list[int]:
    """One neuron: the rows of its images, highest activation first, at most `depth`; only finite a > 0 enter."""
    rows = [j for j in range(len(ids)) if math.isfinite(activations[j]) and activations[j] > 0]
    rows.sort(key=lambda j: (-float(activations[j]), mix(int(ids[j]))))
    return rows[:depth]


def rankings(
    activations: NDArray[np.floating], ids: Sequence[int], depth: int, mix: Callable[[int], int] = mix32
) -> list[list[int]]:
    """Every neuron's ranking, from the whole matrix of activations [images, neurons]."""
    return [ranking(activations[:, i].tolist(), ids, depth, mix) for i in range(activations.shape[1])]


def relative_activations(ranked: Sequence[float], n_max: int, minimum: float) -> list[float]:
    """w of the N images that build the neuron feature, from the activations in rank order (paper, section 2)."""
    weights: list[float] = []
    for a in ranked:
        w = float(a) / float(ranked[0])
        if len(weights) == n_max or w < minimum:
            break
        weights.append(w)
    return weights


# Crops --------------------------------------------------------------------------------------------------------------


def crop(image: NDArray[np.uint8], origin: tuple[int, int], size: tuple[int, int]) -> Crop:
    """The crop whose first pixel is `origin`; pixels outside the image are hidden."""
    around = max(*size, abs(origin[0]), abs(origin[1])) + max(size)
    margin = ((around, around), (around, around))
    wide = np.pad(image / 255.0, (*margin, (0, 0)))
    inside = np.pad(np.ones(image.shape[:2], dtype=bool), margin)
    top, left = origin[0] + around, origin[1] + around
    pixels = wide[top : top + size[0], left : left + size[1]].copy()
    shows = inside[top : top + size[0], left : left + size[1]].copy()
    return pixels, shows


def least_factor(size: int, max_size: int) -> int:
    """The least k with ceil(size / k) <= max_size."""
    k = 1
    while math.ceil(size / k) > max_size:
        k += 1
    return k


def reduce(crop: Crop, k: int) -> Crop:
    """Means over the visible pixels of k x k blocks; a block is visible if at least half of its own pixels are."""
    if k == 1:
        return crop
    pixels, shows = crop
    height, width = math.ceil(pixels.shape[0] / k), math.ceil(pixels.shape[1] / k)
    small, small_shows = np.zeros((height, width, 3)), np.zeros((height, width), dtype=bool)
    for y in range(height):
        for x in range(width):
            block = shows[y * k : y * k + k, x * k : x * k + k]
            if 2 * block.sum() >= block.size:
                small[y, x] = pixels[y * k : y * k + k, x * k : x * k + k][block].mean(axis=0)
                small_shows[y, x] = True
    return small, small_shows


# Neuron feature -----------------------------------------------------------------------------------------------------


def neuron_feature(crops: Sequence[Crop], weights: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Eq. 1 with each pixel divided by the number of crops that show it, and this number."""
    total = np.zeros_like(crops[0][0])
    count = np.zeros(crops[0][1].shape, dtype=np.int64)
    for (pixels, shows), w in zip(crops, weights, strict=True):
        total += np.where(shows[:, :, None], w * pixels, 0.0)
        count += shows
    return total / np.maximum(count, 1)[:, :, None], count


def deviation(crops: Sequence[Crop]) -> NDArray[np.float64]:
    """Sigma: root mean square over R, G, B of the population standard deviation over the crops that show the pixel."""
    count = np.zeros(crops[0][1].shape)
    total = np.zeros_like(crops[0][0])
    for pixels, shows in crops:
        count += shows
        total += np.where(shows[:, :, None], pixels, 0.0)
    mean = total / np.maximum(count, 1)[:, :, None]
    squares = np.zeros_like(total)
    for pixels, shows in crops:
        squares += np.where(shows[:, :, None], (pixels - mean) ** 2, 0.0)
    variance = squares / np.maximum(count, 1)[:, :, None]
    return np.sqrt(variance.mean(axis=2))


# Color selectivity --------------------------------------------------------------------------------------------------


def opponent(rgb: Sequence[float], space: str) -> tuple[float, float, float]:
    """One color, RGB in 0..1, in opponent space ``authors`` or ``orthonormal``."""
    r, g, b = (float(value) for value in rgb)
    if space == "authors":
        return (r + g + b - 1.5) / 1.5, r - g, (r + g - 2 * b) / 2
    return (r + g + b) / math.sqrt(3), (r - g) / math.sqrt(2), (r + g - 2 * b) / math.sqrt(6)


def weighted_pca(points: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """First component and trace of ``C = sum w^2 x x' / sum w^2`` (Delchambre 2014), points as they are."""
    covariance = np.zeros((3, 3))
    for x, w in zip(points, weights, strict=True):
        covariance += w**2 * np.outer(x, x)
    covariance /= sum(w**2 for w in weights)
    return np.linalg.eigh(covariance)[1][:, -1], float(np.trace(covariance))


def angle(points: NDArray[np.float64], weights: NDArray[np.float64], centered: bool) -> float:
    """Eq. 2 of a cloud in opponent space."""
    if centered:
        points = points - sum(w * x for x, w in zip(points, weights, strict=True)) / sum(weights)
    v, trace = weighted_pca(points, weights)
    if trace < 1e-12:
        return 0.0
    b = np.array([1.0, 0.0, 0.0])
    cosine = abs(float(b @ v)) / float(np.linalg.norm(v))
    return 2 / math.pi * math.acos(min(cosine, 1.0))


def color(
    feature: NDArray[np.float64],
    count: NDArray[np.integer],
    sigma: NDArray[np.float64],
    n: int,
    space: str = "authors",
) -> dict[str, float | None]:
    """Eq. 2 centered and uncentered, chroma and hue of a neuron feature."""
    points, weights = [], []
    for y in range(feature.shape[0]):
        for x in range(feature.shape[1]):
            if n == 1 and count[y, x] >= 1:
                points.append(opponent(feature[y, x], space))
                weights.append(1.0)
            elif n > 1 and count[y, x] >= max(2, n / 2):
                points.append(opponent(feature[y, x], space))
                weights.append(1 / (float(sigma[y, x]) + 1 / 255))
    if not points:
        return dict.fromkeys(("color_selectivity", "color_selectivity_uncentered", "chroma", "hue"))
    cloud, w = np.array(points), np.array(weights)
    mean = sum(wi * x for x, wi in zip(cloud, w, strict=True)) / w.sum()
    chroma = math.hypot(mean[1], mean[2])
    return {
        "color_selectivity": angle(cloud, w, centered=True),
        "color_selectivity_uncentered": angle(cloud, w, centered=False),
        "chroma": chroma,
        "hue": None if chroma < 1e-6 else math.degrees(math.atan2(mean[2], mean[1])),
    }


# Class selectivity --------------------------------------------------------------------------------------------------


def class_shares(weights: Sequence[float], labels: Sequence[str | None]) -> list[tuple[str, float]]:
    """Eq. 3: every class with its f_c, largest first, ties by label. Images without a label take no part."""
    sums: dict[str, Fraction] = {}
    for w, label in zip(weights, labels, strict=True):
        if label is not None:
            sums[label] = sums.get(label, Fraction(0)) + Fraction(w)
    total = sum(sums.values(), Fraction(0))
    return [(label, float(s / total)) for label, s in sorted(sums.items(), key=lambda item: (-item[1], item[0]))]


def chance(n: int, class_sizes: Sequence[int]) -> float | None:
    """Chance level of gamma for N = `n` images drawn from classes of these sizes, in whole numbers."""
    everything = sum(class_sizes)
    if n < 2:
        return None
    expected = sum(1 - Fraction(math.comb(everything - size, n), math.comb(everything, n)) for size in class_sizes)
    return float((n - expected) / (n - 1))


def classes(
    weights: Sequence[float], labels: Sequence[str | None], class_sizes: Sequence[int], threshold: float = 1.0
) -> dict[str, object]:
    """Eq. 3 and 4, population code, chance level and excess, from the N images in rank order."""
    n = sum(label is not None for label in labels)
    if n == 0:
        names = "class_selectivity class_chance class_excess n_classes population_code label label_share classes"
        return dict.fromkeys(names.split())
    shares = class_shares(weights, labels)
    m = 1
    while m < len(shares) and sum(f for _, f in shares[:m]) < threshold - 1e-9:
        m += 1
    gamma = None if n == 1 else (n - m) / (n - 1)
    level = chance(n, class_sizes) if threshold == 1 else None
    excess = None if gamma is None or level is None or level == 1 else (gamma - level) / (1 - level)
    return {
        "class_selectivity": gamma,
        "class_chance": level,
        "class_excess": excess,
        "n_classes": m,
        "population_code": sum(f >= 0.1 - 1e-9 for _, f in shares),
        "label": shares[0][0],
        "label_share": shares[0][1],
        "classes": [{"label": label, "share": f} for label, f in shares[:m]],
    }


# Structure ----------------------------------------------------------------------------------------------------------


def sharpness(crops: Sequence[Crop], weights: Sequence[float]) -> float | None:
    """Contrast of the mean of N >= 2 crops without their own means, against that of the crops, corrected for chance."""
    n, (height, width) = len(crops), crops[0][1].shape
    places = [(y, x) for y in range(height) for x in range(width)]
    pixels = [p for p in places if sum(bool(shows[p]) for _, shows in crops) >= max(2, n / 2)]
    if not pixels:
        return None
    means, variances = [], []
    for values, shows in crops:
        seen = np.array([values[p] for p in pixels if shows[p]]).reshape(-1, 3)
        means.append(seen.mean(axis=0) if len(seen) else np.zeros(3))
        variances.append(float(((seen - means[-1]) ** 2).mean()) if len(seen) else 0.0)
    of_feature = of_crops = chance = 0.0
    for p in pixels:
        showing = [j for j in range(n) if crops[j][1][p]]
        total = sum(weights[j] for j in showing)
        mean = sum(weights[j] * (crops[j][0][p] - means[j]) for j in showing) / total
        of_feature += float((mean**2).mean()) / len(pixels)
        of_crops += sum(weights[j] * variances[j] for j in showing) / total / len(pixels)
        chance += sum(weights[j] ** 2 * variances[j] for j in showing) / total**2 / len(pixels)
    if of_crops - chance < 1e-6:
        return None
    return math.sqrt(min(max((of_feature - chance) / (of_crops - chance), 0.0), 1.0))


def mean_correlation(crops: Sequence[Crop], weights: Sequence[float]) -> float:
    """Root of the mean covariance of two different crops over their mean variance, for crops that are all visible."""
    covariance = variance = 0.0
    for i, (first, _) in enumerate(crops):
        for j, (second, _) in enumerate(crops):
            if i != j:
                a, b = first - first.mean(axis=(0, 1)), second - second.mean(axis=(0, 1))
                covariance += weights[i] * weights[j] * float((a * b).mean())
                variance += weights[i] * weights[j] * float((a * a).mean() + (b * b).mean()) / 2
    return math.sqrt(min(max(covariance / variance, 0.0), 1.0))


# Hierarchies --------------------------------------------------------------------------------------------------------

Parents = Mapping[str, Sequence[str]]
"""Concept -> the concepts directly above it."""


def paths_up(concept: str, parents: Parents) -> list[list[str]]:
    """Every path from a concept to a root, both included."""
    if not parents[concept]:
        return [[concept]]
    return [[concept, *path] for parent in parents[concept] for path in paths_up(parent, parents)]


def concept_shares(shares: Mapping[str, float], parents: Parents) -> dict[str, float]:
    """Each f_c added once to c and to every concept above it. Classes outside of the hierarchy add to none."""
    rolled: dict[str, float] = {}
    for label, f in shares.items():
        if label in parents:
            for concept in {concept for path in paths_up(label, parents) for concept in path}:
                rolled[concept] = rolled.get(concept, 0.0) + f
    return rolled


def covering_concept(
    shares: Mapping[str, float], parents: Parents, least: float
) -> tuple[str, float] | tuple[None, None]:
    """The deepest concept that has enough of the activation, with its share; ties by share, then by name."""
    rolled = concept_shares(shares, parents)
    deep = {concept: max(map(len, paths_up(concept, parents))) for concept in rolled}
    enough = [concept for concept in rolled if rolled[concept] >= least - 1e-9]
    enough.sort(key=lambda concept: (-deep[concept], -round(rolled[concept], 9), concept))
    return (enough[0], rolled[enough[0]]) if enough else (None, None)


def at_cut(label: str, parents: Parents, cut: Collection[str]) -> str:
    """The concept of the cut to which a class goes, or the class itself."""
    if label not in parents:
        return label
    steps = [(path.index(concept), concept) for path in paths_up(label, parents) for concept in path if concept in cut]
    return min(steps)[1] if steps else label
