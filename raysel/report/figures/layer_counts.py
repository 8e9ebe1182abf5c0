"""How many neurons of each layer are selective: counts above thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.query.measures import CHANCE, CLASS, COLOR, EXCESS, has, rows_of_layers, values
from raysel.report.exhibit import Exhibit, Findings
from raysel.store import Index

THRESHOLDS = {COLOR: (0.4,), CLASS: (0.6, 0.8), EXCESS: (0.6, 0.8)}
"""Those of the paper, sections 4.2 and 4.3; class selectivity above chance is held to the same ones."""
_HEADS = {COLOR: "color", CLASS: "class", CHANCE: "chance", EXCESS: "excess"}


def layer_counts(index: Index) -> pa.Table:
    """A row per layer and one for all: neurons, dead, means, and counts above the thresholds, without null."""
    dead = index.neurons["dead"].to_numpy()
    measured = {measure: values(index, measure) for measure in _HEADS if has(index, measure)}
    layers = rows_of_layers(index)
    groups = {**layers, "all layers": np.arange(len(dead))}
    rows = [
        {
            "layer": layer,
            "receptive_field": _receptive_field(index, int(rows[0])) if layer in layers else None,
            "neurons": len(rows),
            "dead": int(np.count_nonzero(dead[rows])),
            **_counts({measure: column[rows] for measure, column in measured.items()}),
        }
        for layer, rows in groups.items()
    ]
    return pa.Table.from_pylist(rows)


def collect(index: Index) -> Findings:
    caption = (
        "Number of neurons above a threshold, and their share of the neurons that are not dead. color: Eq. 2; class: "
        "Eq. 4; chance: class selectivity of as many images drawn at random; excess: class selectivity above chance, "
        "(class - chance) / (1 - chance)."
    )
    return Findings(layer_counts(index), caption)


def _counts(measured: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure, column in measured.items():
        known = column[~np.isnan(column)]
        found[f"mean_{_HEADS[measure]}"] = float(known.mean()) if len(known) else None
        for threshold in THRESHOLDS.get(measure, ()):
            found[f"{_HEADS[measure]}_over_{threshold}"] = int(np.count_nonzero(known > threshold))
    return found


def _receptive_field(index: Index, row: int) -> str:
    neurons = index.neurons
    return f"{neurons['rf_height'][row]} x {neurons['rf_width'][row]}"


LAYER_COUNTS = Exhibit("table-layers", "Selective neurons, layer by layer", collect, None)
