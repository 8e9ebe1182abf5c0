"""raysel show: the numbers, the classes and the picture of one neuron."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.store.synthetic import CLASS_NAMES, Layer, Synthetic, build
from tests.typed import Ended, raysel_here


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("index"), (Layer("stem", 6, 7, 2), Layer("features.10", 12, 48, 8)), seed=4)


def _run(made: Synthetic, *arguments: str) -> Ended:
    return raysel_here(Path.cwd(), "show", made.folder.path, *arguments)


def _out(made: Synthetic, *arguments: str) -> str:
    ended = _run(made, *arguments)
    assert ended.status == 0, ended.err
    return ended.out


def _row(made: Synthetic, layer: str, channel: int) -> dict[str, Any]:
    return next(row for row in made.rows if (row["layer"], row["channel"]) == (layer, channel))


def test_numbers_classes_and_images(made: Synthetic) -> None:
    lines = _out(made, "features.10:3").splitlines()
    row = _row(made, "features.10", 3)
    assert lines[0] == "features.10:3"
    values = {line.split()[0]: line.split()[-1] for line in lines[1 : 1 + len(row)] if line.startswith("  ")}
    assert values["color_selectivity"] == f"{row['color_selectivity']:.3f}"
    assert float(values["a_max"]) == pytest.approx(row["a_max"], abs=0.005)
    assert values["n"] == str(row["n"])
    text = "\n".join(lines)
    for entry in row["classes"]:
        assert CLASS_NAMES[entry["label"]] in text
    assert f"key{made.rankings['features.10', 3][0]['image']:04d}" in text


def test_it_says_how_to_get_the_picture_and_writes_nothing(
    made: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    last = _out(made, "features.10:3").splitlines()[-1]
    assert last == f"for its picture: raysel show {made.folder.path} features.10:3 --out features.10-3.png"
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_object(made: Synthetic) -> None:
    shown = json.loads(_out(made, "features.10:3", "--json"))
    row, ranking = _row(made, "features.10", 3), made.rankings["features.10", 3]
    assert (shown["layer"], shown["channel"], shown["n"]) == ("features.10", 3, row["n"])
    assert shown["class_selectivity"] == row["class_selectivity"]
    assert shown["classes"] == [{**entry, "name": CLASS_NAMES[entry["label"]]} for entry in row["classes"]]
    assert len(shown["ranking"]) == row["n"]
    for entry, original in zip(shown["ranking"], ranking, strict=False):
        assert entry["key"] == f"key{original['image']:04d}"
        assert {name: entry[name] for name in ("image", "w", "row", "column", "x0", "y1", "label")} == {
            name: original[name] for name in ("image", "w", "row", "column", "x0", "y1", "label")
        }


def test_a_dead_neuron(made: Synthetic, tmp_path: Path) -> None:
    text = _out(made, "stem:5")
    assert "dead" in text
    assert "for its picture" not in text
    shown = json.loads(_out(made, "stem:5", "--json"))
    assert (shown["dead"], shown["a_max"], shown["classes"], shown["ranking"]) == (True, None, [], [])
    assert _run(made, "stem:5", "--out", str(tmp_path / "a.png")).fault.startswith("stem:5 is dead")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("layer", "channel"), [("stem", 0), ("features.10", 1), ("features.10", 7)])
def test_the_picture_shows_feature_and_crops(made: Synthetic, tmp_path: Path, layer: str, channel: int) -> None:
    out = tmp_path / "neuron.png"
    assert f"picture: {out}" in _out(made, f"{layer}:{channel}", "--out", str(out))
    with Image.open(out) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    feature, shown = made.features[layer, channel], made.counts[layer, channel] > 0
    side = feature.shape[0]
    factor = 500 // side
    enlarged = np.kron(np.rint(feature * 255), np.ones((factor, factor, 1)))
    mask = np.kron(shown, np.ones((factor, factor), bool))
    # Where the feature is on the canvas: at the left margin, above the lower margin.
    left, top = 24, pixels.shape[0] - 24 - side * factor
    found = pixels[top : top + side * factor, left : left + side * factor].astype(float)
    np.testing.assert_allclose(found[mask], enlarged[mask], atol=1)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("stem",), "'stem' is not a neuron: write LAYER:CHANNEL"),
        (("stm:0",), "no layer 'stm' in this index; did you mean stem?"),
        (("stem:6",), "layer stem has channels 0 to 5, not 6"),
        (("stem:0", "--out", "picture.jpg"), "--out picture.jpg: the picture is a PNG"),
        (
            ("stem:0", "--out", "/nowhere/at/all.png"),
            "cannot write /nowhere/at/all.png: the folder /nowhere/at does not exist",
        ),
    ],
)
def test_bad_arguments_are_one_line(made: Synthetic, arguments: tuple[str, ...], line: str) -> None:
    assert _run(made, *arguments).fault.startswith(line)
