"""Progress of a run on stderr: a bar in a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from raysel.store import Doing

PLAIN_INTERVAL_S = 10.0


class Stage:
    """A stage of a run, and how many of its units are done."""

    def __init__(self, name: str, unit: str, total: int | None) -> None:
        self.name, self.unit, self.total, self.done = name, unit, total, 0
        self._began_at, self._started = 0, time.monotonic()

    def resume_at(self, units: int) -> None:
        """Count units that an earlier run did; they do not count as speed."""
        self._began_at = units
        self.advance(units)

    def advance(self, units: int) -> None:
        """Count more units as done."""
        self.done += units

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Units per second since the stage began, without those of an earlier run."""
        return (self.done - self._began_at) / max(self.seconds, 1e-9)

    def line(self) -> str:
        """The stage as one line of text."""
        if not self.total:
            return f"{self.name}: {self.done:,} {self.unit}, {self.seconds:.0f} s"
        left = f"{(self.total - self.done) / self.rate:,.0f} s left" if self.rate > 0 else "starting"
        return f"{self.name}: {self.done:,} of {self.total:,} {self.unit}, {self.rate:,.1f} {self.unit}/s, {left}"


class _PlainStage(Stage):
    def __init__(self, name: str, unit: str, total: int | None) -> None:
        super().__init__(name, unit, total)
        self._printed = self._started

    def advance(self, units: int) -> None:
        super().advance(units)
        if time.monotonic() - self._printed >= PLAIN_INTERVAL_S:
            self._printed = time.monotonic()
            print(f"raysel {self.line()}", file=sys.stderr, flush=True)


class _BarStage(Stage):
    def __init__(self, name: str, unit: str, total: int | None, bars: Progress) -> None:
        super().__init__(name, unit, total)
        self._bars = bars
        self._task = bars.add_task(name, total=total, text="")

    def advance(self, units: int) -> None:
        super().advance(units)
        done = f"{self.done:,}/{self.total:,}" if self.total else f"{self.done:,}"
        self._bars.update(self._task, completed=self.done, text=f"{done} {self.unit}  {self.rate:,.1f} {self.unit}/s")


class Reporter:
    """Prints the stages of a run to stderr and measures how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Stage -> seconds."""
        self._now: Stage | None = None
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(f"raysel {text}", markup=False, highlight=False, soft_wrap=True)

    def doing(self) -> Doing | None:
        """The stage that is running, as the lock of the index shows it; None between stages."""
        now = self._now
        return Doing(now.name, now.unit, now.done, now.total, round(now.rate, 3)) if now else None

    @contextmanager
    def stage(self, name: str, unit: str, total: int | None = None) -> Iterator[Stage]:
        """Show a stage while it runs, and add its time to `seconds`."""
        with self._shown(name, unit, total) as stage:
            self._now = stage
            try:
                yield stage
            finally:
                self._now = None
                self.seconds[name] = self.seconds.get(name, 0.0) + stage.seconds

    @contextmanager
    def _shown(self, name: str, unit: str, total: int | None) -> Iterator[Stage]:
        if not self._console.is_terminal:
            yield _PlainStage(name, unit, total)
            return
        columns = (SpinnerColumn(), TextColumn("{task.description:<8}"), BarColumn(), TextColumn("{task.fields[text]}"))
        with Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True) as bars:
            yield _BarStage(name, unit, total, bars)
