"""Detects that a pool of actors must stop: another size fits since machines were lost or joined, or the disk is full.

Ray Data's pool has a fixed size. An actor whose machine is lost waits for a place with the calls that it was given, and
would wait forever if no machine has room for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ray.data import DataContext

from raysel.pipeline.cluster import Cluster, cluster_now

CHECK_EVERY_S = 1.0


class PoolSizeChanged(Exception):  # noqa: N818 (it is not an error)
    """For a while the cluster has had room for another number of the scan's actors than its pool has."""

    def __init__(self, actors: int) -> None:
        super().__init__(actors)
        self.actors = actors
        """How many actors the cluster has room for now, at most as many as were asked for."""


@dataclass(frozen=True)
class ActorPool:
    """The pool of a running stream."""

    actors: int
    """Number of actors in the pool."""
    wanted: int
    """Number of actors that were asked for."""
    gpu: bool
    """True if each actor holds a GPU, False if each holds a CPU."""
    patience_s: float
    """Seconds that another machine may take to replace a lost one; -1: no limit."""

    def fitting(self) -> int:
        """How many of the wanted actors the cluster has room for now."""
        cluster = cluster_now()
        return min(self.wanted, cluster.gpus if self.gpu else cluster.cpus)


class PoolWatch:
    """Checks every second whether a pool can go on."""

    def __init__(self, pool: ActorPool, cluster: Cluster) -> None:
        self._pool, self._cluster = pool, cluster
        self._check_at = self._fitted_at = time.monotonic()

    def check(self) -> None:
        """Fail if the pool must end. A cluster without room for any actor is waited for.

        Raises:
            PoolSizeChanged: another pool size has fitted for the pool's patience.
            RayselError: the disk of a local Ray is full.
        """
        now, pool = time.monotonic(), self._pool
        if now < self._check_at:
            return
        self._check_at = now + CHECK_EVERY_S
        self._cluster.check_disk()
        if pool.patience_s < 0:
            return
        fitting = pool.fitting()
        if fitting in (pool.actors, 0):
            self._fitted_at = now
        elif now - self._fitted_at >= pool.patience_s:
            raise PoolSizeChanged(fitting)


def watch_pool(context: DataContext, pool: ActorPool, cluster: Cluster, say: Callable[[str], None]) -> None:
    """Let streams that run in `context` fail as `PoolWatch.check` does.

    Args:
        context: the stream's settings.
        pool: the stream's actors.
        cluster: the cluster at the start of the run.
        say: prints a line; called if this version of Ray has no place for the check.
    """
    try:
        # Ray 2.60 has it in no public module.
        from ray.data._internal.execution.execution_callback import ExecutionCallback
    except ImportError:
        say("lost machines and a full disk will not be noticed: this version of Ray has no execution callbacks")
        return

    class Callback(ExecutionCallback):
        def __init__(self) -> None:
            self._watch = PoolWatch(pool, cluster)

        def on_execution_step(self, executor: object) -> None:
            self._watch.check()

    context.custom_execution_callback_classes = [Callback]
