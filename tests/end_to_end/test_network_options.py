"""Preprocessing from a file and effective receptive fields, from the options to the index."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raysel.cli.toml import run_config
from raysel.errors import RayselError
from raysel.network.importers.registry import import_network
from raysel.neurons import field_of
from raysel.pipeline.verify import Sample, verify
from raysel.store import open_index
from tests.end_to_end.runs import run

pytestmark = pytest.mark.ray

HEIGHT, WIDTH, IMAGES = 20, 24, 12
OWN = "tests.network.small:InPlace"
PEAKED = "tests.network.small:peaked"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of exactly the size that the network takes, so that nothing is resampled."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(5)
    for number in range(IMAGES):
        pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "torn.png").write_bytes((folder / "00.png").read_bytes()[:100])
    return folder


def test_preprocessing_of_a_file(local_ray: None, photographs: Path, tmp_path: Path) -> None:
    average = np.random.default_rng(1).uniform(0.3, 0.6, (HEIGHT, WIDTH, 3))
    np.save(tmp_path / "average.npy", average)
    (tmp_path / "run.toml").write_text(f"""
        [network.preprocessing]
        resize = [{HEIGHT}, {WIDTH}]
        crop = [{HEIGHT}, {WIDTH}]
        std = [0.5, 0.25, 0.2]
        channel_order = "BGR"
        average_image = "{tmp_path}/average.npy"
    """)
    typed = {
        "out": str(tmp_path / "index"),
        "network": {"network": OWN, "tap": "convolution", "layers": ["conv"]},
        "source": {"images": str(photographs), "max_bad": 0.5},
        "scan": {"workers": 1, "rank_depth": IMAGES},
        "derive": {"n_max": IMAGES},
    }
    config = run_config(typed, tmp_path / "run.toml")
    run(config)
    index = open_index(tmp_path / "index")
    stored = index.manifest.network.preprocessing
    assert stored["mean"] == pytest.approx(average.mean(axis=(0, 1)).tolist(), rel=1e-5)
    assert (stored["resize"], stored["channel_order"]) == ([HEIGHT, WIDTH], "BGR")
    conv = import_network(config.network).module.get_submodule("conv").double()
    for row in index.neuron("conv", 3).ranking.slice(0, 4).to_pylist():
        key = index.images_of([row["image"]])["key"][0].as_py()
        values = np.asarray(Image.open(photographs / key)) / 255.0
        inputs = ((values - average) / [0.5, 0.25, 0.2])[..., ::-1].transpose(2, 0, 1).copy()
        map_ = conv(torch.from_numpy(inputs)[None])[0, 3].detach()
        assert row["activation"] == pytest.approx(map_.max().item(), rel=1e-4)
        assert map_[row["row"], row["column"]].item() == pytest.approx(map_.max().item(), rel=1e-6)
    checked = verify(str(tmp_path / "index"), Sample(neurons=5, top=3, seed=0))
    assert (checked.problems, checked.runs, checked.crops) == ([], 15, 15)
    np.save(tmp_path / "average.npy", average[::-1])
    assert "weights" in verify(str(tmp_path / "index"), Sample(neurons=5, top=3, seed=0)).problems[0]


def test_effective_receptive_fields(local_ray: None, photographs: Path, tmp_path: Path) -> None:
    """The kernel of `peaked` has 96.4 % of its energy in 5 x 5 of its 7 x 7; the rankings stay as they are."""

    def indexed(which: str, replace: bool) -> tuple[bool, str]:
        typed = {
            "out": str(tmp_path / "index"),
            "replace": replace,
            "network": {"network": PEAKED},
            "source": {"images": str(photographs), "max_bad": 0.5},
            "scan": {"workers": 1, "rank_depth": IMAGES},
            "derive": {"n_max": IMAGES, "receptive_field": which},
        }
        outcome = run(run_config(typed, None))
        return outcome.computed, outcome.manifest.scan_fingerprint

    assert indexed("theoretical", replace=False)[0]
    before = open_index(tmp_path / "index")
    rankings = before.rankings(["image", "activation", "row", "column"]).to_pylist()
    assert before.neurons["rf_size"].to_pylist() == [7]
    computed, fingerprint = indexed("effective", replace=True)
    assert computed
    after = open_index(tmp_path / "index")
    assert fingerprint == before.manifest.scan_fingerprint
    assert after.manifest.index_fingerprint != before.manifest.index_fingerprint
    assert "scan" not in after.manifest.stages
    assert after.rankings(["image", "activation", "row", "column"]).to_pylist() == rankings
    [row] = after.neurons.to_pylist()
    assert (row["rf_size"], row["rf_stride"], row["rf_offset"], row["rf_exact"]) == (5, 2, -2, False)
    neuron = after.neuron("0", 0)
    assert neuron.feature is not None
    assert neuron.feature.shape == (5, 5, 3)
    boxes = neuron.ranking.to_pylist()
    assert {(box["x1"] - box["x0"], box["y1"] - box["y0"]) for box in boxes} == {(5, 5)}
    assert [box["x0"] for box in boxes] == [2 * box["column"] - 2 for box in boxes]
    assert after.manifest.config["derive"]["receptive_field"] == "effective"
    tap = after.manifest.network.taps["0"]
    assert (tap["rf_size"], field_of(tap["fields"]["effective"]).size) == (7, 5)
    assert verify(str(tmp_path / "index"), Sample(neurons=1, top=3, seed=0)).problems == []
    assert indexed("effective", replace=False) == (False, fingerprint)


def test_bf16(local_ray: None, photographs: Path, tmp_path: Path) -> None:
    """An index of a network in bfloat16 is checked in it, and has other rankings than that in float32."""
    indexes = {}
    for dtype in ("float32", "bf16"):
        typed = {
            "out": str(tmp_path / dtype),
            "network": {"network": OWN, "tap": "convolution", "layers": ["conv"], "dtype": dtype},
            "source": {"images": str(photographs), "max_bad": 0.5},
            "scan": {"workers": 1, "rank_depth": IMAGES},
            "derive": {"n_max": IMAGES},
        }
        run(run_config(typed, None))
        indexes[dtype] = open_index(tmp_path / dtype)
        checked = verify(str(tmp_path / dtype), Sample(neurons=5, top=3, seed=0))
        assert checked.problems == []
        assert checked.crops == checked.runs > 0
    activations = {dtype: index.rankings(["activation"])["activation"] for dtype, index in indexes.items()}
    as_bf16 = {dtype: torch.tensor(each.to_pylist()).bfloat16().tolist() for dtype, each in activations.items()}
    assert activations["bf16"].to_pylist() == as_bf16["bf16"]
    assert activations["float32"].to_pylist() != as_bf16["float32"]
    # A sum of 27 products, each of at most about 1, with factors of 8 bits.
    assert as_bf16["bf16"] == pytest.approx(as_bf16["float32"], rel=0.02, abs=27 * 2**-8)
    assert len({index.manifest.scan_fingerprint for index in indexes.values()}) == 2


def test_crops_in_full_resolution(local_ray: None, tmp_path: Path) -> None:
    """A red square of 4 x 4 pixels after the resize, found again 5 times as large in its photograph."""
    larger, size = 5, 32
    random = np.random.default_rng(2)
    corners = {}
    for number in range(6):
        pixels = np.zeros((size * larger, (size + 8) * larger, 3), np.uint8)
        row, column = random.integers(4, size - 12, 2)
        corners[f"{number}.png"] = row, column
        top, left = (row + 2) * larger, (column + 4 + 2) * larger  # 4 columns of the resized image are cropped away
        pixels[top : top + 4 * larger, left : left + 4 * larger] = (250, 0, 0)
        pixels[0, 0] = number
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "crop.toml").write_text(f"""
        [network]
        network = "tests.networks:known"
        [network.preprocessing]
        resize = {size}
        crop = [{size}, {size}]
        interpolation = "box"
        mean = [0.0, 0.0, 0.0]
        std = [1.0, 1.0, 1.0]
    """)
    source, out = {"images": str(tmp_path / "images")}, str(tmp_path / "index")
    run(run_config({"out": out, "source": source, "scan": {"workers": 1}}, tmp_path / "crop.toml"))
    shutil.move(tmp_path / "images", tmp_path / "moved")
    neuron = open_index(tmp_path / "index").neuron("0", 0)
    with pytest.raises(RayselError):
        neuron.source_crops(1)
    crops = neuron.source_crops(9, images=str(tmp_path / "moved"))
    assert {crop.key for crop in crops} == set(corners)
    assert [crop.image for crop in crops] == neuron.ranking["image"].to_pylist()
    red = np.zeros((8 * larger, 8 * larger), bool)
    red[2 * larger : 6 * larger, 2 * larger : 6 * larger] = True
    for crop in crops:
        row, column = corners[crop.key]
        top, left = row * larger, (column + 4) * larger
        assert crop.box == (top, left, top + 8 * larger, left + 8 * larger)
        assert np.array_equal(np.asarray(crop.picture)[..., 0] > 100, red), crop
