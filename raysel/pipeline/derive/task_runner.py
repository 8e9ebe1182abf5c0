"""Ray tasks run a bounded number at a time, with the patience that the configuration asks for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import ray

from raysel.config import ScanConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster import Cluster

CHECK_EVERY_S = 1.0

T = TypeVar("T")

_CANCEL_S = 10


@dataclass(frozen=True)
class TaskRunner:
    """Runs the tasks of derive."""

    config: ScanConfig
    """How often a task may run again, and how long none may end."""
    cluster: Cluster

    def task(self, function: Any, **options: Any) -> Any:
        """A remote function whose tasks run again if their worker or machine dies."""
        return function.options(max_retries=self.config.task_retries, **options)

    def results(self, waiting: deque[T], start: Callable[[T], ray.ObjectRef]) -> Iterator[tuple[T, Any]]:
        """Start what is in `waiting`, or is added to it meanwhile, and yield each with its task's result as it ends.

        If a task fails, or the caller takes no more results, the other tasks are canceled.

        Raises:
            RayselError: no task ended for ``no_progress_timeout_s``, or the disk of a local Ray is full.
        """
        running: dict[ray.ObjectRef, T] = {}
        try:
            while waiting or running:
                while waiting and len(running) < _in_flight():
                    job = waiting.popleft()
                    running[start(job)] = job
                for ref in self._ended(list(running)):
                    yield running.pop(ref), ray.get(ref)
        finally:
            _cancel(list(running))

    def _ended(self, running: list[ray.ObjectRef]) -> list[ray.ObjectRef]:
        limit, began = self.config.no_progress_timeout_s, time.monotonic()
        while True:
            ended, _ = ray.wait(running, timeout=CHECK_EVERY_S)
            if ended:
                return ended
            self.cluster.check_disk()
            if 0 <= limit <= time.monotonic() - began:
                raise RayselError(
                    f"no task of derive ended for {limit} s (no_progress_timeout_s): "
                    "look at the cluster, then run again to resume"
                )


def _cancel(running: list[ray.ObjectRef]) -> None:
    """Cancel tasks, and wait until they have cleaned up: they write no files when the run has ended."""
    for ref in running:
        ray.cancel(ref)
    if running:
        ray.wait(running, num_returns=len(running), timeout=_CANCEL_S)


def _in_flight() -> int:
    """Enough tasks that no CPU waits for the driver, and few enough that rankings do not pile up in memory."""
    return 4 * max(1, int(ray.cluster_resources().get("CPU", 1)))
