"""The tables of an index from a finished run, and last of all its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
import pyarrow as pa

from raysel.errors import RayselError
from raysel.images import ImagesList
from raysel.neurons import Rankings, Tap, first_neurons
from raysel.pipeline.context import Run
from raysel.pipeline.derive.chunk import Labels
from raysel.pipeline.derive.stage import Derived
from raysel.pipeline.record import build_manifest
from raysel.pipeline.scan.state import RunningState
from raysel.store import (
    QUARANTINE,
    Index,
    Manifest,
    publish,
    published_manifest,
    remove_progress,
    remove_unreferenced,
)

_NEURONS_AT_ONCE = 256


def publish_index(run: Run, state: RunningState, derived: Derived) -> Manifest:
    """Write all tables but features and sheets, which derive has written, and then the manifest that names them.

    The progress of this run is removed once the index is published.
    """
    record, tables, images = build_manifest(run, state, derived), run.tables, run.images
    class_sizes = Labels.of(images, state.covered, run.concepts).sizes
    files = [
        tables.neurons(derived.neurons),
        tables.rankings(ranking_tables(derived.taps, state.rankings(), images)),
        tables.images([images.images.rename_columns({"id": "image"})]),
        tables.shards(images.shards.append_column("shard", pa.array(range(len(images.shards)), pa.int32()))),
        tables.classes(run.classes.append_column("images", pa.array(class_sizes))),
        tables.quarantine(quarantined(images, state.quarantine)),
    ]
    manifest = publish(run.lock, record.model_copy(update={"files": record.files + files}))
    with suppress(RayselError):  # if the lock was lost, what remains belongs to the run that took over
        run.lock.confirm()
        remove_progress(run.folder, manifest.scan_fingerprint, manifest.index_fingerprint)
        remove_unreferenced(run.folder)
    return manifest


def published_state(run: Run) -> RunningState | None:
    """The final state of the scan of the index that the run replaces; None if there is none, or of another scan."""
    folder, taps = run.folder, run.network.taps
    manifest = published_manifest(folder)
    if manifest is None or manifest.scan_fingerprint != run.fingerprints.scan:
        return None
    index = Index(folder, manifest)
    rows = index.rankings(["layer", "channel", "rank", "image", "activation", "row", "column"])
    first = dict(zip((tap.layer for tap in taps), first_neurons(taps), strict=False))
    columns = {tap.layer: tap.map_size[1] for tap in taps}
    layers = rows["layer"].combine_chunks()
    names, of_row = layers.dictionary.to_pylist(), layers.indices.to_numpy()
    neuron = np.array([first[name] for name in names])[of_row] + rows["channel"].to_numpy()
    position = rows["row"].to_numpy() * np.array([columns[name] for name in names])[of_row] + rows["column"].to_numpy()
    rankings = Rankings.from_entries(
        first_neurons(taps)[-1],
        run.config.scan.rank_depth,
        neuron,
        rows["rank"].to_numpy(),
        rows["activation"].to_numpy(),
        rows["image"].to_numpy(),
        position,
    )
    faults = {row["image"]: row["reason"] for row in index.quarantine.to_pylist() if row["image"] is not None}
    covered = np.ones(len(run.images.images), bool)
    covered[list(faults)] = False
    return RunningState(rankings, covered, faults)


def ranking_tables(taps: Sequence[Tap], rankings: Rankings, images: ImagesList) -> Iterator[pa.Table]:
    """Rows of the rankings table in order, for some neurons of one layer at a time."""
    for tap, first in zip(taps, first_neurons(taps), strict=False):
        for channel in range(0, tap.channels, _NEURONS_AT_ONCE):
            last = min(channel + _NEURONS_AT_ONCE, tap.channels)
            yield _ranking_table(tap, channel, rankings[first + channel : first + last], images)


def _ranking_table(tap: Tap, first_channel: int, rankings: Rankings, images: ImagesList) -> pa.Table:
    ids = rankings.ids
    neuron, rank = np.nonzero(ids >= 0)
    image, positions = ids[neuron, rank], rankings.positions[neuron, rank]
    field = tap.receptive_field
    y0, x0, y1, x1 = field.boxes(positions, tap.map_size[1]).T
    row, column = np.divmod(positions, tap.map_size[1])
    return pa.table(
        {
            "layer": pa.repeat(tap.layer, len(image)).dictionary_encode(),
            "channel": neuron + first_channel,
            "rank": rank,
            "image": image,
            "activation": rankings.activations[neuron, rank],
            "w": rankings.relative_activations[neuron, rank],
            "row": row,
            "column": column,
            "x0": x0,
            "y0": y0,
            "x1": x1,
            "y1": y1,
            "label": images.images["label"].take(image).combine_chunks().dictionary_encode(),
        }
    )


def quarantined(images: ImagesList, faults: dict[int, str]) -> pa.Table:
    """Rows of the quarantine table: images that could not be used, and what never became an image of the list."""
    ids = sorted(faults)
    rows = images.images.take(pa.array(ids, pa.int64()))
    shards = images.shards["name"].take(rows["shard"])
    unused = pa.table([ids, rows["key"], shards, [faults[each] for each in ids]], schema=QUARANTINE)
    nowhere = pa.nulls(len(images.faults), pa.int64())
    unlisted = pa.table([nowhere, *(images.faults[name] for name in ("key", "shard", "reason"))], schema=QUARANTINE)
    return pa.concat_tables([unused, unlisted])
