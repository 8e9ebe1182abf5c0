"""Random faults from a seed: workers die and the driver is killed again and again until the index is published."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.commands import started, typed
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, fragile_run

MOST_BETWEEN = {"start": 5, "forward": 5, "actor-decode": 30, "task-decode": 30}
"""Event at which workers die -> most events from one death to the next."""
DRIVER_LIVES = range(40, 160)
"""Events after which a driver is killed. An undisturbed run has about 450."""
LIMIT_S = 280


@dataclass
class Soaked:
    """Faults that happened."""

    workers: int = 0
    """Workers that died."""
    drivers: int = 0
    """Drivers that were killed."""
    rounds: int = 0
    """Indexes that were published."""

    def enough(self, faults: int) -> bool:
        """True once `faults` workers and half as many drivers died."""
        return self.workers >= faults and 2 * self.drivers >= faults


def soak(undisturbed: Undisturbed, root: Path, address: str, seed: int, faults: int) -> Soaked:
    """Let `faults` workers and half as many drivers die, over as many indexes as it takes.

    Each index must equal the undisturbed one.
    """
    draw, soaked = random.Random(seed), Soaked()
    print(f"soak: seed {seed}, {faults} faults", flush=True)
    while not soaked.enough(faults):
        _one_index(undisturbed, root / str(soaked.rounds), address, draw, faults, soaked)
        soaked.rounds += 1
    print(f"soak: seed {seed}: {soaked}", flush=True)
    return soaked


def _one_index(
    undisturbed: Undisturbed, root: Path, address: str, draw: random.Random, faults: int, soaked: Soaked
) -> None:
    root.mkdir(parents=True)
    place = root / "faults"
    config = fragile_run(root / "index", undisturbed.images, place, workers=2)
    config = replace(config, scan=replace(config.scan, snapshot_every_s=0.0))
    arguments, died_before = typed(config, root / "run.toml", address), soaked.workers
    status = None
    while status != 0:
        with started(arguments, root / "said") as driver:
            lives_for = draw.choice(DRIVER_LIVES)
            first = sum(count(place / "log").values())
            end = time.monotonic() + LIMIT_S
            while (status := driver.poll()) is None:
                assert time.monotonic() < end, (root / "said").read_text()
                happened = count(place / "log")
                soaked.workers = died_before + sum(n for event, n in happened.items() if event.startswith("died-in-"))
                if soaked.enough(faults):
                    _disarm(place)
                    status = driver.wait(LIMIT_S)
                    break
                if soaked.workers < faults:
                    _arm(place, happened, draw)
                else:
                    _disarm(place)
                if sum(happened.values()) - first >= lives_for:
                    _kill(driver)
                    soaked.drivers += 1
                time.sleep(0.02)
            assert status in (0, -signal.SIGKILL), (root / "said").read_text()
    happened = count(place / "log")
    soaked.workers = died_before + sum(n for event, n in happened.items() if event.startswith("died-in-"))
    undisturbed.assert_same(config.out)


def _arm(place: Path, happened: dict[str, int], draw: random.Random) -> None:
    """Let each kind of worker die at one of its next events."""
    for event in MOST_BETWEEN:
        if not (place / f"{event}.exit").exists():
            set_fault(place, event, "exit", happened.get(event, 0) + draw.randrange(MOST_BETWEEN[event]))


def _disarm(place: Path) -> None:
    for event in MOST_BETWEEN:
        (place / f"{event}.exit").unlink(missing_ok=True)


def _kill(driver: subprocess.Popen) -> None:
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
