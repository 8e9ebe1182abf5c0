"""Joining a Ray that runs, or starting a local one."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TextIO

import ray

from raysel.config import ClusterConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster.ray_token import own_token

_ANSWER_S = 5.0
_TEMP_DIR = "/tmp"
"""Ray's sockets need a short path."""
_FREE_BYTES = 100 << 20
"""Free disk space that a local Ray needs to start, for its logs and for the objects that do not fit in memory."""


@contextmanager
def ray_running(config: ClusterConfig, verbose: bool) -> Iterator[str | None]:
    """The cluster at ``config.address``, else the one at $RAY_ADDRESS; else a local Ray, which ends with the context.

    Returns:
        The folder of a local Ray's session; None if it is not the context's own.

    Raises:
        RayselError: no cluster answers at the address, or the local Ray does not start.
    """
    address = config.address or os.environ.get("RAY_ADDRESS")
    with _joined(address, verbose) if address else _started(config, verbose) as session:
        yield session


@contextmanager
def _joined(address: str, verbose: bool) -> Iterator[None]:
    try:
        _check_access(address)
        with _hushed(verbose):
            ray.init(address=address, log_to_driver=verbose, logging_level=ray_level(verbose))
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
            try:
                _end_autoscaler()
            finally:
                ray.shutdown()


def _end_autoscaler() -> None:
    """End the autoscaler of a local Ray, which has nothing to scale: it would take a second to end by itself."""
    with suppress(ImportError, AttributeError):  # nothing public names it in Ray 2.60
        from ray._private import worker

        node: Any = worker._global_node
        node.kill_monitor(check_alive=False)


def _start(config: ClusterConfig, folder: str, verbose: bool) -> None:
    try:
        with _hushed(verbose):
            ray.init(
                address="local",
                num_cpus=config.num_cpus,
                include_dashboard=False,
                log_to_driver=verbose,
                logging_level=ray_level(verbose),
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


def ray_level(verbose: bool) -> int:
    """Least level of the messages that Ray's Python code logs."""
    return logging.INFO if verbose else logging.CRITICAL


@contextmanager
def _hushed(verbose: bool) -> Iterator[None]:
    """Discard what Ray's C++ core writes to stderr while it starts. It reports its errors as exceptions.

    What Python's threads print meanwhile is shown.
    """
    if verbose:
        yield
        return
    sys.stderr.flush()
    kept, shown = os.dup(2), sys.stderr
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    if _writes_to(shown, 2):
        # It is not closed here: another thread may be printing to it.
        sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1)
    try:
        yield
    finally:
        sys.stderr = shown
        os.dup2(kept, 2)
        os.close(kept)


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return False
