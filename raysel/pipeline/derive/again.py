"""An index derived again from the stored rankings of another: no scan, and no network unless an option needs one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.images import ImagesList
from raysel.interventions import chosen
from raysel.marks import with_changes
from raysel.pipeline.cluster import Connection
from raysel.pipeline.context import Run
from raysel.pipeline.derive.labeling import Labeling
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import Outcome, derive_and_publish, publish_once, state_of, writable_folder
from raysel.pipeline.record import indexed_network, recorded_config, recorded_network
from raysel.pipeline.scan.layout import forward_batch
from raysel.selectivity import Concepts
from raysel.store import Index, Manifest, RunLock, neurons_schema, open_index, recorded_source

if TYPE_CHECKING:
    from raysel.network import Network

_OF_LABEL_TABLE = ("labels", "label_column", "label_key", "label_map")


def derive_again(
    uri: str, changes: Mapping[str, Any], reporter: Reporter, *, images: str | None = None, verbose: bool = False
) -> Outcome:
    """Derive an index from another one's rankings. The result is that of ``raysel index`` with the same options.

    Args:
        uri: the index with the rankings.
        changes: options of `RunConfig` that are to differ, ``{"out": "other", "derive": {"n_max": 50}}``: `out`,
            `replace`, those of derive and the cluster, those of the source that are about labels, and the number
            and kind of actors for interventions. Without `out` the index itself is replaced.
        reporter: shows the stages.
        images: where the images are now, if they were moved.
        verbose: show Ray's messages.

    Raises:
        RayselError: a fault that the user can correct.
    """
    neurons_schema()  # fails if an index of an installed package is broken
    index = open_index(uri)
    config = _configuration(index, {"out": uri, "replace": True, **changes})
    folder, source = writable_folder(config.out), recorded_source(index.manifest, images)
    labeling = _labeling(config, changes.get("source", {}))
    network = recorded_network(index.manifest)
    listed = labeling.label(recorded_images(index), reporter)
    classes, concepts = labeling.meaning(listed)
    fingerprints = Fingerprints.over(index.manifest.scan_fingerprint, config, listed, classes, concepts)
    with Connection(config.cluster, verbose=verbose) as cluster:
        loaded = cache(lambda: _load(config, index.manifest, listed, classes, concepts))

        def compute(lock: RunLock) -> Manifest:
            about = listed, classes, concepts
            run = Run(config, folder, source, network, loaded, *about, fingerprints, cluster, reporter, lock)
            return derive_and_publish(run, state_of(index, network.taps, config.scan.rank_depth))

        return publish_once(folder, config, fingerprints, reporter, compute)


def _configuration(index: Index, changes: Mapping[str, Any]) -> RunConfig:
    before = recorded_config(index.manifest)
    config = with_changes(before, changes)
    if config.scan.gpus != before.scan.gpus:  # which must not change the batch, on which the scan's fingerprint depends
        config = with_changes(config, {"scan": {"batch_size": forward_batch(before.scan)}})
    chosen(config.derive.interventions)  # fails if one is unknown
    n_max, depth = config.derive.n_max, config.scan.rank_depth
    if n_max > depth:
        raise RayselError(
            f"--n-max {n_max} is more than the {depth} images that the rankings of {index.folder.shown} keep: "
            f"give at most {depth}, or index again with a larger --rank-depth"
        )
    return config


def _labeling(config: RunConfig, changes: Mapping[str, Any]) -> Labeling:
    """The labels to use. Those in the index are kept, unless an option about the table of labels is given."""
    if any(name in changes for name in _OF_LABEL_TABLE):
        if not config.source.labels:
            raise RayselError("the labels of this index are part of its source: name another table with --labels")
        return Labeling.read(config)
    return Labeling.read(replace(config, source=replace(config.source, labels=None)))


def recorded_images(index: Index) -> ImagesList:
    """The images list from which the index was made, with the labels that it has."""
    images = index.images.rename_columns({"image": "id"})
    place = images.schema.get_field_index("label")
    labels = images["label"].cast(pa.string()).combine_chunks()
    images = images.set_column(place, pa.field("label", pa.string()), labels)
    quarantine = index.quarantine
    faults = quarantine.filter(quarantine["image"].is_null()).drop_columns(["image"])
    return ImagesList(images, index.shards.drop_columns(["shard"]), faults, index.manifest.counts.skipped)


def _load(config: RunConfig, manifest: Manifest, listed: ImagesList, classes: pa.Table, concepts: Concepts) -> Network:
    """The network, which must be the one of the scan: other activations would be compared with those of the index."""
    network, fault = indexed_network(manifest)
    if fault:
        raise RayselError(f"{fault}: restore them")
    if Fingerprints.of(config, network, listed, classes, concepts).scan != manifest.scan_fingerprint:
        raise RayselError(
            f"{network.name} has the weights that were indexed, but its code, its preprocessing or raysel has changed "
            "since: restore it, or index again"
        )
    return network
