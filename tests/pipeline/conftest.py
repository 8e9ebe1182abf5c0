"""A clock for tests of what depends on time."""

from __future__ import annotations

import time

import pytest


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces ``time.monotonic``."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock
