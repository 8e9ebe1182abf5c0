"""Which neurons a figure shows as examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysel.query.measures import rows_of_layers
from raysel.store import Index

MIN_IMAGES = 20
"""An index of fewer images is extreme by accident: such neurons are examples only where there are no others."""


def examples(index: Index) -> NDArray[np.bool_]:
    """bool [neurons]: those with at least 20 images; if there are none, all that are not dead."""
    n = index.neurons["n"].to_numpy()
    return n >= MIN_IMAGES if (n >= MIN_IMAGES).any() else n > 0


def example_layers(index: Index, most: int) -> dict[str, NDArray[np.intp]]:
    """Layer -> its rows that are `examples`, for at most `most` layers that have any, evenly spaced by depth."""
    allowed = examples(index)
    found = {layer: rows[allowed[rows]] for layer, rows in rows_of_layers(index).items()}
    layers = [layer for layer, rows in found.items() if len(rows)]
    places = np.unique(np.linspace(0, len(layers) - 1, min(most, len(layers))).round().astype(int))
    return {layers[place]: found[layers[place]] for place in places}


def neuron_of(index: Index, row: int) -> tuple[str, int]:
    """(layer, channel) of a row of the neurons table."""
    return index.neurons["layer"][row].as_py(), index.neurons["channel"][row].as_py()


def size_of(index: Index, row: int) -> str:
    """Receptive field of a row of the neurons table, such as ``35 x 35 px``."""
    return f"{index.neurons['rf_height'][row]} x {index.neurons['rf_width'][row]} px"
