"""What the tests of the lock share."""

from __future__ import annotations

import time
from collections.abc import Callable

from raysel.errors import RayselError
from raysel.store import Lease, RunLock
from raysel.store.lock import Holder

QUICK = Lease(beat_s=0.1, lasts_s=1.5, patience_s=0.5)


def elsewhere() -> bytes:
    """The content of a lock whose holder is on another machine, where its pid says nothing here."""
    return Holder("run", "far", 1, "another boot", "0", "2026-01-01").encode(0)


def lost(lock: RunLock) -> bool:
    """True if the lock is no longer ours, as far as its holder knows."""
    try:
        lock.confirm()
    except RayselError:
        return True
    return False


def wait_for(condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Until it holds."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
