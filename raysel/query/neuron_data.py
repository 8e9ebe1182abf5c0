"""Everything about one neuron as JSON, in the form of ``raysel show --json``."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from raysel.store import Index, Neuron, plain_row, plain_rows


def neuron_data(index: Index, neuron: Neuron, every_key: pa.ChunkedArray | None = None) -> dict[str, Any]:
    """Its row, its classes with their names, and the images that build its feature with their keys.

    Args:
        index: the neuron's index.
        neuron: one of its neurons.
        every_key: the keys of all images by id, if they are at hand; else those of the neuron are read.
    """
    ranking = neuron.ranking.slice(0, neuron.row["n"])
    ids = ranking["image"].to_pylist()
    if every_key is not None:
        keys = dict(zip(ids, every_key.take(ranking["image"]).to_pylist(), strict=True))
    else:
        images = index.images_of(ids) if ids else None
        keys = dict(zip(images["image"].to_pylist(), images["key"].to_pylist(), strict=True)) if images else {}
    return {
        **plain_row(neuron.row, index.neurons.schema),
        "classes": [entry._asdict() for entry in neuron.classes],
        "ranking": [
            {**row, "key": keys[row["image"]]} for row in plain_rows(ranking.drop_columns(["layer", "channel"]))
        ],
    }
