"""The part of a scan that Ray Data runs: slices are read, decoded, and sent through a fixed pool of actors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import GetTimeoutError

from raysel.errors import RayselError
from raysel.images import Slice, slices
from raysel.network import with_absolute_paths
from raysel.neurons import first_neurons
from raysel.pipeline.context import Run
from raysel.pipeline.scan.actor import ActorSettings, ScanActor, decode_images
from raysel.pipeline.scan.call_result import CallResult, merge_rows, rows_per_merge
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.pool import ActorPool, watch_pool
from raysel.pipeline.scan.slice_reader import SliceReader

# An actor on a CPU keeps nearly a whole core busy; the rest is for reading and merging, which mostly wait.
ACTOR_CPUS = 0.9
ASIDE_CPUS = 0.05


def call_results(
    run: Run, layout: ScanLayout, missing: NDArray[np.int64], actors: int, cutoffs: Any
) -> Iterator[CallResult]:
    """What the network's neurons do on some images; in long scans each result is of several calls.

    Args:
        run: the run.
        layout: what an actor holds, and how many actors the cluster should have room for.
        missing: ids of the images.
        actors: size of the pool.
        cutoffs: Ray's handle of the `CutoffKeeper`.

    Raises:
        PoolSizeChanged: another number of actors fits the cluster now.
        RayselError: the actors did not start, or nothing moved, for longer than the configuration allows.
    """
    config = run.config.scan
    neurons = first_neurons(run.network.taps)[-1]
    stream = _through_actors(run, layout, missing, actors, cutoffs)
    calls = -(-len(missing) // config.call_images)
    rows = rows_per_merge(calls, config.call_images * neurons)
    if rows > 1:
        stream = stream.map_batches(
            partial(merge_rows, depth=config.rank_depth),
            batch_size=rows,
            batch_format="pyarrow",
            num_cpus=ASIDE_CPUS,
            max_retries=config.task_retries,
        )
    _limit(stream.context, run, layout, actors)
    try:
        for table in stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield CallResult.from_rows(table)
    except GetTimeoutError as error:
        raise RayselError(
            f"the scan's actors did not all start within {config.wait_for_min_actors_s} s (wait_for_min_actors_s): "
            "free the cluster, ask for fewer --workers or --gpus, or wait longer"
        ) from error
    except ExecutionTimeoutError as error:
        raise RayselError(
            f"the scan made no progress for {config.no_progress_timeout_s} s (no_progress_timeout_s): "
            "check the cluster and run again; the scan resumes from its snapshot"
        ) from error


def _slices_of(run: Run, missing: NDArray[np.int64]) -> list[Slice]:
    """The scan's slices, in their order, without the images that are not missing."""
    is_missing = np.zeros(len(run.images.images), bool)
    is_missing[missing] = True
    options = run.config.scan
    parts = (
        replace(part, ids=part.ids[is_missing[part.ids]])
        for part in slices(run.images, options.slice_images, options.seed)
    )
    return [part for part in parts if len(part.ids)]


def _through_actors(run: Run, layout: ScanLayout, missing: NDArray[np.int64], actors: int, cutoffs: Any) -> Dataset:
    """One row per call of an actor."""
    config, network, parts = run.config.scan, run.network, _slices_of(run, missing)
    read = ray.data.read_datasource(
        SliceReader(run.source, run.images, parts),
        override_num_blocks=len(parts),
        num_cpus=1 if layout.gpu else ASIDE_CPUS,
    )
    if layout.gpu:
        read = read.map_batches(
            partial(decode_images, preprocessing=network.preprocessing),
            batch_size=layout.batch,
            batch_format="numpy",
            num_cpus=1,
            max_retries=config.task_retries,
        )
    settings = ActorSettings(
        with_absolute_paths(run.config.network),
        network.weights_digest,
        layout.batch,
        layout.device,
        first_neurons(network.taps)[-1],
        cutoffs,
    )
    holds: dict[str, Any] = {"num_gpus": 1} if layout.gpu else {"num_cpus": ACTOR_CPUS}
    return read.map_batches(
        ScanActor,
        fn_constructor_kwargs={"settings": settings},
        batch_size=config.call_images,
        batch_format="numpy",
        compute=ActorPoolStrategy(size=actors),
        max_restarts=config.actor_restarts,
        # Ray refuses retries of calls to an actor that it must not restart.
        max_task_retries=config.task_retries if config.actor_restarts else 0,
        **holds,
    )


def _limit(context: DataContext, run: Run, layout: ScanLayout, actors: int) -> None:
    """How long the stream waits, and what it survives. `context` is the stream's own."""
    config = run.config.scan
    context.wait_for_min_actors_s = config.wait_for_min_actors_s
    context.execution_no_progress_timeout_s = config.no_progress_timeout_s
    context.execution_options.preserve_order = False
    # Machines are lost while actors start, too. What raysel raises there fails in every actor, and so ends the run.
    context.max_consecutive_actor_init_deaths = actors
    pool = ActorPool(actors, layout.workers, layout.gpu, config.lost_machine_wait_s)
    watch_pool(context, pool, run.cluster(), run.reporter.say)
