"""Profiles of neurons: a few weights per neuron, over its images or its classes, and how much two of them overlap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True)
class Profiles:
    """Weights [neurons, things], not negative and mostly zero."""

    by_neuron: sparse.csr_array
    things: NDArray[np.int64]
    """Id of the thing of each column, ascending."""

    @classmethod
    def of(cls, rows: NDArray[np.integer], things: NDArray[np.integer], weights: ArrayLike, neurons: int) -> Profiles:
        """From the weights that are not zero: the row of the neuron and the id of the thing that each belongs to."""
        from scipy import sparse  # takes a while to load, and finding neurons does not need it

        known, columns = np.unique(things, return_inverse=True)
        return cls(sparse.csr_array((weights, (rows, columns)), shape=(neurons, len(known))), known)

    @cached_property
    def by_thing(self) -> sparse.csc_array:
        """The same weights, thing by thing."""
        return self.by_neuron.tocsc()

    @cached_property
    def totals(self) -> NDArray[np.float64]:
        """float64[neurons]: sum of each neuron's weights."""
        return np.asarray(self.by_neuron.sum(axis=1, dtype=np.float64))

    def shared(self, row: int) -> NDArray[np.float64]:
        """float64[neurons]: what one neuron shares with each: the sum over things of the smaller of both weights."""
        own = slice(*self.by_neuron.indptr[row : row + 2])
        others = self.by_thing[:, self.by_neuron.indices[own]]
        smaller = np.minimum(others.data, np.repeat(self.by_neuron.data[own], np.diff(others.indptr)))
        return np.bincount(others.indices, smaller, minlength=others.shape[0]).astype(np.float64)
