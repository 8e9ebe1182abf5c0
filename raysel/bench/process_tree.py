"""Commands that are measured: seconds, and CPU seconds of a process and everything that it starts."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raysel.errors import RayselError

_EVERY_S = 0.1
_END_S = 20.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    launched: float
    """`time.monotonic` before it."""
    seconds: float
    cpu: tuple[tuple[float, float], ...]
    """Samples of a `CpuMeter`."""

    @property
    def cpu_seconds(self) -> float | None:
        """Of all its processes; None where they cannot be measured."""
        return self.cpu[-1][1] if self.cpu else None


def run_measured(command: Sequence[str], name: str) -> Ran:
    """Run a command to its end, with one thread in each library that does not set its own number.

    Raises:
        RayselError: it failed; the message has its last line.
    """
    with tempfile.TemporaryFile("w+") as output:
        launched = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, **_ONE_THREAD}, stdout=output, stderr=output)
        try:
            with CpuMeter(process.pid) as meter:
                status = process.wait()
        finally:
            _end(process)
        seconds = time.monotonic() - launched
        output.seek(0)
        lines = output.read().splitlines()
    if status:
        raise RayselError(f"{name} failed: {lines[-1] if lines else f'exit status {status}'}")
    return Ran(launched, seconds, tuple(meter.samples))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that is left when its caller is interrupted, with time to remove what it has made."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


class CpuMeter:
    """Adds up the CPU time of a process and of all its descendants while it runs.

    A thread reads ``/proc/<pid>/stat`` (user and system time) of every descendant ten times a second and keeps the last
    value of each. A process that ends takes at most its last tenth of a second with it. The usual way, the resource
    usage of children that were waited for, misses the workers of Ray: the raylet, their parent, ignores SIGCHLD. A
    descendant whose parent has ended still counts. Where there is no ``/proc``, there are no samples.
    """

    def __init__(self, pid: int) -> None:
        self.samples: list[tuple[float, float]] = []
        """Pairs of `time.monotonic` and the CPU seconds so far."""
        self._seconds: dict[tuple[int, int], float] = {}
        self._tree = {pid}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> CpuMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while Path("/proc/self/stat").exists():
            self._sample()
            if self._ended.wait(_EVERY_S):
                return

    def _sample(self) -> None:
        processes = _processes()
        alive = {pid for pid in self._tree if pid in processes}
        while more := {pid for pid, (parent, *_) in processes.items() if parent in alive} - alive:
            alive |= more
        self._tree = alive
        for pid in alive:
            _, started, seconds = processes[pid]
            self._seconds[pid, started] = seconds
        self.samples.append((time.monotonic(), sum(self._seconds.values())))


def _processes() -> dict[int, tuple[int, int, float]]:
    """pid -> (pid of the parent, start time in ticks, CPU seconds) of all processes that can be read."""
    tick, found = os.sysconf("SC_CLK_TCK"), {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        found[int(name)] = int(fields[1]), int(fields[19]), (int(fields[11]) + int(fields[12])) / tick
    return found
