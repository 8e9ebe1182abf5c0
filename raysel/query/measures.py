"""Columns of the neurons table as numbers, for figures: over all neurons, and layer by layer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.query.columns import column_values
from raysel.store import Index

COLOR, CLASS, CHANCE, EXCESS = "color_selectivity", "class_selectivity", "class_chance", "class_excess"


def has(index: Index, column: str) -> bool:
    """True if the index has the column, with a value for at least one neuron."""
    table = index.neurons
    return column in table.column_names and table[column].null_count < len(table)


def values(index: Index, column: str) -> NDArray[np.float64]:
    """float64 [neurons], in the order of the network: a column, or a part of one such as ``color_names.red``.

    NaN where the column is null or missing; true is 1.
    """
    return numbers(index.neurons, column)


def numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    """float64 [rows]: as `values`, of any table."""
    if column.partition(".")[0] not in table.column_names:
        return np.full(len(table), np.nan)
    found = column_values(table, column)
    if pa.types.is_boolean(found.type):
        found = found.cast(pa.int8())
    return found.cast(pa.float64()).to_numpy().astype(np.float64)


def rows_of_layers(index: Index) -> dict[str, NDArray[np.intp]]:
    """Layer -> its rows in the neurons table, in the order of the network."""
    layers = index.neurons["layer"].cast(pa.string()).combine_chunks().dictionary_encode()
    codes = layers.indices.to_numpy()
    return {name: np.flatnonzero(codes == code) for code, name in enumerate(layers.dictionary.to_pylist())}
