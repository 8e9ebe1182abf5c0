"""A Ray head of the tests' own, to submit jobs to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.object_store import is_free
from tests.typed import environment, marked_processes

_PORTS = ("port", "dashboard-port", "ray-client-server-port", "node-manager-port", "object-manager-port")
_AGENT_PORTS = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port")
_METRICS_PORTS = ("metrics-export-port",)
_WORKERS = 24


@dataclass(frozen=True)
class Head:
    """A running head."""

    dashboard: str
    """``http://127.0.0.1:PORT``."""
    address: str
    """``127.0.0.1:PORT``, for drivers."""
    metrics: str
    """Where Prometheus reads."""


@pytest.fixture(scope="module")
def head(home: Path) -> Iterator[str]:
    """Address of the dashboard of a head on two CPUs."""
    with running_head(home, RAY_AUTH_MODE="disabled") as running:
        yield running.dashboard


@contextmanager
def running_head(home: Path, *options: str, **environ: str) -> Iterator[Head]:
    """A head on two CPUs, with further options and environment; all of its processes are ended by their ids."""
    names = (*_PORTS, *_AGENT_PORTS, *_METRICS_PORTS)
    first = _free_ports(len(names) + _WORKERS)
    ports = {name: first + number for number, name in enumerate(names)}
    workers = first + len(names)
    folder = tempfile.mkdtemp(prefix="rs-", dir="/tmp")  # Ray's sockets need a short path
    programs = Path(sys.executable).parent
    command = [
        str(programs / "ray"),
        *("start", "--head", "--block", "--num-cpus=2", f"--object-store-memory={200 << 20}", f"--temp-dir={folder}"),
        *("--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--include-dashboard=true"),
        *(f"--{name}={port}" for name, port in ports.items()),
        *(f"--min-worker-port={workers}", f"--max-worker-port={workers + _WORKERS - 1}"),
        *options,
    ]
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # jobs run with that of the head
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAYSEL_TEST": folder, "PATH": path, **environ}
    with open(f"{folder}/said", "w") as said:
        started = subprocess.Popen(command, env=environment(home, **settings), stdout=said, stderr=said)
    dashboard = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        _wait_for(f"{dashboard}/api/version", started, Path(folder, "said"))
        metrics = f"http://127.0.0.1:{ports['metrics-export-port']}/metrics"
        yield Head(dashboard, f"127.0.0.1:{ports['port']}", metrics)
    finally:
        _end(started, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row, below those that Ray gives to workers by default.

    A head takes its ports one by one, so each process of pytest has a range of its own, below that of SeaweedFS.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    begin = 6400 + process % 2 * 300
    for first in range(begin + os.getpid() % 4 * count, begin + 300 - count, count):
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError("no free ports")


def _wait_for(url: str, started: subprocess.Popen, said: Path) -> None:
    import requests

    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert started.poll() is None, said.read_text()
        try:
            if requests.get(url, timeout=5).status_code in (200, 401):
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(f"no dashboard at {url}: {said.read_text()}")


def _end(started: subprocess.Popen, mark: str) -> None:
    """The head and all of its children. Nothing of it is kept, and a graceful end takes Ray half a minute."""
    while processes := marked_processes(mark):
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
    started.wait()
