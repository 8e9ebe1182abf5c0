"""The pass over all images: slices stream through a fixed pool of actors, and what they find is folded."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import GetTimeoutError

from raysel.config import RunConfig, ScanConfig
from raysel.errors import RayselError
from raysel.images import ImagesList, Slice, Source, slices
from raysel.network import Network, with_absolute_paths
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.progress import Stage
from raysel.pipeline.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.scan.actor import ActorSettings, Decoding, DecodingScanActor, ScanActor
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.call_result import CallResult, TreeLevel, fan_in
from raysel.pipeline.scan.cutoffs import CutoffPublisher
from raysel.pipeline.scan.pool import ActorPool, PoolSizeChanged, watch_pool
from raysel.pipeline.scan.slice_reader import Slices
from raysel.pipeline.scan.state import RunningState, Snapshots

# On a CPU an actor holds nearly a whole core; what it leaves is for reading and merging, which mostly wait.
ACTOR_CPUS = 0.9
ASIDE_CPUS = 0.05


@dataclass(frozen=True)
class ScanLayout:
    """Where decoding happens, and what an actor holds. The result does not depend on it."""

    workers: int
    """Actors in the pool."""
    batch: int
    """Images in one forward."""
    gpu: bool
    """Actors hold a GPU each, and decoding runs on CPU tasks beside them; else actors decode for themselves."""
    device: str
    """``cuda``, or ``cpu`` also where a GPU is only pretended."""

    @classmethod
    def of(cls, config: ScanConfig, cluster: Cluster) -> ScanLayout:
        """The layout that the configuration asks for on this cluster.

        Raises:
            RayselError: more actors than the cluster can hold.
        """
        if config.gpus:
            if config.gpus > cluster.gpus:
                raise RayselError(
                    f"--gpus {config.gpus}, but the cluster has {cluster.gpus}: ask for at most that many"
                )
            device = "cuda" if config.device == "auto" else config.device
            return cls(config.gpus, forward_batch(config), gpu=True, device=device)
        if cluster.cpus < 1:
            raise RayselError("the cluster has no CPU to scan on")
        workers = config.workers or cluster.cpus
        if workers > cluster.cpus:
            raise RayselError(
                f"--workers {workers}, but the cluster has {cluster.cpus} CPUs: ask for at most that many"
            )
        return cls(workers, forward_batch(config), gpu=False, device="cpu")


def forward_batch(config: ScanConfig) -> int:
    """Images in one forward: on a CPU few, which stay in its cache; on a GPU many, which fill it."""
    return config.batch_size or (64 if config.gpus else 16)


@dataclass(frozen=True)
class ScanRun:
    """What is scanned."""

    source: Source
    images: ImagesList
    network: Network
    config: RunConfig
    layout: ScanLayout
    say: Callable[[str], None]
    """Tells a line."""


def scan(run: ScanRun, state: RunningState, snapshots: Snapshots, stage: Stage) -> None:
    """Fold into `state` what the network's neurons do on every image of the list that is not in it yet.

    Raises:
        RayselError: images are left that are neither covered nor in quarantine, too many are bad, or what an actor
            refused.
    """
    floor = CutoffPublisher(f"raysel-floor-{uuid.uuid4().hex}")
    stage.resume_at(state.done)
    floor.put(state.done, state.rankings)
    actors: int | None = run.layout.workers
    with closing(floor), as_raysel_error_from_worker():
        while actors:
            try:
                for rows in _found(run, state, actors, floor.name):
                    if state.take(CallResult.from_rows(rows)):
                        floor.put(state.done, state.rankings)
                    check_bad_images(state, run.images, run.config.source.max_bad)
                    snapshots.save_if_due(state)
                    stage.advance(state.done - stage.done)
                actors = None
            except PoolSizeChanged as now:
                run.say(f"scan: machines came or went: goes on with {now.actors} actors instead of {actors}")
                actors = now.actors
    left = state.missing()
    if len(left):
        # Whoever lost these may have taken others for them: nothing of it is kept.
        snapshots.drop()
        raise RayselError(_lost(run.images, left))
    snapshots.put(state)


def _lost(images: ImagesList, left: NDArray[np.int64]) -> str:
    first = images.images.slice(int(left[0]), 1).to_pylist()[0]
    shard = images.shards["name"][first["shard"]].as_py()
    return (
        f"{len(left)} images were listed and never came, such as {first['key']} of {shard!r}: see whether the shard "
        "can be read, and run again, from the start of the scan"
    )


def _still_to_do(cut: list[Slice], state: RunningState) -> list[Slice]:
    """The slices without the images that are covered or in quarantine already."""
    missing = np.zeros(len(state.covered), bool)
    missing[state.missing()] = True
    left = (replace(part, ids=part.ids[missing[part.ids]]) for part in cut)
    return [part for part in left if len(part.ids)]


def _found(run: ScanRun, state: RunningState, actors: int, floor_name: str) -> Iterator[pa.Table]:
    """What so many actors find in the images that are not in the state yet."""
    config = run.config.scan
    cut = _still_to_do(slices(run.images, config.slice_images, config.seed), state)
    calls = -(-sum(len(part.ids) for part in cut) // config.call_images)
    neurons = len(state.folded.keys)
    rows = fan_in(calls, config.call_images * neurons)
    found = _merged(_stream(run, cut, actors, floor_name), config, rows)
    # Machines are lost while actors start, too. What an actor itself refuses, all of them do, and that ends the run.
    found.context.max_consecutive_actor_init_deaths = actors
    pool = ActorPool(actors, run.layout.workers, run.layout.gpu, config.lost_machine_wait_s)
    watch_pool(found.context, pool, run.say)
    return _rows(found, config)


def _stream(run: ScanRun, cut: list[Slice], actors: int, floor_name: str) -> Dataset:
    """One row per call of an actor."""
    layout, config = run.layout, run.config.scan
    network = with_absolute_paths(run.config.network)
    settings = ActorSettings(network, run.network.weights_digest, layout.batch, layout.device, floor_name)
    reading, parts = Slices(run.source, run.images, cut), len(cut)
    decoding = Decoding(run.network.preprocessing)
    pool = ActorPoolStrategy(size=actors)
    # Ray takes no retries of an actor's calls where the actor is not started again.
    retries = config.task_retries if config.actor_restarts else 0
    lives: dict[str, Any] = {"max_restarts": config.actor_restarts, "max_task_retries": retries}
    if layout.gpu:
        stream = ray.data.read_datasource(reading, override_num_blocks=parts, num_cpus=1)
        decoded = stream.map_batches(
            decoding, batch_size=layout.batch, batch_format="pyarrow", num_cpus=1, max_retries=config.task_retries
        )
        return decoded.map_batches(
            ScanActor,
            batch_size=config.call_images,
            batch_format="numpy",
            compute=pool,
            num_gpus=1,
            fn_constructor_kwargs={"settings": settings},
            **lives,
        )
    stream = ray.data.read_datasource(reading, override_num_blocks=parts, num_cpus=ASIDE_CPUS)
    return stream.map_batches(
        DecodingScanActor,
        batch_size=config.call_images,
        batch_format="pyarrow",
        compute=pool,
        num_cpus=ACTOR_CPUS,
        fn_constructor_kwargs={"settings": settings, "decoding": decoding},
        **lives,
    )


def _merged(found: Dataset, config: ScanConfig, rows: int) -> Dataset:
    """The tree's level between actors and driver, where there are calls enough for one."""
    if rows == 1:
        return found
    return found.map_batches(
        TreeLevel(config.rank_depth),
        batch_size=rows,
        batch_format="pyarrow",
        num_cpus=ASIDE_CPUS,
        max_retries=config.task_retries,
    )


def _rows(found: Dataset, config: ScanConfig) -> Iterator[pa.Table]:
    context = found.context  # a copy of the current one, made when the stream was: later changes there do not reach it
    context.wait_for_min_actors_s = config.wait_for_min_actors_s
    context.execution_no_progress_timeout_s = config.no_progress_timeout_s
    context.execution_options.preserve_order = False
    try:
        yield from found.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except GetTimeoutError as error:
        raise RayselError(
            f"the scan's actors did not all start within {config.wait_for_min_actors_s} s (wait_for_min_actors_s): "
            "free the cluster, ask for fewer --workers or --gpus, or wait longer"
        ) from error
    except ExecutionTimeoutError as error:
        raise RayselError(
            f"the scan did not move for {config.no_progress_timeout_s} s (no_progress_timeout_s): "
            "see what the cluster does, and run again: it goes on from its snapshot"
        ) from error
