"""Images through a fixed pool of actors: Ray Data reads slices, decodes them, and calls the actors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import GetTimeoutError

from raysel.config import Preprocessing, ScanConfig
from raysel.errors import RayselError
from raysel.images import GROUP_IMAGES, ImagesList, Slice, Source, slices
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.scan.actor import decode_images
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.pool import ActorPool, PoolSizeChanged, watch_pool
from raysel.pipeline.scan.slice_reader import SliceReader

ASIDE_CPUS = 0.05

T = TypeVar("T")


@dataclass(frozen=True)
class ActorStream:
    """How images get to a pool of actors."""

    source: Source
    images: ImagesList
    preprocessing: Preprocessing
    config: ScanConfig
    layout: ScanLayout
    """What an actor holds, and how many actors the cluster should have room for."""
    actors: int
    """Size of the pool."""
    cluster: Cluster
    """The cluster at the start of the run."""
    say: Callable[[str], None]
    """Prints a line."""

    def through(self, missing: NDArray[np.int64], actor: type, **settings: Any) -> Dataset:
        """What the calls of an actor return.

        Args:
            missing: ids of the images, int64.
            actor: a class whose calls take a `raysel.pipeline.scan.actor.Batch`: decoded if the actors hold GPUs, else
                as read.
            **settings: arguments of the class.
        """
        config, parts = self.config, self._slices_of(missing)
        groups = max(config.call_images // GROUP_IMAGES, 1)
        read = ray.data.read_datasource(
            SliceReader(self.source, self.images, parts, config.call_images // groups),
            override_num_blocks=len(parts),
            num_cpus=1 if self.layout.gpu else ASIDE_CPUS,
        )
        if self.layout.gpu:
            read = read.map_batches(
                partial(decode_images, preprocessing=self.preprocessing),
                batch_size=1,
                batch_format="numpy",
                num_cpus=1,
                max_retries=config.task_retries,
            )
        return read.map_batches(
            actor,
            fn_constructor_kwargs=settings,
            batch_size=config.call_images if self.layout.gpu else groups,
            batch_format="numpy",
            compute=ActorPoolStrategy(size=self.actors),
            max_restarts=config.actor_restarts,
            # Ray refuses retries of calls to an actor that it must not restart.
            max_task_retries=config.task_retries if config.actor_restarts else 0,
            **self.layout.actor_resources,
        )

    def tables(self, stream: Dataset) -> Iterator[pa.Table]:
        """The blocks of a stream that begins with `through`, as they are computed.

        Raises:
            PoolSizeChanged: another number of actors fits the cluster now.
            RayselError: the actors did not start, or nothing moved, for longer than the configuration allows.
        """
        config, context = self.config, stream.context
        context.wait_for_min_actors_s = config.wait_for_min_actors_s
        context.execution_no_progress_timeout_s = config.no_progress_timeout_s
        context.execution_options.preserve_order = False
        # Machines are lost while actors start, too. What raysel raises there fails in every actor, and so ends the run.
        context.max_consecutive_actor_init_deaths = self.actors
        pool = ActorPool(self.actors, self.layout.workers, self.layout.gpu, config.lost_machine_wait_s)
        watch_pool(context, pool, self.cluster, self.say)
        try:
            yield from stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        except GetTimeoutError as error:
            raise RayselError(
                f"the actors did not all start within {config.wait_for_min_actors_s} s (wait_for_min_actors_s): "
                "free the cluster, ask for fewer --workers or --gpus, or wait longer"
            ) from error
        except ExecutionTimeoutError as error:
            raise RayselError(
                f"no progress for {config.no_progress_timeout_s} s (no_progress_timeout_s): "
                "check the cluster and run again; a scan resumes from its snapshot"
            ) from error

    def _slices_of(self, missing: NDArray[np.int64]) -> list[Slice]:
        """The slices of all images, in their order, without the images that are not missing."""
        is_missing = np.zeros(len(self.images.images), bool)
        is_missing[missing] = True
        parts = (
            replace(part, ids=part.ids[is_missing[part.ids]])
            for part in slices(self.images, self.config.slice_images, self.config.seed)
        )
        return [part for part in parts if len(part.ids)]


def with_changing_pool(results: Callable[[ActorStream], Iterator[T]], stream: ActorStream) -> Iterator[T]:
    """The results of streams, each with as many actors as the cluster has room for then.

    Args:
        results: of one stream, over all images that are still missing when it is called.
        stream: the first one.
    """
    while True:
        try:
            yield from results(stream)
            return
        except PoolSizeChanged as now:
            stream.say(f"the cluster changed: continuing with {now.actors} actors instead of {stream.actors}")
            stream = replace(stream, actors=now.actors)
