"""Every value of an index, computed from activations without Ray or storage, against `tests.reference`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from raysel.config import DeriveConfig, NetworkConfig
from raysel.images import ImagesList, Source, open_source
from raysel.network import Network, load
from raysel.neurons import first_neurons
from raysel.pipeline.derive import chunk as kernel
from raysel.pipeline.derive.inputs import Inputs
from raysel.pipeline.publish import ranking_tables
from raysel.pipeline.scan.call_result import CallResult, merge_rows
from raysel.pipeline.scan.state import RunningState
from raysel.selectivity import Concepts
from tests import networks
from tests.images.samples import list_of
from tests.pipeline.corpus import as_folder, corpus, with_bad
from tests.pipeline.expected import Geometry, Seen, assert_indexes, assert_ranking, expect, watch
from tests.selecting import select

BATCH = 8
ZOO = NetworkConfig(network="tests.networks:zoo", layers=("first", "second", "whole", "hot", "clash"))
GEOMETRY = {
    "first": Geometry(5, 2, -2, 12),
    "second": Geometry(9, 4, -4, 6),
    "whole": Geometry(29, 4, -4, 1),
    "hot": Geometry(1, 1, 0, 24),
    "clash": Geometry(1, 1, 0, 24),
}


@dataclass(frozen=True)
class Case:
    """One set of options."""

    depth: int
    derive: DeriveConfig


CASES = {
    "fewer images than the depth": Case(400, DeriveConfig()),
    "cut among ties": Case(12, DeriveConfig(n_max=5)),
    "orthonormal": Case(60, DeriveConfig(n_max=30, color_space="orthonormal")),
    "threshold below 1": Case(60, DeriveConfig(n_max=60, min_relative_activation=0.5, class_threshold=0.8)),
    "N = 1, reduced": Case(40, DeriveConfig(min_relative_activation=1.0, feature_max_size=8)),
    "reduced": Case(40, DeriveConfig(n_max=20, feature_max_size=7)),
}


@dataclass(frozen=True)
class Scene:
    """A source with bad and unlabeled images, and the network's activations on it."""

    source: Source
    images: ImagesList
    network: Network
    seen: Seen


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    samples, _ = with_bad(corpus())
    source = open_source(as_folder(samples, tmp_path_factory.mktemp("images")))
    images, network = list_of(source), load(ZOO)
    return Scene(source, images, network, watch(source, images, network, BATCH))


def test_the_scene_has_every_special_case(scene: Scene) -> None:
    """Without them the comparisons below would prove less than they seem to."""
    at = dict(zip((tap.layer for tap in scene.network.taps), first_neurons(scene.network.taps), strict=False))
    first = scene.seen.neurons(at["first"], 10).activations
    assert ((first == 6.0).sum(axis=0) > 20).sum() >= 2
    assert not (first[:, [3, 7]] > 0).any()
    hot, clash = scene.seen.neurons(at["hot"], 3).activations, scene.seen.activations[:, at["clash"]]
    assert np.isinf(hot[:, 0]).any()
    assert np.isfinite(hot[:, 0]).any()
    assert np.isnan(hot[:, 2]).all()
    assert np.isnan(clash).any()
    assert (np.isfinite(clash) & (clash > 0)).sum() > 5
    assert None in scene.seen.labels
    assert len(scene.seen.ids) == len(scene.images.images) - 4


def test_activations_are_those_of_a_plain_forward(scene: Scene) -> None:
    module, _ = networks.zoo()
    inputs = (scene.seen.pixels / 255.0 - np.array(networks.MEAN_COLOR)) / np.array(networks.STD)
    maps: dict[str, torch.Tensor] = {}
    for name, child in module.named_modules():
        child.register_forward_hook(lambda _m, _i, output, name=name: maps.__setitem__(name, output.clone()))
    with torch.no_grad():
        module.eval()(torch.from_numpy(inputs).float().permute(0, 3, 1, 2).contiguous())
    read = {
        "first": maps["first"].clamp(0, 6),
        "second": maps["norm"].clamp(min=0),
        "whole": maps["whole"],
        "hot": maps["hot"],
        "clash": maps["clash"],
    }
    taps = scene.network.taps
    for tap, first in zip(taps, first_neurons(taps), strict=False):
        flat = read[tap.layer].flatten(2).numpy()
        seen = scene.seen.neurons(first, tap.channels)
        expected = flat.max(axis=2)
        with np.errstate(invalid="ignore"):
            scale = np.abs(expected).max(axis=0, where=np.isfinite(expected), initial=0)
            near = np.abs(seen.activations - expected) <= 1e-5 * scale
        same = near | (seen.activations == expected) | (np.isnan(seen.activations) & np.isnan(expected))
        assert same.all(), tap.layer
        there = np.take_along_axis(flat, seen.positions[:, :, None].astype(int), axis=2)[:, :, 0]
        with np.errstate(invalid="ignore"):
            at_place = (np.abs(there - expected) <= 1e-5 * scale) | ~np.isfinite(expected)
        assert at_place.all(), tap.layer


