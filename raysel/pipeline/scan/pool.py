"""Machines come and go: a pool of actors that no longer fits the cluster is noticed, and ended to be made anew.

Ray Data's pool has a fixed size. An actor whose machine is gone waits for a place, with the calls that were given to
it, and where no machine is free it would wait for ever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ray.data import DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback  # in no public module yet (ray 2.60)
from ray.data._internal.execution.streaming_executor import StreamingExecutor

from raysel.pipeline.cluster import cluster_now

LOOK_EVERY_S = 2.0
_SETTING = "raysel.pool"


class PoolSizeChanged(Exception):  # noqa: N818 (it is no error)
    """The cluster has held another number of the scan's actors for a while than its pool has."""

    def __init__(self, actors: int) -> None:
        super().__init__(actors)
        self.actors = actors
        """How many fit now, at most as many as were asked for."""


@dataclass(frozen=True)
class Pool:
    """The actors of a stream."""

    actors: int
    """So many it has."""
    wanted: int
    """So many were asked for."""
    gpu: bool
    """Each holds a GPU, else a CPU."""
    patience_s: float
    """How long another machine may take to come in place of a lost one; -1: for ever."""

    def fitting(self) -> int:
        """How many of those asked for the machines that live now hold."""
        cluster = cluster_now()
        return min(self.wanted, cluster.gpus if self.gpu else cluster.cpus)


def watch(context: DataContext, pool: Pool) -> None:
    """End executions in `context` with `PoolSizeChanged` once another pool size has fitted for the pool's patience.

    That no actor fits at all is waited out.
    """
    if pool.patience_s >= 0:
        context.set_config(_SETTING, pool)
        context.custom_execution_callback_classes = [_Watch]


class _Watch(ExecutionCallback):
    """Looks at the cluster while a stream runs, every few seconds."""

    def __init__(self) -> None:
        self._look_at = self._fitted_at = time.monotonic()

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        pool: Pool = executor._data_context.get_config(_SETTING)
        self._look_at = now + min(LOOK_EVERY_S, pool.patience_s / 4)
        fitting = pool.fitting()
        if fitting in (pool.actors, 0):
            self._fitted_at = now
        elif now - self._fitted_at >= pool.patience_s:
            raise PoolSizeChanged(fitting)
