"""``raysel bench scan``, ``decode``, ``derive`` and ``start``: what they print. No time is compared with anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.typed import raysel

COUNT = 300
NETWORK = ("--network", "tests.bench.small:network")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images whose brightness and contrast differ."""
    home, random = tmp_path_factory.mktemp("bench"), np.random.default_rng(2)
    (home / "images").mkdir()
    for number in range(COUNT):
        low, high = sorted(random.integers(0, 256, 2))
        pixels = random.integers(low, high + 1, (40, 44, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "images" / f"{number:03d}.{'png' if number % 3 else 'jpg'}")
    return home


@pytest.mark.slow
@pytest.mark.ray
def test_contenders_find_what_raysel_finds(home: Path) -> None:
    options = ("--images", "images", "--workers", "1", "--rounds", "1", "--json")
    ended = raysel(home, "bench", "scan", *NETWORK, *options, "--against", "bound,forward,loop,semanticlens")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out.splitlines()[-1])
    assert set(found) == {"raysel", "bound", "forward", "loop", "semanticlens", "scan"}
    assert (found["scan"]["images"], found["scan"]["cores"], found["scan"]["rounds"]) == (COUNT, 1, 1)
    for name in ("raysel", "forward", "loop"):
        for figure in ("images_per_second", "steady_images_per_second", "start_seconds", "cpu_seconds"):
            assert found[name][figure] > 0, (name, figure)
        assert len(found[name]["rounds"]) == 1
    for name in ("bound", "forward", "loop"):
        quotient = found["raysel"]["steady_images_per_second"] / found[name]["steady_images_per_second"]
        assert found[name]["ratio"] == pytest.approx(quotient, rel=1e-2)
    assert found["loop"]["exact"] == 1.0
    assert found["bound"]["exact"] is found["forward"]["exact"] is None
    if "error" in found["semanticlens"]:
        assert found["semanticlens"] == {"error": "not installed"}
    assert "round 1 of 1, loop" in ended.err


@pytest.mark.slow
@pytest.mark.ray
def test_bf16_with_a_bad_image_and_a_name_given_twice(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "images", tmp_path / "images")
    (tmp_path / "images" / "000.jpg").write_bytes(b"not an image")
    options = ("--images", "images", "--workers", "1", "--rounds", "1", "--dtype", "bf16", "--json")
    ended = raysel(tmp_path, "bench", "scan", *NETWORK, *options, "--against", "bound, forward,loop,loop")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out.splitlines()[-1])
    assert set(found) == {"raysel", "bound", "forward", "loop", "scan"}
    assert all(found[name]["steady_images_per_second"] > 0 for name in ("raysel", "bound", "forward", "loop"))


def test_decoding_by_format(home: Path) -> None:
    ended = raysel(home, "bench", "decode", *NETWORK, "--images", "images", "--rounds", "1", "--json")
    assert ended.status == 0, ended.err
    rows = json.loads(ended.out)
    assert [(row["format"], row["images"], row["bad"]) for row in rows] == [("PNG", 200, 0), ("JPEG", 100, 0)]
    for row in rows:
        assert row["images_per_second_per_core"] == pytest.approx(1e3 / row["cpu_ms_per_image"], rel=1e-2)


@pytest.mark.ray
def test_deriving(home: Path) -> None:
    index = ("index", *NETWORK, "--images", "images", "--limit", "40", "--out", "index")
    assert raysel(home, *index, "--num-cpus", "1").status == 0
    ended = raysel(home, "bench", "derive", "index", "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert 0 < found["crops"] <= 20 * 40
    assert found["ratio"] == pytest.approx(found["kernel_ms_per_crop"] / found["decode_ms_per_image"], rel=1e-2)
    assert sorted(path.name for path in home.iterdir()) == ["images", "index"]


@pytest.mark.ray
def test_starting(home: Path) -> None:
    ended = raysel(home, "bench", "start", "--network", "tests.bench.small:network", "--rounds", "1", "--json")
    assert ended.status == 0, ended.err
    rows = json.loads(ended.out)
    assert [row["command"] for row in rows] == ["raysel --help", "raysel index, 30 images", "raysel find"]
    assert all(row["seconds"] > 0 for row in rows)


@pytest.mark.parametrize("command", ["scan", "decode"])
def test_nothing_to_measure(home: Path, command: str) -> None:
    assert "nothing to measure without --images" in raysel(home, "bench", command, *NETWORK).fault


def test_an_unknown_contender(home: Path) -> None:
    fault = raysel(home, "bench", "scan", *NETWORK, "--images", "images", "--against", "bond").fault
    assert fault == "--against bond: did you mean bound?"