@pytest.mark.parametrize("name", CASES)
def test_rankings_features_and_indexes(
    name: str, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    state = folded(scene, case.depth)
    made = derived(scene, state, case.derive, tmp_path, monkeypatch)
    ranked = list(ranking_tables(scene.network.taps, state.rankings(), scene.images))
    living = 0
    for tap, first, ranking in zip(scene.network.taps, first_neurons(scene.network.taps), ranked, strict=False):
        where = GEOMETRY[tap.layer]
        seen = scene.seen.neurons(first, tap.channels)
        for channel in range(tap.channels):
            expected = expect(seen, channel, where, case.depth, case.derive)
            rows = ranking.filter(np.asarray(ranking["channel"]) == channel)
            assert_ranking(rows, expected, where)
            row = made.rows[tap.layer, channel]
            assert (row["rf_size"], row["rf_stride"], row["rf_offset"]) == (where.size, where.stride, where.offset)
            assert_indexes(row, expected)
            if expected.feature is None or expected.count is None:
                assert (tap.layer, channel) not in made.features
                continue
            feature, count = made.features[tap.layer, channel]
            assert np.array_equal(count, expected.count)
            np.testing.assert_allclose(feature, expected.feature, rtol=0, atol=1e-6)
            living += 1
    assert living == len(made.features) == len(made.rows) - 3  # channels 3 and 7 of first, 2 of hot


def test_one_image_alone(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With w >= 1 a neuron that is not tied has N = 1, and neither class selectivity nor its chance level."""
    case = CASES["N = 1, reduced"]
    made = derived(scene, folded(scene, case.depth), case.derive, tmp_path, monkeypatch)
    alone = [row for row in made.rows.values() if row["n"] == 1]
    assert alone
    for row in alone:
        assert row["class_selectivity"] is row["class_chance"] is row["class_excess"] is None


@dataclass(frozen=True)
class Made:
    """Rows and features before storage."""

    rows: dict[tuple[str, int], dict[str, Any]]
    features: dict[tuple[str, int], tuple[NDArray[np.float64], NDArray[np.int64]]]


def folded(scene: Scene, depth: int) -> RunningState:
    """The running state of a scan in calls of 7 images, in a random order, every second pair through a tree level."""
    seen = scene.seen
    state = RunningState.empty(seen.activations.shape[1], depth, len(scene.images.images))
    calls = np.array_split(np.random.default_rng(depth).permutation(len(seen.ids)), len(seen.ids) // 7)
    for number in range(0, len(calls), 2):
        rows = []
        for call in calls[number : number + 2]:
            ids = np.array(seen.ids)[call]
            found = select(seen.activations[call], seen.positions[call], ids, state.rankings().cutoffs)
            rows.append(CallResult(ids, {}, found).to_row())
        together = pa.concat_tables(rows)
        state.take(CallResult.from_rows(merge_rows(together, depth) if number % 4 else together))
    return state


def derived(
    scene: Scene, state: RunningState, options: DeriveConfig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Made:
    """Every neuron through the derive kernel; its features are caught on their way into storage."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    n = state.rankings().taking_part(options.n_max, options.min_relative_activation)
    ids = state.rankings().ids
    needed = np.unique(ids[np.arange(state.rankings().depth) < n[:, None]])
    inputs = Inputs.of(scene.source, scene.network.preprocessing, scene.images, needed, options.cache_gb)
    labels = kernel.Labels.of(scene.images, state.covered, Concepts([{}] * 99, {}, {}, None))
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    features: dict[tuple[str, int], tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
    store = kernel.feature_row
    layer = ""

    def catch(channel: int, feature: NDArray[np.float64], count: NDArray[np.int64], *, floats: bool) -> dict[str, Any]:
        features[layer, channel] = feature, count
        return store(channel, feature, count, floats=floats)

    monkeypatch.setattr(kernel, "feature_row", catch)
    for tap, first in zip(scene.network.taps, first_neurons(scene.network.taps), strict=False):
        layer = tap.layer
        part = slice(first, first + tap.channels)
        chunk = kernel.Chunk(tap, 0, state.rankings()[part], n[part])
        for row in kernel.derive_chunk(chunk, inputs, labels, options)[0].to_pylist():
            rows[layer, row["channel"]] = row
    inputs.remove()
    return Made(rows, features)
