"""Neurons that are built to respond to one thing, and what the index says of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import raysel
from raysel.config import DeriveConfig, NetworkConfig, RunConfig, ScanConfig, SourceConfig
from raysel.store import Index, Neuron
from tests.end_to_end.runs import run
from tests.images.samples import encoded, write_files
from tests.networks import MARK, PATCH, RED_SQUARE, STRIPES

pytestmark = pytest.mark.ray

EACH = 8
"""Images of a class."""
SIDE, GREY = 32, 128
SQUARES = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
CLASSES = ("blue", "green", "marked", "noise", "red", "striped")
KINDS = dict.fromkeys(SQUARES, "colored") | dict.fromkeys(("marked", "noise", "striped"), "uncolored")
KINDS |= {"colored": "picture", "uncolored": "picture"}
"""Class or kind -> the kind above it."""


@pytest.fixture(scope="module")
def index(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("known")
    images = write_files(
        root / "images", {f"{label}/{j}.png": picture(label, j) for label in CLASSES for j in range(EACH)}
    )
    (root / "kinds.csv").write_text(
        "child,parent\n" + "".join(f"{child},{parent}\n" for child, parent in KINDS.items())
    )
    config = RunConfig(
        out=str(root / "index"),
        derive=DeriveConfig(hierarchy=str(root / "kinds.csv"), concepts="colored"),
        source=SourceConfig(images=str(images)),
        network=NetworkConfig(network="tests.networks:known"),
        scan=ScanConfig(workers=1),
    )
    run(config)
    return raysel.open(config.out)


def picture(label: str, number: int) -> bytes:
    """Grey with a square of a color, the mark, stripes or noise; where, and how strong, differs from image to image."""
    random = np.random.default_rng([CLASSES.index(label), number])
    pixels = np.full((SIDE, SIDE, 3), GREY, dtype=int)
    y, x = random.integers(0, SIDE - PATCH, 2)
    here = pixels[y : y + PATCH, x : x + PATCH]
    if label in SQUARES:
        here[RED_SQUARE] = SQUARES[label]
    elif label == "marked":
        here += 51 * MARK[:, :, None]
    elif label == "striped":
        pixels += random.integers(50, 60) * np.roll(np.tile(STRIPES[0], SIDE // PATCH), x)[None, :, None]
    else:
        pixels += random.integers(-10, 11, (SIDE, SIDE, 1))
    return encoded(Image.fromarray(pixels.astype(np.uint8)))


def levels(neuron: Neuron) -> np.ndarray:
    """The neuron feature's picture, int [h, w, 3]."""
    assert neuron.picture is not None
    return np.asarray(neuron.picture.convert("RGB")).astype(int)


def test_red(index: Index) -> None:
    """A red square on grey: Eq. 2 gives 0.816 from grey to red, and the hue is 26.565 degrees."""
    neuron = index.neuron("0", 0)
    assert neuron.row["n"] == neuron.row["saturated"] == EACH
    assert neuron.row["color_selectivity"] == pytest.approx(0.816, abs=0.005)
    assert neuron.row["color_selectivity_uncentered"] > 0.3
    assert neuron.row["hue"] == pytest.approx(np.degrees(np.arctan2(0.5, 1)), abs=1e-3)
    assert neuron.row["chroma"] == pytest.approx(RED_SQUARE.mean() * np.hypot(1, 0.5), abs=1e-6)
    assert (levels(neuron)[RED_SQUARE] == (255, 0, 0)).all()
    assert (levels(neuron)[~RED_SQUARE] == GREY).all()
    assert [tuple(share) for share in neuron.classes] == [("red", "red", 1.0)]
    assert neuron.row["class_selectivity"] == 1
    assert neuron.row["sharpness"] == pytest.approx(1)


def test_the_names_of_its_colors(index: Index) -> None:
    """The model calls the red of a screen orange."""
    row, square = index.neuron("0", 0).row, RED_SQUARE.mean()
    for names in (row["color_names"], row["crop_color_names"]):
        assert names["orange"] == pytest.approx(square, abs=0.01)
        assert names["gray"] == pytest.approx(1 - square, abs=0.02)
    assert row["color_name"] == ("orange" if square > 0.5 else "gray")


def test_kinds_of_classes(index: Index) -> None:
    red, all_of_them = index.neuron("0", 0).row, index.neuron("0", 3).row
    assert (red["concept"], red["concept_wnid"], red["concept_share"]) == ("red", "red", 1)
    assert (red["concept_selectivity"], red["concept_classes"]) == (1, [{"label": "colored", "share": 1}])
    assert (all_of_them["concept"], all_of_them["concept_share"]) == ("picture", pytest.approx(1))
    images = EACH * len(CLASSES)
    assert all_of_them["concept_selectivity"] == pytest.approx((images - 4) / (images - 1))
    assert all_of_them["concept_classes"][0]["label"] == "colored"
    above = dict(zip(index.classes["label"].to_pylist(), index.classes["hypernyms"].to_pylist(), strict=True))
    assert above["red"] == ["colored", "picture"]


def test_stripes(index: Index) -> None:
    neuron = index.neuron("0", 1)
    assert neuron.row["n"] == EACH
    assert neuron.row["color_selectivity"] == pytest.approx(0, abs=1e-6)
    assert neuron.row["chroma"] == pytest.approx(0, abs=1e-9)
    assert neuron.row["hue"] is None
    seen = levels(neuron)
    assert (seen == seen[:1, :, :1]).all()  # grey, and all rows alike
    assert (np.sign(seen[0, :, 0] - seen[0, :, 0].mean()) == STRIPES[0]).all()
    assert neuron.row["label"] == "striped"
    assert neuron.row["class_selectivity"] == 1


def test_one_class_by_its_mark(index: Index) -> None:
    neuron = index.neuron("0", 2)
    assert {row["label"] for row in neuron.ranking.to_pylist()} == {"marked"}
    assert (neuron.row["label"], neuron.row["label_share"], neuron.row["n_classes"]) == ("marked", 1.0, 1)
    assert neuron.row["class_selectivity"] == neuron.row["class_excess"] == 1
    assert neuron.row["population_code"] == 1
    assert (np.sign(levels(neuron)[:, :, 0] - GREY) == MARK).all()
    for crop in neuron.crops:
        np.testing.assert_allclose(np.asarray(crop, float), levels(neuron), rtol=0, atol=4)  # the step of the JPEG


def test_brightness_is_about_nothing(index: Index) -> None:
    """Every image takes part, all classes are needed, and that is what chance gives."""
    row = index.neuron("0", 3).row
    images = EACH * len(CLASSES)
    assert (row["n"], row["n_classes"]) == (images, len(CLASSES))
    assert row["class_selectivity"] == pytest.approx((images - len(CLASSES)) / (images - 1))
    assert row["class_excess"] == pytest.approx(0, abs=1e-9)
    assert row["population_code"] == len(CLASSES)


def test_find_names_them(index: Index) -> None:
    assert index.find(where="color_selectivity >= 0.5").table["channel"].to_pylist() == [0]
    assert sorted(index.find(where="class_selectivity >= 1").table["channel"].to_pylist()) == [0, 1, 2]
