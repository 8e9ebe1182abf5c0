"""The driver of a scan: it folds what the actors find, publishes cutoffs, and saves its state for a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.images import ImagesList
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.context import Run
from raysel.pipeline.operations.scan_metrics import ScanMetrics
from raysel.pipeline.scan.actor_stream import ActorStream, despite_lost_machines
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.call_result import CallResult
from raysel.pipeline.scan.cutoffs import cutoff_keeper
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.pipeline.scan.stream import call_results


def scan(run: Run, layout: ScanLayout, state: RunningState, snapshots: Snapshots, beside: Sequence[Run] = ()) -> None:
    """Fold into `state` what the network's neurons do on every image that it lacks.

    Args:
        run: the run.
        layout: how many actors run, and on what.
        state: with as many neurons as all networks together.
        snapshots: where the state is saved.
        beside: runs that differ in the weights of their networks only, and are scanned in the same pass. Their neurons
            follow those of `run`.

    Raises:
        RayselError: images are neither covered nor in quarantine at the end, too many are bad, or what a worker raised.
    """
    with run.reporter.stage("scan", "images", len(run.images.images)) as stage:
        stage.resume_at(state.done)
        metrics = ScanMetrics(run.fingerprints.scan, run.images.images["length"].to_numpy())
        with cutoff_keeper() as cutoffs, as_raysel_error_from_worker():
            cutoffs.put.remote(state.done, state.rankings().cutoffs)
            for result in _results((run, *beside), layout, state, cutoffs):
                if state.take(result):
                    cutoffs.put.remote(state.done, state.rankings().cutoffs)
                check_bad_images(state, run.images, run.config.source.max_bad)
                snapshots.save_if_due(state)
                stage.advance(state.done - stage.done)
                metrics.take(result)
                metrics.show(stage)
        missing = state.missing()
        if len(missing):
            # A reader that lost images may also have confused others: the next run starts from nothing.
            snapshots.drop()
            raise RayselError(_lost(run.images, missing))
        snapshots.put(state)


def _results(runs: Sequence[Run], layout: ScanLayout, state: RunningState, cutoffs: Any) -> Iterator[CallResult]:
    """The results of all images that `state` lacks."""
    run = runs[0]

    def say(line: str) -> None:
        run.reporter.say(f"scan: {line}")

    stream = ActorStream(run.source, run.images, run.network.preprocessing, run.config.scan, layout, run.cluster(), say)
    return despite_lost_machines(lambda: call_results(runs, stream, state.missing(), cutoffs), say)


def _lost(images: ImagesList, missing: NDArray[np.int64]) -> str:
    first = images.images.slice(int(missing[0]), 1).to_pylist()[0]
    shard = images.shards["name"][first["shard"]].as_py()
    return (
        f"{len(missing)} listed images were not delivered, such as {first['key']} of {shard!r}: check that the shard "
        "can be read and run again; the scan starts from its beginning"
    )
