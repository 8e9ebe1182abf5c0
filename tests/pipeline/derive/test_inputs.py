"""Decoded inputs: on disk, and decoded again where they have no place there."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from raysel.config import Preprocessing
from raysel.errors import RayselError
from raysel.images import ImagesList, Source, decode, open_source
from raysel.pipeline.derive.inputs import BYTES_PER_GB, Cost, Inputs
from tests.images.samples import contents, list_of
from tests.pipeline.corpus import as_folder, as_tars, corpus
from tests.small_disk import small_disk

SIZE = (20, 12)
PREPROCESSING = Preprocessing(resize=SIZE, crop=None)
IMAGE_GB = SIZE[0] * SIZE[1] * 3 / BYTES_PER_GB
IDS = np.array([0, 2, 3, 7, 8, 13, 20, 21])


@pytest.fixture(params=["folder", "tar"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    samples = corpus(per_class=7, unlabelled=3)
    order = np.random.default_rng(0).permutation(len(samples)).tolist()
    folder = request.param == "folder"
    root = tmp_path / "images"
    return open_source(as_folder(samples, root) if folder else as_tars(samples, root, 3, order))


@pytest.fixture(autouse=True)
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder."""
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    return tmp_path / "disk"


def inputs_of(source: Source, places: float) -> tuple[Inputs, ImagesList]:
    images = list_of(source)
    return Inputs.of(source, PREPROCESSING, images, IDS, places * IMAGE_GB), images


def pixels_of(source: Source, images: ImagesList, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The pixels of images, each decoded by itself."""
    files = contents(source, images)
    keys = images.images["key"].to_pylist()
    return np.stack([decode(files[keys[image]], PREPROCESSING) for image in ids.tolist()])


def bytes_of(images: ImagesList, ids: NDArray[np.int64]) -> int:
    return int(images.images["length"].to_numpy()[ids].sum())


@pytest.mark.parametrize("places", [len(IDS), 3, 0])
def test_the_same_pixels_from_disk_and_decoded_again(places: int, source: Source) -> None:
    """Also where an image is wanted twice, or none is (-1)."""
    inputs, images = inputs_of(source, places + 0.5)
    assert inputs.prepare() == places
    wanted = np.array([[21, 3, -1], [0, 21, 20]])
    rows_of = wanted[wanted >= 0]
    expected = pixels_of(source, images, rows_of)
    distinct = np.unique(rows_of)
    on_disk = np.isin(distinct, IDS[:places])
    pixels, rows, first = inputs.gather(wanted)
    assert ((rows < 0) == (wanted < 0)).all()
    assert np.array_equal(pixels[rows[wanted >= 0]], expected)
    assert first == Cost(len(distinct), bytes_of(images, distinct))
    pixels, rows, second = inputs.gather(wanted)
    assert np.array_equal(pixels[rows[wanted >= 0]], expected)
    again = distinct[~on_disk]
    assert second == Cost(len(again), bytes_of(images, again))
    inputs.remove()


def test_filled_ahead_in_parts_nothing_is_decoded_twice(source: Source, disk: Path) -> None:
    inputs, images = inputs_of(source, len(IDS))
    parts = inputs.parts(inputs.prepare(), 3)
    assert sorted(np.concatenate(parts).tolist()) == IDS.tolist()
    assert max(map(len, parts)) <= 3
    spent = Cost()
    for part in parts:
        spent.add(inputs.fill(part))
    assert spent == Cost(len(IDS), bytes_of(images, IDS))
    there = pickle.loads(pickle.dumps(inputs))  # another process of the machine
    pixels, rows, more = there.gather(IDS)
    assert more == Cost()
    assert np.array_equal(pixels[rows], pixels_of(source, images, IDS))
    assert any(disk.iterdir())
    inputs.remove()
    assert not any(disk.iterdir())


def test_another_machine_fills_its_own_disk(source: Source) -> None:
    """It has the same inputs and nothing on its disk."""
    inputs, images = inputs_of(source, len(IDS))
    inputs.fill(IDS)
    inputs.remove()
    pixels, rows, spent = pickle.loads(pickle.dumps(inputs)).gather(IDS[:2])
    assert spent.images_decoded == 2
    assert np.array_equal(pixels[rows], pixels_of(source, images, IDS[:2]))
    inputs.remove()


def test_caches_of_killed_runs_are_removed_after_a_day(source: Source, disk: Path) -> None:
    inputs, _ = inputs_of(source, len(IDS))
    for hours in (1, 25):
        (disk / f"raysel-inputs-{hours}").mkdir()
        (disk / f"raysel-inputs-{hours}" / "inputs").write_bytes(b"pixels")
        os.utime(disk / f"raysel-inputs-{hours}", (time.time() - 3600 * hours,) * 2)
    (disk / "others").mkdir()
    os.utime(disk / "others", (0, 0))
    inputs.prepare()
    assert {path.name for path in disk.iterdir()} == {"others", "raysel-inputs-1", Path(inputs.folder).name}


def test_without_a_place_on_disk_nothing_is_written(source: Source, disk: Path) -> None:
    inputs, _ = inputs_of(source, 0.5)
    assert inputs.parts(inputs.prepare(), 3) == []
    inputs.gather(IDS)
    assert not any(disk.iterdir())


def test_a_disk_without_space(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some images have a place there, the others are decoded whenever they are wanted."""
    with small_disk(tmp_path / "small", 16) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        inputs, images = inputs_of(source, len(IDS))
        (disk / "others").write_bytes(bytes(12 << 10))
        places = inputs.prepare()
        assert 0 < places < len(IDS)
        for part in inputs.parts(inputs.prepare(), 3):
            inputs.fill(part)
        pixels, rows, spent = inputs.gather(IDS)
        assert np.array_equal(pixels[rows], pixels_of(source, images, IDS))
        assert spent.images_decoded == len(IDS) - places
        inputs.remove()
        assert [path.name for path in disk.iterdir()] == ["others"]


@pytest.mark.parametrize("places", [len(IDS), 0])
def test_an_image_that_is_damaged_after_the_scan(places: int, tmp_path: Path) -> None:
    """It has the same size: only the decoder can find out."""
    root = tmp_path / "images"
    source = open_source(as_folder(corpus(per_class=7, unlabelled=3), root))
    inputs, images = inputs_of(source, places + 0.5)
    key = images.images["key"][int(IDS[3])].as_py()
    (root / key).write_bytes(bytes((root / key).stat().st_size))
    with pytest.raises(
        RayselError, match=rf"^image '{key}' of shard '{key.split('/')[0]}' cannot be decoded \(.*run "
    ) as e:
        inputs.gather(IDS)
    assert "\n" not in str(e.value)


def test_nothing_wanted(source: Source) -> None:
    """A chunk of dead neurons."""
    inputs, _ = inputs_of(source, len(IDS))
    _, rows, spent = inputs.gather(np.empty((4, 0), np.int64))
    assert rows.shape == (4, 0)
    assert spent == Cost()
    inputs.remove()
