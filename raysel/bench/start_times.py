"""``raysel bench start``: what every command costs before it does anything, and a run over thirty images."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from raysel.bench.process_tree import Ran, run_measured

IMAGES = 30
_SIDE = 256


def start_times(network: str, work: Path, rounds: int) -> list[dict[str, Any]]:
    """Run commands in turns, each in a process of its own.

    Args:
        network: as for ``raysel index``, untrained.
        work: an empty folder.
        rounds: how often each command runs.

    Returns:
        a row per command with medians: ``command``, ``seconds``, ``cpu_seconds`` (None if unknown).
    """
    images = work / "images"
    images.mkdir()
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        Image.fromarray(random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)).save(images / f"{number}.jpg")
    ran: dict[str, list[Ran]] = {}
    for number in range(rounds):
        index = str(work / f"index-{number}")
        network_options = ("--network", network, "--weights", "random")
        commands = {
            "raysel --help": ("--help",),
            f"raysel index, {IMAGES} images": ("index", *network_options, "--images", str(images), "--out", index),
            "raysel find": ("find", index, "red", "--limit", "20"),
        }
        for name, arguments in commands.items():
            ran.setdefault(name, []).append(run_measured([sys.executable, "-m", "raysel", *arguments], name))
    return [
        {
            "command": name,
            "seconds": round(median(each.seconds for each in times), 3),
            "cpu_seconds": _median_cpu([each.cpu_seconds for each in times]),
        }
        for name, times in ran.items()
    ]


def _median_cpu(seconds: list[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return round(median(known), 3) if known else None
