"""``raysel bench merge``: one row per load, as a table and as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tests.typed import raysel


def test_one_row_per_combination_of_the_options(tmp_path: Path):
    loads = ("--neurons", "30", "--neurons", "50", "--depth", "5", "--depth", "20")
    ended = raysel(tmp_path, "bench", "merge", "--images", "4000", *loads, "--json")
    assert ended.status == 0, ended.err
    rows = json.loads(ended.out)
    assert [(row["load"]["neurons"], row["load"]["depth"]) for row in rows] == [(30, 5), (30, 20), (50, 5), (50, 20)]
    for row in rows:
        load = row["load"]
        rise = load["depth"] * (1 + math.log(load["images"] / load["depth"]))
        assert load["neurons"] * load["depth"] <= row["candidates"] <= load["neurons"] * load["images"]
        assert load["neurons"] * min(rise, load["images"]) <= row["bound"] <= load["neurons"] * load["images"]
        assert row["candidates"] <= 1.3 * row["bound"]
        assert row["snapshot_bytes"] >= 12 * load["neurons"] * load["depth"]
        assert min(row["images_per_s"], row["fold_s"], row["snapshot_s"] + 1e-9, row["peak_memory_mb"]) > 0
    assert list(tmp_path.iterdir()) == []


def test_as_a_table(tmp_path: Path):
    ended = raysel(tmp_path, "bench", "merge", "--images", "500", "--neurons", "10", "--depth", "5")
    names, row = ended.out.splitlines()
    assert names.split()[:3] == ["images", "neurons", "depth"]
    assert row.split()[:3] == ["500", "10", "5"]


def test_nothing_to_merge(tmp_path: Path):
    for option in ("--images", "--neurons", "--depth"):
        assert option in raysel(tmp_path, "bench", "merge", option, "0").fault
