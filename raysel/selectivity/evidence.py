"""The input of a selectivity index, and what an index consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.config import DeriveConfig


@dataclass(frozen=True)
class Evidence:
    """What is known about one neuron that is not dead. Its feature has h x w pixels, built from N images."""

    feature: NDArray[np.float64]
    """float64 [h, w, 3], RGB in 0..1: the neuron feature (Eq. 1)."""
    count: NDArray[np.integer]
    """int [h, w], 0..N: how many crops show each pixel."""
    sigma: NDArray[np.float64]
    """float64 [h, w], 0..0.5: standard deviation over the crops that show the pixel, in the feature's units."""
    weights: NDArray[np.float64]
    """float64 [N], in rank order: relative activations w, in (0, 1]."""
    labels: NDArray[np.integer]
    """int [N], in rank order: each image's class, an index into `class_labels`; -1 for an image without a label."""
    class_labels: Sequence[str]
    """[K], sorted, so that the order of class numbers is the order of labels."""
    class_sizes: NDArray[np.int64]
    """int64 [K]: labeled images of each class in the whole source."""
    derive: DeriveConfig
    """Options of the run."""

    @property
    def n(self) -> int:
        """N, the number of images that build the neuron feature and the indexes."""
        return len(self.weights)


Value = float | int | str | Sequence[Mapping[str, Any]] | None
"""Value of a column for one neuron; None if the index is not defined for it."""


@dataclass(frozen=True)
class SelectivityIndex:
    """One measure of what a neuron is selective to. A module of this package defines it as ``INDEX``."""

    name: str
    columns: tuple[pa.Field, ...]
    """Columns of the neurons table, each with a ``description`` in its metadata."""
    measure: Callable[[Evidence], Mapping[str, Value]]
    """Returns a value for each of `columns`, by name."""


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """A nullable column of the neurons table with its description."""
    return pa.field(name, kind, metadata={"description": description})
