"""What a chunk of neurons costs, counted: its inputs are read once, and its crops are cut once."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from raysel.config import DeriveConfig, NetworkConfig
from raysel.images import open_source
from raysel.network import load
from raysel.neurons import CropCutter, Rankings
from raysel.pipeline.derive.chunk import Chunk, Labels, derive_chunk
from raysel.pipeline.derive.inputs import Inputs
from raysel.selectivity import Concepts
from raysel.store import decode_feature
from tests.images.samples import list_of
from tests.pipeline.corpus import as_folder, corpus

DEPTH, NEURONS = 9, 4


@dataclass
class Calls:
    """What was asked for, counted on the way."""

    gathers: int = 0
    images_read: Counter[int] = field(default_factory=Counter)
    crops_cut: int = 0


@dataclass(frozen=True)
class Scene:
    """Four neurons that share images, with N = 9, 5, 0 and 9."""

    chunk: Chunk
    inputs: Inputs
    labels: Labels

    def derive(self, **options: Any) -> pa.Table:
        return derive_chunk(self.chunk, self.inputs, self.labels, DeriveConfig(**options))[0]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    source = open_source(as_folder(corpus(), tmp_path / "images"))
    network, images = load(NetworkConfig(network="tests.networks:zoo", layers=("second",))), list_of(source)
    tap, rng = network.taps[0], np.random.default_rng(0)
    n, living = np.array([9, 5, 0, 9]), np.array([0, 1, 3])
    neuron, rank = np.repeat(living, DEPTH), np.tile(np.arange(DEPTH), len(living))
    ids = np.concatenate([rng.permutation(12)[:DEPTH] for _ in living])
    positions = rng.integers(0, tap.map_size[0] * tap.map_size[1], ids.shape)
    activations = (2 - rank / 20).astype(np.float32)
    chunk = Chunk(tap, 0, Rankings.from_entries(NEURONS, DEPTH, neuron, rank, activations, ids, positions), n)
    needed = np.unique(chunk.images())
    inputs = Inputs.of(source, network.preprocessing, images, needed[needed >= 0], 1.0)
    labels = Labels.of(images, np.ones(len(images.images), bool), Concepts([{}] * len(images.classes), {}, {}, None))
    return Scene(chunk, inputs, labels)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    counted, gather, cut, decoded = Calls(), Inputs.gather, CropCutter.cut, Inputs._pixels

    def counting_gather(self: Inputs, ids: NDArray[np.int64]) -> Any:
        counted.gathers += 1
        return gather(self, ids)

    def counting_cut(self: CropCutter, rows: NDArray[np.integer], *more: Any) -> Any:
        counted.crops_cut += len(rows)
        return cut(self, rows, *more)

    def counting_pixels(self: Inputs, place: int, content: bytes) -> Any:
        counted.images_read[place] += 1
        return decoded(self, place, content)

    monkeypatch.setattr(Inputs, "gather", counting_gather)
    monkeypatch.setattr(CropCutter, "cut", counting_cut)
    monkeypatch.setattr(Inputs, "_pixels", counting_pixels)
    return counted


def test_inputs_are_read_once_and_crops_are_cut_once(scene: Scene, calls: Calls) -> None:
    """A crop serves the feature, the sheet and all indexes; an image serves all neurons."""
    scene.derive(feature_max_size=8, sheet_crop_size=4)
    assert calls.gathers == 1
    assert calls.crops_cut == int(scene.chunk.n.sum())
    assert sorted(calls.images_read) == list(range(len(scene.inputs.ids)))
    assert set(calls.images_read.values()) == {1}
    scene.derive()
    assert sum(calls.images_read.values()) == len(scene.inputs.ids)


def test_float_features_change_nothing_but_their_column(scene: Scene) -> None:
    plain, floats = (scene.derive(float_features=wanted) for wanted in (False, True))
    assert plain.drop_columns(["feature"]).equals(floats.drop_columns(["feature"]))
    for without, with_floats in zip(plain["feature"].to_pylist(), floats["feature"].to_pylist(), strict=True):
        if without is None:
            assert with_floats is None
            continue
        assert without == {**with_floats, "feature": None}
        (rounded, _), (exact, _) = decode_feature(without), decode_feature(with_floats)
        shown = ~np.isnan(exact)
        np.testing.assert_array_equal(np.isnan(rounded), ~shown)
        np.testing.assert_allclose(rounded[shown], exact[shown], rtol=0, atol=0.5 / 255 + 2**-12)
