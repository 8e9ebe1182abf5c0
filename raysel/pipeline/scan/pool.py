"""Detects that a stream must begin again because a machine is lost for good, or end because the disk is full.

Ray Data's pool has a fixed size. An actor without a place gets no calls, and starts when a machine joins. One whose
machine is lost keeps its calls, and would wait forever if no machine has room for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ray.data import DataContext

from raysel.pipeline.cluster import Cluster
from raysel.pipeline.scan.layout import ScanLayout

CHECK_EVERY_S = 1.0


class MachineLost(Exception):  # noqa: N818 (it is not an error)
    """A machine with actors was lost, and no other has replaced it in time."""


class PoolWatch:
    """Checks every second whether the pool of a stream can go on."""

    def __init__(self, layout: ScanLayout, patience_s: float, cluster: Cluster) -> None:
        """Begin to watch.

        Args:
            layout: the pool.
            patience_s: seconds that another machine may take to replace a lost one; -1: no limit.
            cluster: the cluster at the start of the run.
        """
        self._layout, self._patience_s, self._cluster = layout, patience_s, cluster
        self._check_at = time.monotonic()
        self._room = layout.room()
        self._lost_at: float | None = None

    def check(self) -> None:
        """Fail if the stream must end. A cluster without room for any actor is waited for.

        Raises:
            MachineLost: the patience with a lost machine is over.
            RayselError: the disk of a local Ray is full.
        """
        now = time.monotonic()
        if now < self._check_at:
            return
        self._check_at = now + CHECK_EVERY_S
        self._cluster.check_disk()
        if self._patience_s < 0:
            return
        room = self._layout.room()
        # After a loss, an actor that has never had a call may have taken the place of one with calls.
        if room == self._layout.workers or (self._lost_at is None and room >= self._room):
            self._room, self._lost_at = room, None
        elif self._lost_at is None or room == 0:
            self._lost_at = now
        elif now - self._lost_at >= self._patience_s:
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

        def on_execution_step(self, executor: object) -> None:
            self._watch.check()

    context.custom_execution_callback_classes = [Callback]
