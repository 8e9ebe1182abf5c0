"""Ctrl-C counts, also where somebody on the way has swallowed it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from raysel.pipeline.interrupts import check_interrupt, interruptible
from raysel.pipeline.progress import Reporter


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_it_is_raised_at_once() -> None:
    with interruptible(), pytest.raises(KeyboardInterrupt):
        interrupt()


def test_what_was_swallowed_comes_again_at_the_next_step() -> None:
    with interruptible(), suppress(KeyboardInterrupt), Reporter().stage("scan", "images", 3) as stage:
        stage.advance(1)
        with suppress(KeyboardInterrupt):
            interrupt()
        with pytest.raises(KeyboardInterrupt):
            stage.advance(1)
    assert stage.done == 1


def test_a_stage_does_not_end_well_if_it_was_to_be_interrupted() -> None:
    stage = Reporter().stage("publish", "files")
    with interruptible(), pytest.raises(KeyboardInterrupt), stage, suppress(KeyboardInterrupt):
        interrupt()


def test_it_is_forgotten_with_the_run() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(), suppress(KeyboardInterrupt):
        interrupt()
    check_interrupt()
    assert signal.getsignal(signal.SIGINT) is before


def test_who_ignores_interrupts_goes_on_ignoring_them() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            interrupt()
            check_interrupt()
    finally:
        signal.signal(signal.SIGINT, before)
