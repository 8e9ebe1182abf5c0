"""Two indexes of the same neurons: of two checkpoints, or with other settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.query.columns import is_number
from raysel.query.profiles.top_images import top_images
from raysel.store import Index

OVERLAP = "image_overlap"
_PLACE = ("channel", "layer_depth")
_TEXTS = ("color_name", "concept", "label")
_ANGLES = ("hue",)


def diff(a: Index, b: Index) -> pa.Table:
    """How the neurons that two indexes share differ.

    Returns:
        A row per neuron that both have, in the order of `a`: ``layer``, ``channel``, ``image_overlap``, and for each
        number that both measure ``<column>_a``, ``<column>_b`` and ``<column>_change``, which is b - a; for hue the
        angle from a to b, -180 to 180 degrees. For ``color_name``, ``concept`` and ``label`` both values.
        ``image_overlap``: share of the images that build the feature in both among those that do in either (Jaccard
        index), float64 in [0, 1]; null if the neuron is dead in both. Images are the same if their keys are.

    Raises:
        RayselError: they have no neuron in common.
    """
    rows_a, rows_b = _shared_rows(a, b)
    of_a, of_b = a.neurons.take(pa.array(rows_a)), b.neurons.take(pa.array(rows_b))
    columns: dict[str, pa.Array] = {
        "layer": of_a["layer"],
        "channel": of_a["channel"],
        OVERLAP: pa.array(image_overlaps(a, b, rows_a, rows_b), pa.float64(), from_pandas=True),
    }
    for field in a.neurons.schema:
        name = field.name
        if name not in b.neurons.column_names:
            continue
        if name in _TEXTS:
            columns |= {f"{name}_a": of_a[name], f"{name}_b": of_b[name]}
        elif is_number(field.type) and name not in _PLACE and not name.startswith("rf_"):
            change = pc.subtract(of_b[name].cast(pa.float64()), of_a[name].cast(pa.float64()))
            if name in _ANGLES:
                change = pa.array((change.to_numpy() + 180) % 360 - 180, pa.float64(), from_pandas=True)
            columns |= {f"{name}_a": of_a[name], f"{name}_b": of_b[name], f"{name}_change": change}
    return pa.table(columns)


def _shared_rows(a: Index, b: Index) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the neurons that both have, in the order of a."""
    rows_of_b = {address: row for row, address in enumerate(_addresses(b))}
    pairs = [(row, rows_of_b[address]) for row, address in enumerate(_addresses(a)) if address in rows_of_b]
    if not pairs:
        raise RayselError(
            f"no neuron is in both indexes: {a.folder.shown} has the layers {_few(a.layers)}, "
            f"{b.folder.shown} has {_few(b.layers)}"
        )
    both = np.array(pairs, np.int64)
    return both[:, 0], both[:, 1]


def _addresses(index: Index) -> Iterator[tuple[str, int]]:
    return zip(index.neurons["layer"].to_pylist(), index.neurons["channel"].to_pylist(), strict=True)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def image_overlaps(a: Index, b: Index, rows_a: NDArray[np.integer], rows_b: NDArray[np.integer]) -> NDArray[np.float64]:
    """How far neurons of two indexes are built from the same images.

    Args:
        a: an index.
        b: another one, or the same.
        rows_a: int [pairs], rows of neurons of `a`.
        rows_b: int [pairs], the row of `b` with which each is compared.

    Returns:
        float64 [pairs] in [0, 1]: Jaccard index of the images of each pair; NaN if neither has any.
    """
    from scipy import sparse

    of_a, of_b = top_images(a), top_images(b)
    _, columns = np.unique(np.concatenate([of_a.things, _ids_in(a, b, of_b.things)]), return_inverse=True)
    sets = []
    for profiles, rows, own in (
        (of_a, rows_a, columns[: len(of_a.things)]),
        (of_b, rows_b, columns[len(of_a.things) :]),
    ):
        chosen = profiles.by_neuron[rows]
        members = np.ones(chosen.nnz), own[chosen.indices], chosen.indptr
        sets.append(sparse.csr_array(members, shape=(len(rows), len(columns))))
    shared = np.asarray(sets[0].multiply(sets[1]).sum(axis=1))
    either = np.asarray(sets[0].sum(axis=1)) + np.asarray(sets[1].sum(axis=1)) - shared
    return np.where(either > 0, shared / np.maximum(either, 1), np.nan)


def _ids_in(a: Index, b: Index, ids_of_b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ids that images of b have in a, by their keys; negative numbers for those that a does not have."""
    if a.manifest.source.digest == b.manifest.source.digest:
        return ids_of_b
    in_a, in_b = (index.table("images.parquet").read(["image", "key"]) for index in (a, b))
    keys = in_b["key"].take(pc.index_in(pa.array(ids_of_b), value_set=in_b["image"].combine_chunks()))
    rows = pc.index_in(keys, value_set=in_a["key"].combine_chunks())
    ids = in_a["image"].take(rows).to_numpy()
    return np.where(np.isnan(ids), -1 - ids_of_b, ids).astype(np.int64)
