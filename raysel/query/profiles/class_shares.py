"""The share that each class has in the activation of each neuron, of all neurons at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.query.kept import kept
from raysel.store import Index


@dataclass(frozen=True)
class ClassShares:
    """The entries of the column ``classes`` of the neurons table: shares f of Eq. 3, which sum to at most 1."""

    rows: NDArray[np.int32]
    """Row of the neuron, ascending."""
    classes: NDArray[np.int32]
    """Row of the class in the classes table; -1 if it is not there."""
    shares: NDArray[np.float64]
    neurons: int

    def of(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """float64[neurons] in [0, 1]: what the chosen classes have together. `chosen`: bool, a value per class."""
        part = np.append(chosen, False)[self.classes]
        together = np.bincount(self.rows[part], self.shares[part], minlength=self.neurons)
        return np.minimum(together, 1.0)


@kept
def class_shares(index: Index) -> ClassShares:
    """The class shares of an index, computed once."""
    column = index.neurons["classes"].combine_chunks()
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int32)
    entries = column.flatten()
    labels = index.classes["label"].combine_chunks()
    classes = pc.fill_null(pc.index_in(entries.field("label"), value_set=labels), -1)
    return ClassShares(
        rows,
        classes.to_numpy(zero_copy_only=False).astype(np.int32),
        entries.field("share").cast(pa.float64()).to_numpy(zero_copy_only=False),
        len(index.neurons),
    )
