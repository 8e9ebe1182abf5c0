"""``raysel index`` end to end, as a person types it: what it says, and what is then in the index."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import raysel
from raysel.store import open_index
from tests.typed import COLORS, IMAGES, NEURONS, TINY, Ended, copy_of
from tests.typed import raysel as typed

pytestmark = pytest.mark.ray

KEYS = ["index", "neurons", "dead", "images", "quarantined", "seconds", "images_per_second", "stages"]


def only_ours(err: str) -> bool:
    return all(line.startswith(("raysel ", "raysel: ")) for line in err.splitlines())


def test_json_is_one_object_and_nothing_else(indexed: Ended):
    assert indexed.status == 0, indexed.err
    summary = json.loads(indexed.out)
    assert list(summary) == KEYS
    assert summary["index"] == "index"
    assert (summary["neurons"], summary["images"], summary["quarantined"]) == (NEURONS, IMAGES + 1, 1)
    assert {"plan", "scan", "derive", "publish"} <= set(summary["stages"])
    assert summary["seconds"] == pytest.approx(sum(summary["stages"].values()), abs=0.01)
    assert summary["images_per_second"] == pytest.approx(summary["images"] / summary["stages"]["scan"], rel=0.01)


def test_stderr_has_no_line_of_rays(indexed: Ended):
    assert indexed.err
    assert only_ours(indexed.err), indexed.err


def test_the_index_holds_what_was_told(home: Path, indexed: Ended):
    index = raysel.open(str(home / "index"))
    summary = json.loads(indexed.out)
    assert index.layers == ("0", "2")
    assert len(index.neurons) == summary["neurons"]
    assert sum(index.neurons["dead"].to_pylist()) == summary["dead"]
    assert len(index.images) == summary["images"]
    assert index.manifest.coverage == 1.0


def test_the_label_is_the_folders_name(home: Path, indexed: Ended):
    rows = raysel.open(str(home / "index")).images.to_pylist()
    assert {row["label"] for row in rows} == set(COLORS)
    assert all(row["key"].split("/")[0] == row["label"] for row in rows)


def test_an_unreadable_image_goes_to_quarantine_with_its_reason(home: Path, indexed: Ended):
    index = raysel.open(str(home / "index"))
    [row] = index.quarantine.to_pylist()
    assert row["key"] == "red/torn.png"
    assert row["reason"]
    assert index.images["key"].to_pylist()[row["image"]] == "red/torn.png"


def test_the_same_again_computes_nothing_and_says_so(home: Path, indexed: Ended):
    written = (home / "index" / "manifest.json").stat().st_mtime_ns
    again = typed(home, "index", *TINY, "--out", "index")
    assert again.status == 0
    assert again.err == ""
    [line] = again.out.splitlines()
    assert "already indexed" in line
    assert f"{NEURONS} neurons" in line
    assert f"{IMAGES + 1} images" in line
    assert "(1 in quarantine, 1 other files skipped)" in line
    assert line.endswith(": index")
    assert (home / "index" / "manifest.json").stat().st_mtime_ns == written


def test_a_file_alone_is_enough_and_what_is_typed_goes_first(home: Path, tmp_path: Path):
    place = copy_of(home, tmp_path / "home")
    rows = [f"{path.relative_to(place / 'images')},{path.stem[-1]}" for path in place.glob("images/*/*.png")]
    (place / "digits.csv").write_text("\n".join(["file,digit", *rows]) + "\n")
    (place / "run.toml").write_text("""
out = "by-digit"
[source]
images = "images"
labels = "digits.csv"
label_column = "label"
[network]
network = "tiny_network:tiny"
network_args = { width = 5 }
layers = ["nothing of the kind"]
[scan]
rank_depth = 20
[derive]
n_max = 7
[cluster]
num_cpus = 1
""")
    arguments = ["--label-column", "digit", "--layers", "0", "--layers", "2*", "--n-max", "9", "--class-threshold=0.9"]
    ended = typed(place, "index", "--config", "run.toml", *arguments)
    assert ended.status == 0, ended.err
    assert only_ours(ended.err), ended.err
    [line] = ended.out.splitlines()
    assert re.fullmatch(
        r"9 neurons \(\d dead\) over 31 images \(1 in quarantine, 1 other files skipped\) "
        r"in \d+ s, [\d,]+ images/s: by-digit",
        line,
    ), line
    index = open_index(str(place / "by-digit"))
    assert index.layers == ("0", "2")
    assert len(index.neurons) == 5 + 4
    assert max(index.neurons["n"].to_pylist()) <= 9
    used = index.manifest.config
    assert (used["scan"]["rank_depth"], used["derive"]["n_max"], used["derive"]["class_threshold"]) == (20, 9, 0.9)
    labels = dict(zip(index.images["key"].to_pylist(), index.images["label"].to_pylist(), strict=True))
    assert labels["red/00.png"] == "0"
    assert labels["blue/29.png"] == "9"
