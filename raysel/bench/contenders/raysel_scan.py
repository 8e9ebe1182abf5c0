"""raysel's own scan, from the listing of the images to the last result. Nothing is derived or published."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from raysel.bench.contenders.report import Report
from raysel.bench.scan_job import TOP, ScanJob
from raysel.bench.scores import Top
from raysel.config import ClusterConfig, RunConfig, ScanConfig
from raysel.files import Folder
from raysel.images import open_source, subset
from raysel.network import load
from raysel.neurons import first_neurons
from raysel.pipeline.cluster import connected
from raysel.pipeline.context import NetworkFacts, Run
from raysel.pipeline.derive.labeling import Labeling
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.plan import images_list
from raysel.pipeline.progress import Reporter
from raysel.pipeline.scan.call_result import CallResult
from raysel.pipeline.scan.driver import scan
from raysel.pipeline.scan.layout import ScanLayout, scan_calls
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.store import locked


@dataclass
class TimedState(RunningState):
    """A running state that notes when results come."""

    results: list[tuple[float, int]] = field(default_factory=list)
    """Times with numbers of images."""

    def take(self, found: CallResult) -> bool:
        """See `RunningState.take`."""
        self.results.append((time.monotonic(), len(found.covered) + len(found.bad)))
        return super().take(found)


def run(job: ScanJob, _settings: dict[str, Any], work: Path) -> Report:
    """See `raysel.bench.contenders.report.Contender`."""
    options = ScanConfig(workers=None if job.gpus else job.cores, gpus=job.gpus, batch_size=job.batch)
    cluster_options = ClusterConfig(num_cpus=job.cores)
    config = RunConfig(
        out=str(work / "index"), source=job.source, network=job.network, scan=options, cluster=cluster_options
    )
    folder, reporter = Folder.at(config.out), Reporter()
    images = config.source
    source = open_source(images.images, images.kind, images.uri_column, images.label_column)
    labeling, network = Labeling.read(config), load(config.network)
    with connected(config.cluster) as cluster, locked(folder, reporter.say) as lock:
        planned, _ = images_list(source, images.shards, None, lambda: cluster, reporter)
        listed = labeling.label(subset(planned, images.limit, images.sample), reporter)
        about = (listed, *labeling.meaning(listed))
        fingerprints = Fingerprints.of(config, network, *about)
        facts, reload = NetworkFacts.of(network), cache(partial(load, config.network))
        scanned = Run(config, folder, source, facts, reload, *about, fingerprints, lambda: cluster, reporter, lock)
        neurons = first_neurons(network.taps)[-1]
        state = TimedState.empty(neurons, options.rank_depth, len(listed.images))
        layout = ScanLayout.of(options, cluster, scan_calls(options, len(listed.images)))
        snapshots = Snapshots(folder, fingerprints.scan, options.snapshot_every_s, lock)
        scan(scanned, layout, state, snapshots)
        settings = {
            "workers": layout.workers,
            "batch": layout.batch,
            "call_images": options.call_images,
            "rank_depth": options.rank_depth,
            "decode_ms": round(1e3 * state.decode_s / state.scanned, 3),
            "forward_ms": round(1e3 * state.forward_s / state.scanned, 3),
            "candidates_per_bound": round(state.candidates_sent / state.candidates_bound, 4),
        }
        rankings = state.rankings()
        top = Top(rankings.ids[:, :TOP], rankings.activations[:, :TOP])
        return Report(state.results, layout.workers, settings=settings, top=top)
