"""The driver of a scan: it folds what the actors find, publishes cutoffs, and saves its state for a restart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.images import ImagesList
from raysel.pipeline.progress import Stage
from raysel.pipeline.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.cutoffs import cutoff_keeper
from raysel.pipeline.scan.pool import PoolSizeChanged
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.pipeline.scan.stream import ScanRun, call_results


def scan(run: ScanRun, state: RunningState, snapshots: Snapshots, stage: Stage) -> None:
    """Fold into `state` what the network's neurons do on every image that it lacks.

    Raises:
        RayselError: images are neither covered nor in quarantine at the end, too many are bad, or what a worker raised.
    """
    stage.resume_at(state.done)
    actors: int | None = run.layout.workers
    with cutoff_keeper() as cutoffs, as_raysel_error_from_worker():
        cutoffs.put.remote(state.done, state.rankings().floors)
        while actors:
            try:
                for result in call_results(run, state.missing(), actors, cutoffs):
                    if state.take(result):
                        cutoffs.put.remote(state.done, state.rankings().floors)
                    check_bad_images(state, run.images, run.config.source.max_bad)
                    snapshots.save_if_due(state)
                    stage.advance(state.done - stage.done)
                actors = None
            except PoolSizeChanged as now:
                run.say(f"scan: the cluster changed: continuing with {now.actors} actors instead of {actors}")
                actors = now.actors
    missing = state.missing()
    if len(missing):
        # A reader that lost images may also have confused others: the next run starts from nothing.
        snapshots.drop()
        raise RayselError(_lost(run.images, missing))
    snapshots.put(state)


def _lost(images: ImagesList, missing: NDArray[np.int64]) -> str:
    first = images.images.slice(int(missing[0]), 1).to_pylist()[0]
    shard = images.shards["name"][first["shard"]].as_py()
    return (
        f"{len(missing)} listed images were not delivered, such as {first['key']} of {shard!r}: check that the shard "
        "can be read and run again; the scan starts from its beginning"
    )
