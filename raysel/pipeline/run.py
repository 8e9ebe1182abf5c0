"""One run from a source of images to a published index: plan, scan, derive, publish."""

from __future__ import annotations

from contextlib import nullcontext

from raysel.config import RunConfig
from raysel.images import open_source, subset
from raysel.interventions import chosen
from raysel.network import load
from raysel.neurons import first_neurons
from raysel.pipeline.cluster import Connection
from raysel.pipeline.context import NetworkFacts, Run
from raysel.pipeline.derive.labeling import Labeling
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.plan import images_list, save_plan
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import Outcome, derive_and_publish, publish_once, published_state, writable_folder
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.driver import scan
from raysel.pipeline.scan.layout import ScanLayout, scan_calls
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.store import Manifest, RunLock, neurons_schema, remove_progress


def index(config: RunConfig, reporter: Reporter, connection: Connection | None = None) -> Outcome:
    """Index a network over a source of images. An index that is published already is not computed again.

    Args:
        config: the run's configuration.
        reporter: shows the stages.
        connection: a connection to Ray, possibly already being opened. By default the run opens one when there is
            work for it.

    Raises:
        RayselError: a fault that the user can correct.
    """
    config.check()
    neurons_schema()  # fails if an index of an installed package is broken
    chosen(config.derive.interventions)  # fails if one is unknown
    folder, options = writable_folder(config.out), config.source
    source = open_source(options.images, options.kind, options.uri_column, options.label_column)
    labeling = Labeling.read(config)
    network = load(config.network)
    with nullcontext(connection) if connection else Connection(config.cluster) as cluster:
        planned, walked = images_list(source, options.shards, folder, cluster, reporter)
        images = labeling.label(subset(planned, options.limit, options.sample), reporter)
        classes, concepts = labeling.meaning(images)
        fingerprints = Fingerprints.of(config, network, images, classes, concepts)

        def compute(lock: RunLock) -> Manifest:
            for note in network.notes:
                reporter.say(f"network: {note}")
            if walked:
                save_plan(folder, source, planned)
            facts, about = NetworkFacts.of(network), (images, classes, concepts)
            run = Run(config, folder, source, facts, lambda: network, *about, fingerprints, cluster, reporter, lock)
            return derive_and_publish(run, _scanned(run))

        return publish_once(folder, config, fingerprints, reporter, compute)


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
    layout = ScanLayout.of(options, run.cluster(), scan_calls(options, count - state.done))
    say(
        f"scan: {count - state.done:,} images, {neurons:,} neurons of {len(taps)} layers, "
        f"{layout.workers} {'GPU' if layout.gpu else 'CPU'} actors"
    )
    scan(run, layout, state, snapshots)
    return state
