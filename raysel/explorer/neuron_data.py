"""Everything about one neuron as JSON, in the form of ``raysel show --json``."""

from __future__ import annotations

from typing import Any

from raysel.store import Index, Neuron, plain_row, plain_rows


def neuron_data(index: Index, neuron: Neuron) -> dict[str, Any]:
    """Its row, its classes with their names, and the images that build its feature with their keys."""
    ranking = neuron.ranking.slice(0, neuron.row["n"])
    images = index.images_of(ranking["image"].to_pylist()) if len(ranking) else None
    keys = dict(zip(images["image"].to_pylist(), images["key"].to_pylist(), strict=True)) if images else {}
    return {
        **plain_row(neuron.row, index.neurons.schema),
        "classes": [entry._asdict() for entry in neuron.classes],
        "ranking": [{**row, "key": keys[row["image"]]} for row in plain_rows(ranking.drop_columns(["layer", "channel"]))],
    }
