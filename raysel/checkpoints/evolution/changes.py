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
from raysel.query.comparison import image_overlaps
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
def _with_previous(series: Series) -> list[NDArray[np.float64]]:
    nothing = np.full(len(series.last.neurons), np.nan)
    return [nothing, *(_overlaps(*pair) for pair in pairwise(series.indexes))]


@lru_cache(maxsize=1)
def _with_last(series: Series) -> list[NDArray[np.float64]]:
    return [_overlaps(index, series.last) for index in series.indexes]


def _overlaps(a: Index, b: Index) -> NDArray[np.float64]:
    """float64 [neurons]; NaN where a neuron is dead at one of the two checkpoints."""
    every = np.arange(len(a.neurons))
    alive = (a.neurons["n"].to_numpy() > 0) & (b.neurons["n"].to_numpy() > 0)
    return np.where(alive, image_overlaps(a, b, every, every), np.nan)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
