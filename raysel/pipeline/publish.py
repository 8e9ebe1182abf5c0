"""From the final state of a scan to a published index: derive, the tables, and last of all the manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.images import ImagesList
from raysel.neurons import Rankings, Tap, first_neurons
from raysel.pipeline.context import Run
from raysel.pipeline.derive.chunk import Labels
from raysel.pipeline.derive.crop_fields import with_crop_fields
from raysel.pipeline.derive.stage import Derived, derive
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.interventions.rerun import with_interventions
from raysel.pipeline.progress import Reporter
from raysel.pipeline.record import build_manifest, differences
from raysel.pipeline.scan.state import RunningState
from raysel.store import (
    LOCK_NAME,
    MANIFEST_NAME,
    QUARANTINE,
    RUNS_PREFIX,
    Index,
    Manifest,
    RunLock,
    locked,
    publish,
    published_manifest,
    read_manifest,
    remove_progress,
    remove_unreferenced,
)

_NEURONS_AT_ONCE = 256


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    index: str
    """Path or URI of the index, without secrets."""
    manifest: Manifest
    computed: bool
    """False if this very index had been published before."""


def writable_folder(out: str) -> Folder:
    """The folder of the index. A local one is not made yet.

    Raises:
        RayselError: it cannot be made or written to.
    """
    if not out:
        raise RayselError("no folder for the index: give --out")
    folder = Folder.at(out)
    if not folder.local:
        return folder.require_writable()
    existing = Path(folder.path)
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise RayselError(f"cannot write an index to {folder.shown}: {existing} is not a folder; give another --out")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RayselError(f"cannot write an index to {folder.shown}: no permission in {existing}; give another --out")
    return folder


def publish_once(
    folder: Folder,
    config: RunConfig,
    fingerprints: Fingerprints,
    reporter: Reporter,
    compute: Callable[[RunLock], Manifest],
) -> Outcome:
    """The index asked for: as it is published already, or as `compute` publishes it under the lock.

    Raises:
        RayselError: the folder holds another index and ``--replace`` was not given, or another run is alive.
    """
    published = _published(folder, config, fingerprints)
    if published is None:
        with locked(folder, reporter.say, doing=reporter.doing) as lock:
            published = _published(folder, config, fingerprints)  # by the run that held the lock meanwhile
            if published is None:
                return Outcome(folder.shown, compute(lock), computed=True)
    _remove_left(folder, fingerprints, reporter)
    return Outcome(folder.shown, published, computed=False)


def derive_and_publish(run: Run, state: RunningState) -> Manifest:
    """Derive from the final state of a scan, and publish the index."""
    run.lock.confirm()
    derived = derive(run, state, with_crop_fields(run, state))
    neurons = with_interventions(run, state, derived.taps, derived.neurons)
    derived = replace(derived, neurons=neurons)
    run.lock.confirm()
    with run.reporter.stage("publish", "files"):
        return publish_index(run, state, derived)


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
    manifest = published_manifest(run.folder)
    if manifest is None or manifest.scan_fingerprint != run.fingerprints.scan:
        return None
    return state_of(Index(run.folder, manifest), run.network.taps, run.config.scan.rank_depth)


def state_of(index: Index, taps: Sequence[Tap], depth: int) -> RunningState:
    """The final state of the scan of an index, whose rankings keep `depth` entries."""
    rows = index.rankings(["layer", "channel", "rank", "image", "activation", "row", "column"])
    first = dict(zip((tap.layer for tap in taps), first_neurons(taps), strict=False))
    columns = {tap.layer: tap.map_size[1] for tap in taps}
    layers = rows["layer"].combine_chunks()
    names, of_row = layers.dictionary.to_pylist(), layers.indices.to_numpy()
    neuron = np.array([first[name] for name in names])[of_row] + rows["channel"].to_numpy()
    position = rows["row"].to_numpy() * np.array([columns[name] for name in names])[of_row] + rows["column"].to_numpy()
    rankings = Rankings.from_entries(
        first_neurons(taps)[-1],
        depth,
        neuron,
        rows["rank"].to_numpy(),
        rows["activation"].to_numpy(),
        rows["image"].to_numpy(),
        position,
    )
    faults = {row["image"]: row["reason"] for row in index.quarantine.to_pylist() if row["image"] is not None}
    covered = np.ones(index.manifest.counts.images, bool)
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


def _published(folder: Folder, config: RunConfig, fingerprints: Fingerprints) -> Manifest | None:
    """The index in the folder, if it is the one asked for.

    Raises:
        RayselError: it is another one, and ``--replace`` was not given.
    """
    if not folder.exists(MANIFEST_NAME):
        return None
    manifest = published_manifest(folder) if config.replace else read_manifest(folder)
    if manifest is not None and manifest.index_fingerprint == fingerprints.index:
        return manifest
    if manifest is None or config.replace:
        return None
    what = differences(manifest, config) or "the images, the weights, raysel or an index plugin has changed since"
    raise RayselError(f"{folder.shown} holds another index ({what}): give another --out, or --replace it")


def _remove_left(folder: Folder, fingerprints: Fingerprints, reporter: Reporter) -> None:
    """Remove what a run left that was killed right after it had published this index.

    Removes nothing while another run is alive, and never the progress of runs with other settings.
    """
    names = (fingerprints.scan, fingerprints.index)
    if folder.exists(LOCK_NAME) or any(folder.list(f"{RUNS_PREFIX}/{name}") for name in names):
        with suppress(RayselError, OSError), locked(folder, reporter.say):
            remove_progress(folder, *names)
