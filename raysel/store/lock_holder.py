"""Who holds the lock of an index, and what the holder is doing."""

from __future__ import annotations

import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Doing:
    """What a run is doing: its stage, and how far it is."""

    stage: str
    unit: str
    """What is counted, such as ``images``."""
    done: int
    total: int | None
    rate: float
    """Units per second in this run."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock: for messages, and to notice on the same machine that it has ended."""

    run: str
    host: str
    pid: int
    machine: str
    """Id of the machine's boot and of the process's pid namespace: elsewhere the pid means nothing. May be empty."""
    started: str
    """Start time of the process in kernel ticks: a pid may be used again by another process."""
    since: str
    beat: int = 0
    doing: dict[str, Any] | None = None
    """Fields of `Doing`."""

    @classmethod
    def me(cls) -> Holder:
        """This process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(uuid.uuid4().hex, socket.gethostname(), os.getpid(), _machine(), _started(os.getpid()), now)

    def has_ended(self) -> bool:
        """True if the process ran on this machine and has ended; False if it runs or its state is not known."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it runs and belongs to another user
        started = _started(self.pid)  # empty where /proc hides other users' processes
        return bool(started) and started != self.started

    def encode(self, beat: int, doing: Doing | None = None) -> bytes:
        """The content of the lock. Different for every run and beat."""
        return json.dumps(asdict(self) | {"beat": beat, "doing": doing and asdict(doing)}).encode()

    @classmethod
    def decode(cls, content: bytes) -> Holder | None:
        """The holder that a lock names; None if the content is not a lock's."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time of a process in kernel ticks; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
