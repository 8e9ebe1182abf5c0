"""An index as one table with pictures, neighbors and places on a plane, for tools that show embeddings.

The forms are those that embedding-atlas and the Hugging Face tools read: a picture is a struct of ``bytes`` and
``path``, neighbors are a struct of ``ids`` (rows of the table, from 0) and ``distances``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.query.columns import NAME, NEURON, selected
from raysel.query.profiles.principal_axes import principal_coordinates
from raysel.query.profiles.similarity import By, profiles_of, similarities
from raysel.store import Index, decode_picture

NEIGHBORS = 15
"""Neighbors of each neuron, itself apart: as many for all, as the tools expect."""

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_NEIGHBORS = pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float64()))])
_ROWS_PER_GROUP = 1_000


def write_atlas(
    index: Index, out: str | os.PathLike[str], by: By = "images", advance: Callable[[int], object] = lambda _: None
) -> int:
    """Write a Parquet file with a row per neuron that is not dead, in the order of the network; returns their number.

    Columns: ``neuron`` (its address), ``image`` (the neuron feature as PNG), ``name`` of the label, the numbers and
    texts of the neurons table, ``projection_x`` and ``projection_y`` (principal axes of what is compared), and
    ``neighbors``: the neuron itself and those most similar to it, with distance = 1 - similarity.

    Args:
        index: an open index.
        out: path of the file.
        by: what is compared, as of `similarities`.
        advance: called with the number of neurons whose neighbors were found.

    Raises:
        RayselError: the file cannot be written, or `by` needs what the index does not have.
    """
    alive = np.flatnonzero(~index.neurons["dead"].to_numpy())
    table = _plain_columns(index, alive)
    place = principal_coordinates(profiles_of(index, by)[alive])
    for number, name in enumerate(("projection_x", "projection_y")):
        table = table.append_column(name, pa.array(place[:, number]))
    table = table.append_column("neighbors", _neighbors(index, alive, by, advance))
    table = table.add_column(1, pa.field("image", _IMAGE), _images(index, table))
    try:
        pq.write_table(table, out, compression="zstd", row_group_size=_ROWS_PER_GROUP)
    except OSError as error:
        raise RayselError(f"cannot write {os.fspath(out)}: {error.strerror or error}") from None
    return len(table)


def _plain_columns(index: Index, rows: NDArray[np.int64]) -> pa.Table:
    """Address, name and the columns of one number or text, without those that are all null."""
    neurons = index.neurons.take(pa.array(rows)).drop_columns(["dead"])
    plain = [field.name for field in neurons.schema if not pa.types.is_nested(field.type)]
    names = [name for name in plain if neurons[name].null_count < len(neurons)]
    if index.class_names:
        names.insert(0, NAME)
    table = selected(index, neurons, [NEURON, *names])
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(position, field.name, table[field.name].cast(field.type.value_type))
    return table


def _images(index: Index, table: pa.Table) -> pa.Array:
    """The neuron features of the table's neurons, which are in the order of the network."""
    pictures: dict[tuple[str, int], bytes] = {}
    for layer in table["layer"].unique().to_pylist():
        for batch in index.feature_batches(layer, ["channel", "picture"]):
            pictures |= {(layer, row["channel"]): _png(row["picture"]) for row in batch.to_pylist()}
    addresses = list(zip(table["layer"].to_pylist(), table["channel"].to_pylist(), strict=True))
    contents = pa.array([pictures[address] for address in addresses], pa.binary())
    paths = pa.array([f"{layer}-{channel}.png" for layer, channel in addresses])
    return pa.StructArray.from_arrays([contents, paths], fields=list(_IMAGE))


def _png(picture: bytes) -> bytes:
    """A stored neuron feature as PNG, which every tool reads."""
    file = io.BytesIO()
    decode_picture(picture).save(file, "PNG")
    return file.getvalue()


def _neighbors(index: Index, rows: NDArray[np.int64], by: By, advance: Callable[[int], object]) -> pa.Array:
    """Each neuron and the most similar ones, as rows of the table, with their distances."""
    count = min(NEIGHBORS, len(rows) - 1)
    found = []
    for number, row in enumerate(rows.tolist()):
        distances = 1.0 - similarities(index, row, by)[rows]
        distances[number] = -1.0  # the first is itself, also among others that are equal
        nearest = np.argpartition(distances, count)[: count + 1] if count < len(rows) - 1 else np.arange(len(rows))
        nearest = nearest[np.lexsort((nearest, distances[nearest]))]
        found.append({"ids": nearest.tolist(), "distances": np.maximum(distances[nearest], 0.0).tolist()})
        advance(1)
    return pa.array(found, _NEIGHBORS)
