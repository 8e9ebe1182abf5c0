"""Columns of the neurons table as numbers, layer by layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysel.interventions import INTERVENTIONS
from raysel.report.exhibit import NotShownError
from raysel.store import Index

COLOR, CLASS, CHANCE, EXCESS = "color_selectivity", "class_selectivity", "class_chance", "class_excess"


def has(index: Index, column: str) -> bool:
    """True if the index has the column, with a value for at least one neuron."""
    table = index.neurons
    return column in table.column_names and table[column].null_count < len(table)


def require(index: Index, column: str) -> None:
    """Raise `NotShownError` with the reason if there is no value in a column."""
    if has(index, column):
        return
    if column.startswith("class_") and not index.manifest.counts.classes:
        raise NotShownError("The images have no labels, so nothing is known about classes.")
    if not has(index, "a_max"):
        raise NotShownError("No image activates any neuron.")
    if column == CLASS and column in index.neurons.column_names:
        raise NotShownError("No neuron has two labeled images, which class selectivity needs.")
    if name := {each.index: each.name for each in INTERVENTIONS.values()}.get(column):
        raise NotShownError(f"No intervention {name} was made: raysel derive INDEX --interventions {name} adds it.")
    raise NotShownError(f"This index has no values in the column {column}.")


def values(index: Index, column: str) -> NDArray[np.float64]:
    """float64 [neurons], in the order of the network; NaN where the column is null or missing."""
    if column not in index.neurons.column_names:
        return np.full(len(index.neurons), np.nan)
    return index.neurons[column].cast("float64").to_numpy().astype(np.float64)


def rows_of_layers(index: Index) -> dict[str, NDArray[np.intp]]:
    """Layer -> its rows in the neurons table, in the order of the network."""
    names = np.array(index.neurons["layer"].cast("string").to_pylist(), dtype=object)
    return {layer: np.flatnonzero(names == layer) for layer in index.layers}
