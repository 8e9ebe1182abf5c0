"""Ctrl-C, heard also where somebody on the way swallows it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, an interrupt is raised at once as ever, and by `check_interrupt` if nobody has been ended by that."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def hear(number: int, frame: FrameType | None) -> None:
        _asked.set()
        before(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _asked.clear()


def check_interrupt() -> None:
    """Between two steps of a run.

    Raises:
        KeyboardInterrupt: it was raised before, and swallowed.
    """
    if _asked.is_set():
        raise KeyboardInterrupt
