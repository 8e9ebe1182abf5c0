"""Disturbed runs, and the assertion with which each of them ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raysel.config import DeriveConfig, NetworkConfig, RunConfig, ScanConfig, SourceConfig
from raysel.files import Folder
from raysel.store import Manifest, read_manifest
from tests.chaos.faults import count
from tests.end_to_end.runs import BATCH, LAYERS, digests

SCAN = ScanConfig(workers=1, batch_size=BATCH, call_images=BATCH, slice_images=16, rank_depth=40)
DERIVE = DeriveConfig(n_max=20)


def fragile_run(out: str | Path, images: str, faults: Path, **scan: Any) -> RunConfig:
    """A run whose workers obey the faults in a folder; see `tests.chaos.faults`."""
    faults.mkdir(exist_ok=True)
    return RunConfig(
        out=str(out),
        source=SourceConfig(images=images),
        network=NetworkConfig(
            network="tests.chaos.faults:fragile", network_args={"faults": str(faults)}, layers=LAYERS
        ),
        scan=replace(SCAN, **scan),
        derive=DERIVE,
    )


@dataclass(frozen=True)
class Undisturbed:
    """A finished undisturbed run and its log."""

    config: RunConfig
    manifest: Manifest
    faults: Path

    @property
    def images(self) -> str:
        """Folder of the images."""
        return self.config.source.images

    def assert_same(self, out: str | Path) -> Manifest:
        """Check that the index in `out` equals this one and is complete; return its manifest."""
        folder = Folder.at(out)
        manifest = read_manifest(folder)
        assert manifest.index_fingerprint == self.manifest.index_fingerprint
        assert digests(manifest) == digests(self.manifest)
        assert_whole(out, manifest)
        return manifest

    @property
    def good(self) -> int:
        """Images that are not bad: a run that decodes nothing twice decodes this many."""
        return self.manifest.counts.images - self.manifest.counts.quarantined

    def decoded(self, faults: Path) -> float:
        """How many images the actors of a run decoded. An image causes as many events as in this run."""
        return self.good * count(faults / "log")["actor-decode"] / count(self.faults / "log")["actor-decode"]


def assert_whole(out: str | Path, manifest: Manifest) -> None:
    """Check that an index has all images, sent few candidates, and left nothing of the run behind."""
    folder = Folder.at(out)
    assert manifest.coverage == 1
    assert manifest.counters["scan.candidates_sent"] <= 1.3 * manifest.counters["scan.candidates_bound"]
    assert not folder.exists("LOCK")
    assert folder.list("runs") == []


def wait_until(reached: Callable[[], bool], limit_s: float = 120, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until a condition holds; fail at once if `alive` does not hold, since it cannot any more."""
    end = time.monotonic() + limit_s
    while not reached():
        assert alive(), "ended before the condition held"
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)
