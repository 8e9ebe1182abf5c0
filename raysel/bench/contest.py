"""The rounds of ``raysel bench scan``: contenders take turns, each time in processes of their own."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysel.bench.contenders.report import RAYSEL, Report, is_installed
from raysel.bench.process_tree import run_measured
from raysel.bench.scan_job import ScanJob
from raysel.bench.scores import Score, Top, exact_share, medians, score, table
from raysel.errors import RayselError


def contest(
    job: ScanJob, against: Sequence[str], rounds: int, work: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Let raysel and its baselines scan the same images, and compare their medians over the rounds.

    Args:
        job: the scan.
        against: names of `raysel.bench.contenders.report.BASELINES`.
        rounds: how often each contender runs. They take turns, so that what else the machine does meets all of them.
        work: an empty folder.
        say: prints a line.

    Returns:
        plain data, see `raysel.bench.scores.table`, with the settings and all rounds.

    Raises:
        RayselError: a contender failed.
    """
    present = [RAYSEL, *(name for name in against if is_installed(name))]
    scores: dict[str, list[Score]] = {name: [] for name in present}
    reports: dict[str, Report] = {}
    for number in range(rounds):
        for name in present:
            reports[name], figures = _turn(name, job, reports.get(name, Report()).settings, work / f"{name}-{number}")
            scores[name].append(figures)
            steady = f"{figures.steady_images_per_second:,.1f} images/s steady"
            say(f"bench: round {number + 1} of {rounds}, {name}: {steady}, {_cpu(figures)}")
    best = {name: medians(each) for name, each in scores.items()}
    expected = reports[RAYSEL].top
    exact = {
        name: round(exact_share(report.top, expected), 4)
        for name, report in reports.items()
        if report.top is not None and expected is not None and name != RAYSEL
    }
    shown = {name: best.get(name, "not installed") for name in against}
    found: dict[str, Any] = table(best[RAYSEL], shown, exact)
    for name in present:
        found[name] |= {
            "settings": reports[name].settings,
            "rounds": [round(each.steady_images_per_second, 3) for each in scores[name]],
        }
    return {**found, "scan": _about(job, rounds, reports[RAYSEL])}


def _turn(name: str, job: ScanJob, settings: dict[str, Any], folder: Path) -> tuple[Report, Score]:
    """One round of one contender."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.to_json())
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "raysel.bench.contenders", name, str(folder)]
    ran = run_measured(command, name)
    report = Report(**json.loads((folder / "report.json").read_text()))
    if (folder / "top.npz").exists():
        report = replace(report, top=Top(**np.load(folder / "top.npz")))
    if report.rate is not None:
        return report, Score(None, report.rate, None, ran.cpu_seconds, report.cpu_ms)
    try:
        results = [(at, images) for at, images in report.results]
        return report, score(ran.launched, results, report.start_results, ran.cpu)
    except ValueError as error:
        raise RayselError(f"{name}: {error}") from error


def _cpu(figures: Score) -> str:
    per_image = figures.steady_cpu_ms_per_image
    return "CPU time unknown" if per_image is None else f"{per_image:.2f} CPU ms per image"


def _about(job: ScanJob, rounds: int, raysel: Report) -> dict[str, Any]:
    """What was measured, where and when."""
    return {
        "network": job.network.network,
        "images": sum(images for _, images in raysel.results),
        "cores": job.cores,
        "gpus": job.gpus,
        "rounds": rounds,
        "processor": _processor(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
