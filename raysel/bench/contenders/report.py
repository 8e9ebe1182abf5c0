"""What a contender returns, and the names of all contenders."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysel.bench.scan_job import ScanJob
from raysel.bench.scores import Top

RAYSEL = "raysel"
_MODULES = {
    RAYSEL: "raysel_scan",
    "bound": "machine_bound",
    "forward": "bare_forward",
    "loop": "hook_loop",
    "semanticlens": "semanticlens_peer",
    "zennit-crp": "zennit_crp_peer",
}
_PACKAGES = {"semanticlens": "semanticlens", "zennit-crp": "crp"}
"""Contenders that are other tools, with the package to import."""
BASELINES = tuple(name for name in _MODULES if name != RAYSEL)


@dataclass(frozen=True)
class Report:
    """What a contender did."""

    results: list[tuple[float, int]] = field(default_factory=list)
    """Times (`time.monotonic`) of its results with their numbers of images."""
    start_results: int = 1
    """The first results, which end the start."""
    rate: float | None = None
    """Images per second, of a contender whose rate is computed and not observed."""
    cpu_ms: float | None = None
    """CPU milliseconds per image, of such a contender."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What it chose, for the next rounds and for the reader."""
    top: Top | None = None
    """The `raysel.bench.scan_job.TOP` images of each neuron; None if it ranks nothing."""


Contender = Callable[[ScanJob, dict[str, Any], Path], Report]


def contender(name: str) -> Contender:
    """The function of a contender."""
    run: Contender = importlib.import_module(f"raysel.bench.contenders.{_MODULES[name]}").run
    return run


def is_installed(name: str) -> bool:
    """False for another tool that is not installed."""
    return name not in _PACKAGES or importlib.util.find_spec(_PACKAGES[name]) is not None
