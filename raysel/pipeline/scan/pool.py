"""Detects that a stream must begin again because a machine is lost, or end because the disk is full.

Ray Data's pool has a fixed size. An actor without a place gets no calls, and starts when a machine joins. One whose
machine is lost keeps its calls until it has another place, which it may never get.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.data import DataContext

from raysel.pipeline.cluster import Cluster, cluster_now
from raysel.pipeline.scan.layout import ScanLayout

CHECK_EVERY_S = 1.0


class MachineLost(Exception):  # noqa: N818 (it is not an error)
    """A machine was lost, and an actor that ran there has waited too long for another place."""


class PoolWatch:
    """Checks every second whether the pool of a stream can go on."""

    def __init__(self, layout: ScanLayout, patience_s: float, cluster: Cluster) -> None:
        """Begin to watch.

        Args:
            layout: the pool.
            patience_s: seconds that an actor whose machine is lost may wait for another; -1: no limit.
            cluster: the cluster at the start of the run.
        """
        self._layout, self._patience_s, self._cluster = layout, patience_s, cluster
        self._check_at = self._complete_at = time.monotonic()
        self._machines = cluster_now().machines

    def check(self, restarting: int) -> None:
        """Fail if the stream must end. A cluster without room for any actor is waited for.

        Args:
            restarting: how many actors have run, and now wait for a place or start again.

        Raises:
            MachineLost: the patience is over.
            RayselError: the disk of a local Ray is full.
        """
        now = time.monotonic()
        if now < self._check_at:
            return
        self._check_at = now + CHECK_EVERY_S
        self._cluster.check_disk()
        there = cluster_now()
        self._machines |= there.machines
        # An actor may also have crashed, and start again on the same machine.
        if not restarting or self._machines == there.machines or not self._layout.room(there):
            self._complete_at = now
        elif 0 <= self._patience_s <= now - self._complete_at:
            raise MachineLost


def watch_pool(context: DataContext, watch: Callable[[], PoolWatch], say: Callable[[str], None]) -> None:
    """Let streams that run in `context` fail as `PoolWatch.check` does.

    Args:
        context: the stream's settings.
        watch: makes the watch of a stream when it begins. Ray pickles it with the context.
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
            self._watch = watch()

        def on_execution_step(self, executor: Any) -> None:
            self._watch.check(sum(operator.get_actor_info().restarting for operator in executor._topology))

    context.custom_execution_callback_classes = [Callback]
