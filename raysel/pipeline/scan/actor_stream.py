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

from raysel.config import Preprocessing, ScanConfig
from raysel.errors import RayselError
from raysel.images import GROUP_IMAGES, ImagesList, Slice, Source, slices
from raysel.pipeline.cluster import Cluster, cluster_now
from raysel.pipeline.scan.actor import decode_images
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.pool import MachineLost, PoolWatch, watch_pool
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
    """The pool."""
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
            compute=ActorPoolStrategy(size=self.layout.workers),
            max_restarts=config.actor_restarts,
            # Ray refuses retries of calls to an actor that it must not restart.
            max_task_retries=config.task_retries if config.actor_restarts else 0,
            **self.layout.actor_resources,
        )

    def tables(self, stream: Dataset) -> Iterator[pa.Table]:
        """The blocks of a stream that begins with `through`, as they are computed.

        Raises:
            MachineLost: the stream must begin again, over the images that it has not delivered.
            RayselError: nothing moved for longer than the configuration allows.
        """
        config, context, layout = self.config, stream.context, self.layout
        context.wait_for_min_actors_s = -1  # the first actors begin, and machines may join later
        context.execution_no_progress_timeout_s = config.no_progress_timeout_s
        context.execution_options.preserve_order = False
        room = layout.room(cluster_now())
        # Machines are lost while actors start, too. What raysel raises there fails in every actor, and so ends the run.
        context.max_consecutive_actor_init_deaths = max(room, 1)
        watch_pool(context, partial(PoolWatch, layout, config.lost_machine_wait_s, self.cluster), self.say)
        if not room:
            self.say("no machine has room for an actor yet: waiting")
        elif room < layout.workers:
            self.say(f"there is room for {room} of {layout.workers} actors; the others start when machines join")
        try:
            yield from stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        except ExecutionTimeoutError as error:
            raise RayselError(
                f"no progress for {config.no_progress_timeout_s} s (no_progress_timeout_s): check the source, and that "
                f"the cluster has free CPUs{' and GPUs' if layout.gpu else ''}, and run again; a scan resumes"
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


def despite_lost_machines(results: Callable[[], Iterator[T]], say: Callable[[str], None]) -> Iterator[T]:
    """The results of streams, of which one ends and the next begins when a machine is lost.

    Args:
        results: of one stream, over all images that are still missing when it is called.
        say: prints a line.
    """
    while True:
        try:
            yield from results()
            return
        except MachineLost:
            say("a machine was lost: continuing with those that are there")
