"""``raysel derive`` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysel.store import open_index
from tests.typed import Ended, raysel, raysel_here

pytestmark = pytest.mark.ray


def test_another_index_by_what_is_typed(home: Path, indexed: Ended, tmp_path: Path) -> None:
    out = str(tmp_path / "again")
    ended = raysel(home, "derive", "index", "--th", "0.9", "--n-max", "5", "--num-cpus", "1", "--out", out)
    assert ended.status == 0, ended.err
    [line] = ended.out.splitlines()
    assert line.startswith("10 neurons ")
    assert line.endswith(f": {out}")
    used = open_index(out).manifest.config
    assert (used["derive"]["class_threshold"], used["derive"]["n_max"]) == (0.9, 5)
    assert used["network"] == open_index(home / "index").manifest.config["network"]
    assert "already indexed" in raysel_here(home, "derive", out).out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "no index in nowhere"),
        (["index", "--n-max", "401"], "--n-max 401 is more than the 400 images"),
        (["index", "--n-max", "5", "--out", "index"], "--replace"),
        (["index", "--labels", "missing.csv"], "missing.csv"),
        (["index", "--images", "missing", "--out", "other"], "missing"),
        (["index", "--network", "tiny_network:tiny"], "--network"),
        ([], "INDEX"),
    ],
)
def test_what_cannot_be_derived_is_one_line(home: Path, indexed: Ended, arguments: list[str], says: str) -> None:
    assert says in raysel_here(home, "derive", *arguments).fault
