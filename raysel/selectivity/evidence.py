"""What an index of selectivity is measured from, and what such an index is."""

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
    """All that is known of one living neuron. h x w are the pixels of its feature, N the images that built it."""

    feature: NDArray[np.float64]
    """float64 [h, w, 3], RGB in 0..1: the neuron feature (Eq. 1)."""
    count: NDArray[np.integer]
    """int [h, w]: how many crops show the pixel, 0..N."""
    sigma: NDArray[np.float64]
    """float64 [h, w], 0..0.5: deviation between the crops that show the pixel, in the feature's units."""
    weights: NDArray[np.float64]
    """float64 [N], in rank order: relative activations w, in (0, 1]."""
    labels: NDArray[np.integer]
    """int [N], in rank order: each image's class, a number into `class_labels`; -1 for an image without a label."""
    class_labels: Sequence[str]
    """[K], sorted, so that the order of numbers is the order of labels."""
    class_sizes: NDArray[np.int64]
    """int64 [K]: labelled images of each class in the whole source."""
    derive: DeriveConfig
    """The options of the run."""

    @property
    def n(self) -> int:
        """N, the number of images that build the neuron feature and the indexes."""
        return len(self.weights)


Value = float | int | str | Sequence[Mapping[str, Any]] | None
"""What a column holds for one neuron; None where the index says nothing."""


@dataclass(frozen=True)
class SelectivityIndex:
    """One way to tell what a neuron is selective to. A module of this package that holds one as ``INDEX`` is found."""

    name: str
    columns: tuple[pa.Field, ...]
    """What it adds to a neuron's row; each with a ``description`` in its metadata."""
    measure: Callable[[Evidence], Mapping[str, Value]]
    """One value for each of `columns`, by name."""


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """A nullable column with its description, as it stands in the index and in its table of columns."""
    return pa.field(name, kind, metadata={"description": description})
