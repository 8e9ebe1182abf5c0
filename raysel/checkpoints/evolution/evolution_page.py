"""The page of an evolution, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysel.checkpoints.evolution.changes import layer_changes, neuron_changes
from raysel.checkpoints.evolution.feature_strips import strips
from raysel.checkpoints.evolution.series import Series
from raysel.checkpoints.evolution.share_lines import ALL, OVERLAPS, SHARES
from raysel.errors import RayselError
from raysel.report.background import chance_note
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.page import Page, write_page

NEURONS, SUMMARY = "neurons.parquet", "evolution.json"


def write_evolution(series: Series, out: Path, neurons: tuple[tuple[str, int], ...] = ()) -> list[str]:
    """Write ``index.html``, its figures, ``neurons.parquet`` and ``evolution.json`` into the folder `out`.

    Args:
        series: the indexes.
        out: new, empty, or with an earlier evolution, which is replaced.
        neurons: (layer, channel) of the neurons whose features are shown; by default those whose selectivity has grown
            most.

    Returns:
        names of the files below `out`, the page first.

    Raises:
        RayselError: there is no such neuron, or `out` has other content or cannot be written.
    """
    for address in neurons:
        series.last.neuron(*address)
    exhibits: tuple[Exhibit[Series, Any], ...] = (SHARES, strips(neurons), OVERLAPS, _TABLE)
    title = f"How {series.last.manifest.network.name} becomes selective"
    page = Page("evolution", series, exhibits, title, _facts(series), chance_note(series.last), series.last.layers)
    files = write_page(page, out)
    try:
        pq.write_table(neuron_changes(series), out / NEURONS)
        (out / SUMMARY).write_text(json.dumps(summary(series), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise RayselError(f"cannot write {error.filename or out}: {error.strerror or error}") from None
    return [*files, NEURONS, SUMMARY]


def summary(series: Series) -> dict[str, Any]:
    """The indexes in their order, and the rows of `layer_changes`, as JSON."""
    indexes = [
        {"checkpoint": each.name, "step": each.step, "index": each.index.folder.shown} for each in series.members
    ]
    return {"indexes": indexes, "layers": layer_changes(series).to_pylist()}


def _facts(series: Series) -> list[tuple[str, str]]:
    last = series.last
    counts = last.manifest.counts
    return [
        ("Checkpoints", f"{len(series.members)}, from {series.axis} {series.labels[0]} to {series.labels[-1]}"),
        ("Images", f"{last.manifest.source.uri}: {counts.images:,} images, {counts.classes:,} classes"),
        ("Neurons", f"{counts.neurons:,} in {len(last.layers)} layers, {counts.dead:,} of them dead at the last"),
    ]


def _all_layers(series: Series) -> Findings:
    table = layer_changes(series)
    rows = table.filter(pc.equal(table["layer"], ALL)).drop_columns(["layer", "receptive_field"])
    caption = (
        "All layers together: neurons above a threshold, and their share of the neurons that are not dead. overlap: "
        "mean Jaccard index of top images. The CSV of the first figure has a row per layer."
    )
    if series.axis == "step":
        rows = rows.drop_columns(["checkpoint"])
    return Findings(pa.table(rows), caption)


_TABLE: Exhibit[Series, Findings] = Exhibit("table-evolution", "Checkpoint by checkpoint", _all_layers, None)
