"""One run from a source of images to a published index: plan, scan, derive, publish."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.images import (
    ImagesList,
    class_facts,
    imagenet1k,
    open_source,
    read_class_list,
    read_hierarchy,
    read_labels,
    subset,
)
from raysel.network import load
from raysel.neurons import first_neurons
from raysel.pipeline.cluster import connected
from raysel.pipeline.context import Run
from raysel.pipeline.derive.concepts import concepts_above
from raysel.pipeline.derive.crop_fields import with_crop_fields
from raysel.pipeline.derive.stage import derive
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.plan import images_list, save_plan
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import publish_index, published_state
from raysel.pipeline.record import differences
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.driver import scan
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.store import (
    LOCK_NAME,
    MANIFEST_NAME,
    RUNS_PREFIX,
    Manifest,
    locked,
    neurons_schema,
    published_manifest,
    read_manifest,
    remove_progress,
)


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    index: str
    """Path or URI of the index, without secrets."""
    manifest: Manifest
    computed: bool
    """False if this very index had been published before."""


def index(config: RunConfig, reporter: Reporter, *, verbose: bool = False) -> Outcome:
    """Index a network over a source of images. An index that is published already is not computed again.

    Raises:
        RayselError: a fault that the user can correct.
    """
    config.check()
    neurons_schema()  # fails if an index of an installed package is broken
    folder, options = _writable_folder(config.out), config.source
    source = open_source(options.images, options.kind, options.uri_column, options.label_column)
    labels, own_classes = _labels(config), read_class_list(options.classes) if options.classes else None
    own_hierarchy = read_hierarchy(config.derive.hierarchy) if config.derive.hierarchy else None
    hierarchy = own_hierarchy or imagenet1k().hierarchy
    cut = hierarchy.cut(config.derive.concepts) if config.derive.concepts else None
    network = load(config.network)
    for note in network.notes:
        reporter.say(f"network: {note}")
    with ExitStack() as stack:
        # Ray takes seconds to start, so it starts only when there is work for it.
        cluster = cache(lambda: stack.enter_context(connected(config.cluster, verbose=verbose)))
        planned, walked = images_list(source, options.shards, folder, cluster, reporter)
        images = _with_labels(subset(planned, options.limit, options.sample), labels, reporter)
        classes = class_facts(images.classes, own_classes, own_hierarchy)
        concepts = concepts_above(classes, hierarchy, cut)
        fingerprints = Fingerprints.of(config, network, images, classes, concepts)
        published = _published(folder, config, fingerprints)
        if published is None:
            with locked(folder, reporter.say) as lock:
                if walked:
                    save_plan(folder, source, planned)
                published = _published(folder, config, fingerprints)  # by the run that held the lock meanwhile
                if published is None:
                    meaning = classes, concepts
                    run = Run(config, folder, source, network, images, *meaning, fingerprints, cluster, reporter, lock)
                    return Outcome(folder.shown, _compute(run), computed=True)
        _remove_left(folder, fingerprints, reporter)
        return Outcome(folder.shown, published, computed=False)


def _compute(run: Run) -> Manifest:
    state = _scanned(run)
    run.lock.confirm()
    derived = derive(run, state, with_crop_fields(run, state))
    with run.reporter.stage("publish", "files"):
        return publish_index(run, state, derived)


def _scanned(run: Run) -> RunningState:
    """The state with every image in it: from a snapshot, from the index that is to be replaced, or from a scan."""
    taps, options, say = run.network.taps, run.config.scan, run.reporter.say
    neurons, count = first_neurons(taps)[-1], len(run.images.images)
    snapshots = Snapshots(run.folder, run.fingerprints.scan, options.snapshot_every_s, run.lock)
    state = snapshots.load() or published_state(run)
    if state is None:
        state = RunningState.empty(neurons, options.rank_depth, count)
        # What was derived from a scan that is lost may differ from this one's in the last bits.
        remove_progress(run.folder, run.fingerprints.index)
    elif state.done:
        say(f"scan: resuming: {state.done:,} of {count:,} images are done")
    check_bad_images(state, run.images, run.config.source.max_bad)
    if state.done == count:
        return state
    layout = ScanLayout.of(options, run.cluster())
    say(
        f"scan: {count - state.done:,} images, {neurons:,} neurons of {len(taps)} layers, "
        f"{layout.workers} {'GPU' if layout.gpu else 'CPU'} actors"
    )
    scan(run, layout, state, snapshots)
    return state


def _writable_folder(out: str) -> Folder:
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


def _labels(config: RunConfig) -> pa.Table | None:
    options = config.source
    if not options.labels:
        return None
    return read_labels(options.labels, options.label_key, options.label_column, options.label_map)


def _with_labels(images: ImagesList, labels: pa.Table | None, reporter: Reporter) -> ImagesList:
    if labels is None:
        return images
    images = images.with_labels(labels)
    if images.labeled < len(images.images):
        reporter.say(f"labels: {images.labeled:,} of {len(images.images):,} images are in the table")
    return images


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
    what = differences(manifest, config) or "the images, the weights, raysel or an own index changed since"
    raise RayselError(f"{folder.shown} holds another index ({what}): give another --out, or --replace it")


def _remove_left(folder: Folder, fingerprints: Fingerprints, reporter: Reporter) -> None:
    """Remove what a run left that was killed right after it had published this index.

    Nothing is removed while another run is alive, and nothing that runs with other settings have begun.
    """
    names = (fingerprints.scan, fingerprints.index)
    if folder.exists(LOCK_NAME) or any(folder.list(f"{RUNS_PREFIX}/{name}") for name in names):
        with suppress(RayselError, OSError), locked(folder, reporter.say):
            remove_progress(folder, *names)
