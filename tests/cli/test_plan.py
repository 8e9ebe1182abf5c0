"""``raysel plan``: a source listed once, and used by the run that follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysel.files import Folder
from raysel.images import open_source
from raysel.pipeline.plan import load_plan
from raysel.store import PLAN_NAME, locked
from tests.typed import furnish, raysel, raysel_here

pytestmark = pytest.mark.ray


def test_a_source_is_listed_once(tmp_path: Path) -> None:
    home = furnish(tmp_path / "home")
    first = raysel(home, "plan", "images", "--out", "planned", "--json")
    assert first.status == 0, first
    counts = json.loads(first.out.splitlines()[-1])
    images = [path for path in (home / "images").rglob("*") if path.suffix == ".png"]
    assert counts["images"] + counts["faults"] == len(images)
    assert counts["skipped"] == 1
    assert not (home / "planned" / "LOCK").exists()
    again = raysel(home, "plan", "images", "--out", "planned", RAY_ADDRESS="127.0.0.1:9")  # no Ray is needed for it
    assert again.status == 0, again
    assert f"{counts['images']:,} images" in again.out


def test_the_list_is_saved_only_under_the_lock(local_ray: None, tmp_path: Path) -> None:
    home = furnish(tmp_path / "home")
    with locked(Folder.at(str(home / "planned")), print):
        refused = raysel_here(home, "plan", "images", "--out", "planned")
        assert (refused.status, refused.out) == (2, "")
        assert "another run is indexing into planned" in refused.err
        assert not (home / "planned" / PLAN_NAME).exists()
    assert raysel_here(home, "plan", "images", "--out", "planned").status == 0
    listed = load_plan(Folder.at(home / "planned"), open_source(str(home / "images")))
    assert listed is not None
    assert len(listed.images) == 30


def test_the_label_column_of_a_table(local_ray: None, tmp_path: Path) -> None:
    """As the run that uses the list reads it."""
    home = furnish(tmp_path / "home")
    (home / "table.csv").write_text("path,breed\nimages/red/00.png,setter\nimages/green/01.png,elf\n")
    ended = raysel_here(home, "plan", "table.csv", "--out", "planned", "--label-column", "breed", "--json")
    assert ended.status == 0, ended
    assert json.loads(ended.out)["classes"] == 2


def test_nothing_there(tmp_path: Path) -> None:
    home = furnish(tmp_path / "home")
    assert "nowhere" in raysel_here(home, "plan", "nowhere").fault


def test_the_cluster_that_is_named(tmp_path: Path) -> None:
    """It walks the shards, if they are not few or not local."""
    home = furnish(tmp_path / "home")
    assert raysel(home, "plan", "images", "--address", "127.0.0.1:1").status == 0
    for number in range(17):
        (home / "images" / f"class-{number}").mkdir()
    fault = raysel(home, "plan", "images", "--address", "127.0.0.1:1", RAY_ADDRESS="127.0.0.1:2").fault
    assert "no Ray cluster answers at 127.0.0.1:1" in fault
