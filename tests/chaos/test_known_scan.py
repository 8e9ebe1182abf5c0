"""A finished scan is not repeated: other derive options or labels need no forward pass."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.config import DeriveConfig
from tests.chaos.faults import count
from tests.chaos.runs import Undisturbed, assert_whole, fragile_run
from tests.end_to_end.runs import digests, run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_other_options_and_labels_run_no_forward(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["key", "label"])
        rows.writerows((f"{name}.png", name[-1]) for name in sorted(keys(Path(undisturbed.images))))
    shutil.copytree(undisturbed.config.out, tmp_path / "index")
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    other = replace(
        config,
        replace=True,
        derive=DeriveConfig(n_max=15, class_threshold=0.8),
        source=replace(config.source, labels=str(labels)),
    )
    replaced = run(other)
    assert replaced.computed
    assert count(faults / "log")["forward"] == 0
    assert count(faults / "log")["task-decode"] > 0
    fresh = run(replace(other, out=str(tmp_path / "fresh"), replace=False))
    assert count(faults / "log")["forward"] > 0
    assert replaced.manifest.scan_fingerprint == undisturbed.manifest.scan_fingerprint
    assert replaced.manifest.index_fingerprint == fresh.manifest.index_fingerprint
    assert replaced.manifest.index_fingerprint != undisturbed.manifest.index_fingerprint
    assert digests(replaced.manifest) == digests(fresh.manifest)
    for outcome in (replaced, fresh):
        assert_whole(outcome.index, outcome.manifest)


def keys(images: Path) -> list[str]:
    """Keys of all images below a folder, without suffix."""
    return [path.relative_to(images).with_suffix("").as_posix() for path in images.rglob("*.png")]
