"""What changes from one checkpoint to the next: tables with a row per checkpoint and layer, and per checkpoint and
neuron."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.checkpoints.evolution.series import Series
from raysel.query.measures import rows_of_layers
from raysel.report.figures.layer_counts import layer_counts
from raysel.store import Index

_COPIED = (
    "layer",
    "channel",
    "dead",
    "n",
    "a_max",
    "color_selectivity",
    "hue",
    "color_name",
    "class_selectivity",
    "class_chance",
    "class_excess",
    "label",
    "sharpness",
)
"""Columns of the neurons table that the table of changes repeats, where an index has them."""


def layer_changes(series: Series) -> pa.Table:
    """A row per checkpoint and layer, and one for all layers: checkpoint, step, the columns of the report's table of
    layers, and the mean overlaps of `neuron_changes`."""
    overlaps = {"overlap_previous": _with_previous(series), "overlap_last": _with_last(series)}
    rows: list[dict[str, Any]] = []
    for place, member in enumerate(series.members):
        layers = rows_of_layers(member.index)
        for row in layer_counts(member.index).to_pylist():
            of_layer = layers.get(row["layer"], slice(None))
            means = {name: _mean(values[place][of_layer]) for name, values in overlaps.items()}
            rows.append({"checkpoint": member.name, "step": member.step, **row, **means})
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def neuron_changes(series: Series) -> pa.Table:
    """A row per checkpoint and neuron: checkpoint, step, the neuron's own columns, and two overlaps.

    ``overlap_previous``: of the images that build its feature, with those at the checkpoint before: the Jaccard index,
    |A and B| / |A or B|, in [0, 1]; null at the first checkpoint, and where the neuron is dead at one of the two.
    ``overlap_last``: the same with the last checkpoint.
    """
    previous, last = _with_previous(series), _with_last(series)
    tables = []
    for place, member in enumerate(series.members):
        neurons = member.index.neurons
        columns: dict[str, Any] = {
            "checkpoint": pa.repeat(member.name, len(neurons)),
            "step": pa.array([member.step] * len(neurons), pa.int64()),
        }
        for name in _COPIED:
            if name in neurons.column_names:
                values = neurons[name]
                text = pa.types.is_dictionary(values.type)
                columns[name] = values.cast(values.type.value_type) if text else values
        columns["overlap_previous"] = pa.array(previous[place], from_pandas=True)
        columns["overlap_last"] = pa.array(last[place], from_pandas=True)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables, promote_options="default")


@lru_cache(maxsize=1)
def _top_images(series: Series) -> list[NDArray[np.int64]]:
    """For each checkpoint the images that build the features: sorted numbers neuron * images + image."""
    return [_image_pairs(index) for index in series.indexes]


def _image_pairs(index: Index) -> NDArray[np.int64]:
    layers = list(index.layers)
    first = dict(zip(layers, (rows[0] for rows in rows_of_layers(index).values()), strict=True))
    n, images = index.neurons["n"].to_numpy(), index.manifest.counts.images
    found = [np.empty(0, np.int64)]
    for batch in index.table("rankings.parquet").batches(["layer", "channel", "rank", "image"]):
        names, codes = _coded(batch.column("layer"))
        neuron = np.array([first[name] for name in names], np.int64)[codes] + batch.column("channel").to_numpy()
        used = batch.column("rank").to_numpy() < n[neuron]
        found.append(neuron[used] * images + batch.column("image").to_numpy()[used])
    return np.sort(np.concatenate(found))


def _coded(layers: pa.Array) -> tuple[list[str], NDArray[np.intp]]:
    """(names, place of each row's name)."""
    coded = layers if pa.types.is_dictionary(layers.type) else layers.dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy()


@lru_cache(maxsize=1)
def _with_previous(series: Series) -> list[NDArray[np.float64]]:
    tops = _top_images(series)
    nothing = np.full(len(series.last.neurons), np.nan)
    return [nothing, *(_jaccard(series, *pair) for pair in pairwise(tops))]


@lru_cache(maxsize=1)
def _with_last(series: Series) -> list[NDArray[np.float64]]:
    tops = _top_images(series)
    return [_jaccard(series, top, tops[-1]) for top in tops]


def _jaccard(series: Series, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [neurons]; NaN where a neuron has no images at one of the two checkpoints."""
    neurons, images = len(series.last.neurons), series.last.manifest.counts.images
    of_a, of_b, common = (
        np.bincount(pairs // images, minlength=neurons) for pairs in (a, b, np.intersect1d(a, b, assume_unique=True))
    )
    alive = (of_a > 0) & (of_b > 0)
    return np.divide(common, of_a + of_b - common, out=np.full(neurons, np.nan), where=alive)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
