"""Which neurons are like one neuron: by their images, their classes or their features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.query.kept import kept
from raysel.query.profiles.class_shares import class_shares
from raysel.query.profiles.reduced_features import reduced_features
from raysel.query.profiles.sparse_profiles import Profiles
from raysel.query.profiles.top_images import top_images
from raysel.query.selection import in_layers, layers_matching, window
from raysel.store import Index

if TYPE_CHECKING:
    from scipy import sparse

By = Literal["images", "classes", "feature"]
SIMILARITY = "similarity"


def similar(
    index: Index, layer: str, channel: int, by: By = "images", limit: int | None = 20, within: str | None = None
) -> pa.Table:
    """The neurons that are most similar to one neuron, most similar first; none with which it has nothing in common.

    Args:
        index: an open index. What is read of it for one answer is kept for the next.
        layer: layer of the neuron.
        channel: its channel.
        by: see `similarities`.
        limit: most neurons, at least 1.
        within: glob over layer names: only neurons of these layers.

    Returns:
        Their rows of the neurons table, and a column ``similarity``, float64 in (0, 1]. Ties are in the order of the
        network.

    Raises:
        RayselError: there is no such neuron or layer, the neuron is dead, or `by` needs what the index does not have.
    """
    row = index.row_of(layer, channel)
    if index.neurons["dead"][row].as_py():
        raise RayselError(f"{layer}:{channel} is dead: no image activates it, so nothing is similar to it")
    values = similarities(index, row, by)
    values[row] = 0.0
    if within is not None:
        values[~in_layers(index.neurons, layers_matching(index.layers, within))] = 0.0
    rows = window(np.argsort(-values, kind="stable")[: np.count_nonzero(values)], limit)
    column = pa.field(SIMILARITY, pa.float64(), nullable=False)
    return index.neurons.take(rows).append_column(column, pa.array(values[rows]))


def similarities(index: Index, row: int, by: By) -> NDArray[np.float64]:
    """Similarity of each neuron to the one in a row of the neurons table: float64[neurons] in [0, 1].

    - ``images``: ``sum_j min(w_j, w'_j) / sum_j max(w_j, w'_j)`` over all images j, with w the relative activations of
      a neuron's N images and 0 for others: the weighted Jaccard index.
    - ``classes``: ``sum_c min(f_c, f'_c)`` over all classes c, with the shares f of Eq. 3.
    - ``feature``: correlation of both neuron features, reduced to 8 x 8 cells, over the cells and R, G, B; 0 if it is
      negative.
    """
    if by == "images":
        profiles = top_images(index)
        shared = profiles.shared(row)
        return np.minimum(shared / np.maximum(profiles.totals + profiles.totals[row] - shared, 1e-300), 1.0)
    if by == "classes":
        return np.minimum(_class_profiles(index).shared(row), 1.0)
    if by == "feature":
        reduced = reduced_features(index)
        return np.clip((reduced @ reduced[row]).astype(np.float64), 0.0, 1.0)
    raise _unknown(by)


def profiles_of(index: Index, by: By) -> sparse.csr_array | NDArray[np.float32]:
    """What is compared, a row per neuron: of all images, of all classes, or of all cells of the reduced features."""
    if by == "images":
        return top_images(index).by_neuron
    if by == "classes":
        return _class_profiles(index).by_neuron
    if by == "feature":
        return reduced_features(index)
    raise _unknown(by)


def _unknown(by: str) -> RayselError:
    return RayselError(f"neurons cannot be compared by {by!r}: write {', '.join(get_args(By))}")


@kept
def _class_profiles(index: Index) -> Profiles:
    if not len(index.classes):
        raise RayselError("the images of this index have no labels: compare by images or by feature")
    shares = class_shares(index)
    known = shares.classes >= 0
    return Profiles.of(shares.rows[known], shares.classes[known], shares.shares[known], shares.neurons)
