"""The Ray that a run uses: an existing one, or a local one that ends with the run."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import ray

from raysel.config import ClusterConfig
from raysel.errors import RayselError
from raysel.pipeline.ray_token import own_token

try:
    from ray._private import worker  # ray 2.60
except ImportError:  # a later Ray prints its paragraphs
    worker = None  # type: ignore[assignment]

_ANSWER_S = 5.0
_TEMP_DIR = "/tmp"
"""Ray's sockets need a short path."""
_FREE_BYTES = 100 << 20
"""Free disk space that a local Ray needs to start, for its logs and for the objects that do not fit in memory."""
_FULL_BYTES = 10 << 20
"""A disk with less free space is full."""


@dataclass(frozen=True)
class Cluster:
    """Resources of a cluster."""

    cpus: int
    gpus: int
    session: str | None = None
    """Folder in which a local Ray keeps its session; None if the Ray is not the run's own."""

    def check_disk(self) -> None:
        """Fail if the session's disk is full: Ray's workers would die there, and be started again without end.

        Raises:
            RayselError: the disk is full.
        """
        if self.session and shutil.disk_usage(self.session).free < _FULL_BYTES:
            raise RayselError(
                f"the disk of {self.session}, where Ray keeps its session, is full: free some space or choose another "
                "folder with --temp-dir, and run again to resume"
            )


def cluster_now() -> Cluster:
    """Resources of the machines that are alive now."""
    nodes = [node for node in ray.nodes() if node["Alive"]]

    def total(resource: str) -> int:
        return int(sum(node["Resources"].get(resource, 0) for node in nodes))

    return Cluster(total("CPU"), total("GPU"))


@contextmanager
def connected(config: ClusterConfig, *, verbose: bool = False) -> Iterator[Cluster]:
    """A connection to Ray for the time of a run.

    A Ray that this process is already connected to is used and left alone; else the cluster at ``config.address``, else
    the one at $RAY_ADDRESS; else a local Ray is started, with its own temporary folder, and ended.

    Raises:
        RayselError: no cluster answers at the address.
    """
    if ray.is_initialized():
        with _settled(verbose):
            yield cluster_now()
        return
    address = config.address or os.environ.get("RAY_ADDRESS")
    starting = _joined(address, verbose) if address else _started(config, verbose)
    with _settled(verbose), starting as session:
        yield replace(cluster_now(), session=session)


@contextmanager
def _joined(address: str, verbose: bool) -> Iterator[None]:
    try:
        _check_access(address)
        with _hushed(verbose):
            ray.init(address=address, log_to_driver=verbose, logging_level=_level(verbose))
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        what = "start one there, give another --address, or unset RAY_ADDRESS"
        raise RayselError(f"no Ray cluster answers at {address} ({error}): {what}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_access(address: str) -> None:
    """If nothing listens at the address, Ray retries for minutes and then exits the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()


@contextmanager
def _started(config: ClusterConfig, verbose: bool) -> Iterator[str]:
    _check_temp_dir(Path(config.temp_dir or _TEMP_DIR))
    session = nullcontext(config.temp_dir) if config.temp_dir else _session_folder()
    with session as folder, own_token():
        try:
            _start(config, folder, verbose)
            yield folder
        finally:
            ray.shutdown()


def _start(config: ClusterConfig, folder: str, verbose: bool) -> None:
    try:
        with _hushed(verbose), _interrupted_after():
            ray.init(
                address="local",
                num_cpus=config.num_cpus,
                include_dashboard=False,
                log_to_driver=verbose,
                logging_level=_level(verbose),
                _temp_dir=folder,
            )
    except (OSError, RuntimeError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise RayselError(f"cannot start Ray in {folder} ({first_line}): try another --temp-dir") from error


def _session_folder() -> tempfile.TemporaryDirectory[str]:
    """A fresh folder, removed at the end of the run. A run that is killed leaves it behind."""
    return tempfile.TemporaryDirectory(prefix="raysel-ray-", dir=_TEMP_DIR, ignore_cleanup_errors=True)


def _check_temp_dir(folder: Path) -> None:
    """Fail now if `folder` is unusable or its disk is full: Ray would wait for 30 s and then print a stack trace."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise RayselError(f"cannot use {folder} for Ray ({error.strerror}): choose another --temp-dir") from error
    if free < _FREE_BYTES:
        raise RayselError(
            f"{folder} has {free >> 20} MB of free disk space and Ray needs {_FREE_BYTES >> 20} MB: "
            "free some, or choose another folder with --temp-dir"
        )


@contextmanager
def _interrupted_after() -> Iterator[None]:
    """Delay Ctrl-C until the block has ended: a Ray that is interrupted while it starts can hang for minutes."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # a shell does so for commands in the background
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


def _level(verbose: bool) -> int:
    return logging.INFO if verbose else logging.CRITICAL


@contextmanager
def _hushed(verbose: bool) -> Iterator[None]:
    """Discard what Ray's C++ core writes to stderr while it starts. It reports its errors as exceptions."""
    if verbose:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _settled(verbose: bool) -> Iterator[None]:
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
            logger.setLevel(_level(verbose))
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
