"""The input of a selectivity index, and what an index consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.config import DeriveConfig
from raysel.neurons import Crops, Tap

_LEVEL = 1 / 255
"""Smallest difference between two pixel values, added to sigma so that weights stay finite."""


@dataclass(frozen=True)
class Concepts:
    """The hierarchy above the classes: WordNet, or the run's own. Concepts are known by an id."""

    above: Sequence[Mapping[str, int]]
    """[K]: per class, each concept above it -> the fewest steps to it; its own concept is included, with 0 steps. Empty
    if the class is not in the hierarchy."""
    depths: Mapping[str, int]
    """Id of each concept above a class -> steps of the longest path from a root."""
    names: Mapping[str, str]
    """Id of each concept above a class -> its name."""
    cut: frozenset[str] | None
    """Ids of the concepts at which the hierarchy is cut; None without a cut."""


@dataclass(frozen=True)
class Evidence:
    """What is known about one neuron that is not dead. Its feature has h x w pixels, built from N images."""

    tap: Tap
    """Where the network is read: its layer, its depth, the size of its map, and the receptive field that crops show.
    The network itself is not loaded: indexes are computed from what an index keeps."""
    channel: int
    feature: NDArray[np.float64]
    """float64 [h, w, 3], RGB in 0..1: the neuron feature (Eq. 1)."""
    count: NDArray[np.integer]
    """int [h, w], 0..N: how many crops show each pixel."""
    sigma: NDArray[np.float64]
    """float64 [h, w], 0..0.5: standard deviation over the crops that show the pixel, in the feature's units."""
    crops: Crops
    """The N crops of the feature, in rank order: `Crops.pixels` [N, h, w, 3] and `Crops.visible` [N, h, w]."""
    ranking: NDArray[np.float64]
    """float64 [R], in rank order: relative activations w of the whole ranking, in (0, 1]. The first N are `weights`."""
    labels: NDArray[np.integer]
    """int [N], in rank order: each image's class, an index into `class_labels`; -1 for an image without a label."""
    class_labels: Sequence[str]
    """[K], sorted, so that the order of class numbers is the order of labels."""
    class_sizes: NDArray[np.int64]
    """int64 [K]: labeled images of each class in the whole source."""
    concepts: Concepts
    """What is above the classes."""
    derive: DeriveConfig
    """Options of the run."""

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.tap.layer

    @property
    def n(self) -> int:
        """N, the number of images that build the neuron feature and the indexes."""
        return len(self.crops)

    @property
    def weights(self) -> NDArray[np.float64]:
        """float64 [N], in rank order: relative activations w of the crops."""
        return self.ranking[: self.n]

    @cached_property
    def pixel_weights(self) -> NDArray[np.float64]:
        """float64 [h, w]: weight of each pixel of the feature (Eq. 2); 0 for a pixel that does not take part.

        Pixels that at least max(2, N/2) crops show take part with weight ``1 / (sigma + 1/255)``. If N = 1, all pixels
        of the crop take part with weight 1.
        """
        if self.n == 1:
            return (self.count > 0).astype(np.float64)
        return np.where(self.count >= max(2.0, self.n / 2), 1 / (self.sigma + _LEVEL), 0.0)


Value = float | int | str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
"""Value of a column for one neuron; None if the index is not defined for it."""


@dataclass(frozen=True)
class SelectivityIndex:
    """One measure of what a neuron is selective to: a name, columns, and a function that fills them."""

    name: str
    columns: tuple[pa.Field, ...]
    """Columns of the neurons table, each with a ``description`` in its metadata."""
    measure: Callable[[Evidence], Mapping[str, Value]]
    """Returns a value for each of `columns`, by name."""


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """A nullable column of the neurons table with its description."""
    return pa.field(name, kind, metadata={"description": description})
