"""``raysel plan``: a source listed once, and used by the run that follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.typed import furnish, raysel

pytestmark = pytest.mark.ray


def test_a_source_is_listed_once(tmp_path: Path) -> None:
    home = furnish(tmp_path / "home")
    first = raysel(home, "plan", "images", "--out", "planned", "--json")
    assert first.status == 0, first
    told = json.loads(first.out.splitlines()[-1])
    images = [path for path in (home / "images").rglob("*") if path.suffix == ".png"]
    assert told["images"] + told["faults"] == len(images)
    again = raysel(home, "plan", "images", "--out", "planned", RAY_ADDRESS="127.0.0.1:9")  # no Ray is needed for it
    assert again.status == 0, again
    assert f"{told['images']:,} images" in again.out


def test_nothing_there(tmp_path: Path) -> None:
    home = furnish(tmp_path / "home")
    assert "nowhere" in raysel(home, "plan", "nowhere").fault
