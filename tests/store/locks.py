"""Helpers of the lock's tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from raysel.errors import RayselError
from raysel.store import Lease, RunLock
from raysel.store.lock import Holder

QUICK = Lease(beat_s=0.1, lasts_s=1.5, patience_s=0.5)
SILENT = Lease(beat_s=600, lasts_s=6000)
"""The holder gives no sign of life by itself, as if it were asleep."""


def elsewhere() -> bytes:
    """The content of a lock whose holder is on another machine, where its pid is unknown here."""
    return Holder("run", "far", 1, "another boot", "0", "2026-01-01").encode(0)


def lost(lock: RunLock) -> bool:
    """True if the lock cannot be confirmed."""
    try:
        lock.confirm()
    except RayselError:
        return True
    return False


def wait_for(condition: Callable[[], bool], patience_s: float = 120.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)
