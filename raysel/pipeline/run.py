"""One run from a source of images to a published index: plan, scan, derive, publish."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.files.paths import join_uri
from raysel.images import (
    ImagesList,
    Source,
    class_facts,
    open_source,
    read_class_list,
    read_labels,
    subset,
)
from raysel.network import Network, Tap, load
from raysel.pipeline.cluster import Cluster, connected
from raysel.pipeline.derive.chunk import Labels
from raysel.pipeline.derive.chunk_files import ChunkFiles
from raysel.pipeline.derive.crop_fields import with_crop_fields
from raysel.pipeline.derive.driver import Derived, chunks_of, derive, images_needed
from raysel.pipeline.derive.inputs import Inputs
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.plan import PLAN, images_list
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import publish_index, published_state
from raysel.pipeline.record import build_manifest, differences
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.driver import ScanLayout, ScanRun, scan
from raysel.pipeline.scan.extractor import first_neurons
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.store import (
    LOCK_NAME,
    MANIFEST_NAME,
    RUNS_PREFIX,
    Manifest,
    RunLock,
    TableWriter,
    locked,
    published_manifest,
    read_manifest,
)


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    index: str
    """Where the index is."""
    manifest: Manifest
    computed: bool
    """False where this very index was published already."""


def index(config: RunConfig, reporter: Reporter, *, verbose: bool = False) -> Outcome:
    """Index a network over a source of images. An index that is published already is not computed again.

    Raises:
        RayselError: whatever the person at the keyboard can mend.
    """
    _check(config)
    folder = Folder.at(config.out)
    _check_place(folder)
    if not folder.local:
        folder.require_writable()
    options = config.source
    source = open_source(options.images, options.kind, options.uri_column, options.label_column)
    labels = _labels(config)
    own_classes = read_class_list(options.classes) if options.classes else None
    network = load(config.network)
    with ExitStack() as open_things:
        # Ray takes seconds to start, so it starts only when there is work for it.
        cluster = cache(lambda: open_things.enter_context(connected(config.cluster, verbose=verbose)))
        kept = join_uri(config.out, PLAN)
        whole, walked = images_list(source, options.shards, kept, cluster, reporter)
        images = subset(whole, options.limit, options.sample)
        if labels is not None:
            images = images.with_labels(labels)
            if images.labelled < len(images.images):
                reporter.say(f"labels: {images.labelled:,} of {len(images.images):,} images are in the table")
        classes = class_facts(images.classes, own_classes)
        fingerprints = Fingerprints.of(config, network, images, classes)
        published = _published(folder, config, fingerprints)
        if walked:  # kept only now, when nothing is wrong with what was asked for
            whole.save(kept)
        if published is not None:
            _clear_up(folder, fingerprints, reporter)
        else:
            run = _Run(config, folder, source, network, images, classes, fingerprints, cluster, reporter)
            with locked(folder, reporter.say) as lock:
                published = _published(folder, config, fingerprints)  # by the run whose lock this was
                if published is None:
                    return Outcome(folder.shown, run.compute(lock), computed=True)
                for left in _left_by(folder, fingerprints):
                    folder.delete_below(left)
    return Outcome(folder.shown, published, computed=False)


@dataclass(frozen=True)
class _Run:
    """A run that has its lock, and something to compute."""

    config: RunConfig
    folder: Folder
    source: Source
    network: Network
    images: ImagesList
    classes: pa.Table
    """What the labels mean, a row each."""
    fingerprints: Fingerprints
    cluster: Callable[[], Cluster]
    reporter: Reporter

    def compute(self, lock: RunLock) -> Manifest:
        state = self._scanned(lock)
        lock.confirm()
        labels = Labels.of(self.images.class_numbers, self.images.classes, state.covered)
        files = ChunkFiles(TableWriter(self.folder, self.fingerprints.index))
        taps = with_crop_fields(self.config.derive, self.source, self.images, self.network, state, self.reporter)
        derived = self._derived(state, taps, labels, files)
        with self.reporter.stage("publish", "files"):
            record = build_manifest(
                self.config,
                self.source,
                self.network,
                taps,
                self.images,
                self.fingerprints,
                state,
                derived,
                self.reporter.seconds,
            )
            classes = self.classes.append_column("images", pa.array(labels.sizes))
            return publish_index(files.writer, record, taps, self.images, classes, state, derived, lock)

    def _scanned(self, lock: RunLock) -> RunningState:
        """The state with every image in it: from a snapshot, from the index that is to be replaced, or from a scan."""
        taps, options = self.network.taps, self.config.scan
        neurons, count = first_neurons(taps)[-1], len(self.images.images)
        snapshots = Snapshots(self.folder, self.fingerprints.scan, options.snapshot_every_s, lock)
        state = snapshots.load() or published_state(self.folder, self.fingerprints.scan, taps, count)
        if state is None:
            state = RunningState.empty(neurons, options.rank_depth, count)
            # What was derived from a scan that is lost may differ from this one's in the last bits.
            self.folder.delete_below(f"{RUNS_PREFIX}/{self.fingerprints.index}")
        elif state.done:
            self.reporter.say(f"scan: goes on where it was: {state.done:,} of {count:,} images are done")
        check_bad_images(state, self.images, self.config.source.max_bad)
        if state.done == count:
            return state
        layout = ScanLayout.of(options, self.cluster())
        self.reporter.say(
            f"scan: {count - state.done:,} images, {neurons:,} neurons of {len(taps)} layers, "
            f"{layout.workers} {'GPU' if layout.gpu else 'CPU'} actors"
        )
        run = ScanRun(self.source, self.images, self.network, self.config, layout, self.reporter.say)
        with self.reporter.stage("scan", "images", count) as stage:
            scan(run, state, snapshots, stage)
        return state

    def _derived(self, state: RunningState, taps: tuple[Tap, ...], labels: Labels, files: ChunkFiles) -> Derived:
        options = self.config.derive
        n = state.rankings.taking_part(options.n_max, options.min_relative_activation)
        chunks = list(chunks_of(taps, state.rankings, n))
        present = files.present()
        needed = images_needed(
            [each for each in chunks if files.name(each.tap.layer, each.first_channel) not in present]
        )
        inputs = Inputs.of(
            self.source, self.network.preprocessing, self.images, needed, options.cache_gb, uuid.uuid4().hex
        )
        if present:
            self.reporter.say(f"derive: goes on where it was: {len(present):,} of {len(chunks):,} chunks are done")
        self.cluster()
        with self.reporter.stage("derive", "neurons", len(n)) as stage:
            return derive(chunks, inputs, labels, self.config, files, stage)


def _check(config: RunConfig) -> None:
    if not config.out:
        raise RayselError("no place for the index: give --out")
    if config.derive.n_max > config.scan.rank_depth:
        raise RayselError(
            f"--n-max {config.derive.n_max} is more than the --rank-depth {config.scan.rank_depth} that rankings keep: "
            "lower the one or raise the other"
        )


def _clear_up(folder: Folder, fingerprints: Fingerprints, reporter: Reporter) -> None:
    """Remove what is left of a run that was killed right after it had published this index.

    What others have begun in this folder stays, and so does everything where another run is alive.
    """
    if folder.exists(LOCK_NAME) or _left_by(folder, fingerprints):
        with suppress(RayselError, OSError), locked(folder, reporter.say):
            for left in _left_by(folder, fingerprints):
                folder.delete_below(left)


def _left_by(folder: Folder, fingerprints: Fingerprints) -> list[str]:
    """Folders below ``runs/`` that a run with these fingerprints has left."""
    folders = (f"{RUNS_PREFIX}/{name}" for name in (fingerprints.scan, fingerprints.index))
    return [each for each in folders if folder.list(each)]


def _check_place(folder: Folder) -> None:
    """Of what can be known before anything is written: that the folder can be made, or written to."""
    if not folder.local:
        return
    there = Path(folder.path)
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise RayselError(f"cannot write an index to {folder.shown}: {there} is no folder; give another --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RayselError(f"cannot write an index to {folder.shown}: no permission in {there}; give another --out")


def _labels(config: RunConfig) -> pa.Table | None:
    options = config.source
    if not options.labels:
        return None
    return read_labels(options.labels, options.label_key, options.label_column, options.label_map)


def _published(folder: Folder, config: RunConfig, fingerprints: Fingerprints) -> Manifest | None:
    """The index that is there already, if it is the very one asked for.

    Raises:
        RayselError: it is another one, and ``--replace`` was not given.
    """
    if not folder.exists(MANIFEST_NAME):
        return None
    there = published_manifest(folder) if config.replace else read_manifest(folder)
    if there is not None and there.index_fingerprint == fingerprints.index:
        return there
    if there is None or config.replace:
        return None
    what = differences(there, config) or "the images, the weights or raysel changed since"
    raise RayselError(f"{folder.shown} holds an index made otherwise ({what}): give another --out, or --replace it")
