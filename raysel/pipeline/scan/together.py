"""One scan for several networks: images are read and decoded once, and each network has its own forward."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import pairwise

import numpy as np

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.images import open_source, subset
from raysel.network import Network, load
from raysel.neurons import first_neurons
from raysel.pipeline.cluster import Connection
from raysel.pipeline.context import NetworkFacts, Run
from raysel.pipeline.derive.labeling import Labeling
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.plan import images_list, save_plan
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import writable_folder
from raysel.pipeline.scan.driver import scan
from raysel.pipeline.scan.layout import ScanLayout, scan_calls
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.store import MANIFEST_NAME, locked, remove_progress


def scan_together(configs: Sequence[RunConfig], reporter: Reporter) -> list[str]:
    """Scan the images once for several networks. `raysel.pipeline.run.index` then finds each scan finished.

    Every forward is the one that the network has alone, so the rankings are the same to the bit. A network that does
    not load, or takes other pixels than the first, and an index that is there, begun or locked are left to `index`.

    Args:
        configs: they differ in their network's weights and in ``out`` only.
        reporter: shows the stages.

    Returns:
        ``out`` of the indexes whose scan is finished; empty if fewer than two could be scanned together.

    Raises:
        RayselError: the images cannot be listed or read, or too many are bad.
    """
    networks = [(config, network) for config in configs if (network := _loaded(config)) is not None]
    networks = [each for each in networks if each[1].preprocessing == networks[0][1].preprocessing]
    if len(networks) < 2:
        return []
    with ExitStack() as stack:
        runs = _runs(networks, stack, reporter)
        if len(runs) < 2:
            return []
        ends = np.cumsum([0, *(first_neurons(run.network.taps)[-1] for run in runs)]).tolist()
        first, name = runs[0], _name(runs)
        snapshots = Snapshots(first.folder, name, first.config.scan.snapshot_every_s, first.lock)
        count = len(first.images.images)
        state = snapshots.load() or RunningState.empty(ends[-1], first.config.scan.rank_depth, count)
        if state.done < count:
            layout = ScanLayout.of(
                first.config.scan, first.cluster(), scan_calls(first.config.scan, count - state.done)
            )
            reporter.say(f"scan: {count - state.done:,} images, {ends[-1]:,} neurons of {len(runs)} networks together")
            scan(first, layout, state, snapshots, runs[1:])
        for run, (start, end) in zip(runs, pairwise(ends), strict=True):
            Snapshots(run.folder, run.fingerprints.scan, 0.0, run.lock).put(state.part(slice(start, end)))
        remove_progress(first.folder, name)
        return [run.config.out for run in runs]


def _loaded(config: RunConfig) -> Network | None:
    with suppress(RayselError):  # which `index` raises again
        return load(config.network)
    return None


def _runs(networks: Sequence[tuple[RunConfig, Network]], stack: ExitStack, reporter: Reporter) -> list[Run]:
    """The runs that have nothing yet. Their locks are held by the stack."""
    config, options = networks[0][0], networks[0][0].source
    source = open_source(options.images, options.kind, options.uri_column, options.label_column)
    labeling = Labeling.read(config)
    cluster = stack.enter_context(Connection(config.cluster))
    planned, _ = images_list(source, options.shards, writable_folder(config.out), cluster, reporter)
    images = labeling.label(subset(planned, options.limit, options.sample), reporter)
    about = (images, *labeling.meaning(images))
    runs = []
    for each, network in networks:
        folder = writable_folder(each.out)
        fingerprints = Fingerprints.of(each, network, *about)
        with suppress(RayselError):
            lock = stack.enter_context(locked(folder, reporter.say))
            begun = Snapshots(folder, fingerprints.scan, 0.0, lock).load()
            if begun is None and not folder.exists(MANIFEST_NAME):
                save_plan(folder, source, planned)
                parts = (folder, source, NetworkFacts.of(network), partial(load, each.network), *about)
                runs.append(Run(each, *parts, fingerprints, cluster, reporter, lock))
    return runs


def _name(runs: Sequence[Run]) -> str:
    """Name of the joint scan's progress."""
    return hashlib.sha256(" ".join(run.fingerprints.scan for run in runs).encode()).hexdigest()[:32]
