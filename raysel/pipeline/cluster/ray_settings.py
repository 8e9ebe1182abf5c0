"""Ray's settings for a run, in this process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from raysel.pipeline.cluster.ray_start import ray_level

try:
    from ray._private import worker  # ray 2.60
except ImportError:  # a later Ray prints its paragraphs
    worker = None  # type: ignore[assignment]


@contextmanager
def settled(verbose: bool) -> Iterator[None]:
    """Ray's settings for a run: Ray Data's own, log levels, and warnings. Restores them at the end."""
    from ray.data import DataContext  # takes half a second, and tasks that import this module do without

    before = DataContext.get_current()
    context = before.copy()
    # Only raysel knows how many images are covered, so only raysel shows progress.
    context.enable_progress_bars = False
    context.print_on_execution_start = verbose
    # Blocks of a few MB: the first images reach the actors before a whole slice is read.
    context.target_max_block_size = 8 << 20
    levels = {logger: logger.level for logger in map(logging.getLogger, ("ray", "ray.data"))}
    prints = getattr(worker, "_worker_logs_enabled", True)
    with warnings.catch_warnings():
        if not verbose:
            # A run may have fewer blocks than actors, and Ray 2.60 offers no other way to set how often it retries.
            warnings.filterwarnings("ignore", message="The minimum number of concurrent actors")
            warnings.filterwarnings("ignore", message=".*ray_remote_args.* is deprecated")
        for logger in levels:
            logger.setLevel(ray_level(verbose))
        # Otherwise Ray prints a paragraph on stdout for every worker that dies. Nothing public turns that off.
        if worker:
            worker._worker_logs_enabled = verbose
        DataContext._set_current(context)
        try:
            yield
        finally:
            DataContext._set_current(before)
            if worker:
                worker._worker_logs_enabled = prints
            for logger, level in levels.items():
                logger.setLevel(level)
