"""SqueezeNet 1.1 with its trained weights over real photographs, against a plain forward and the reference."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import load_file

import raysel
from raysel.config import DeriveConfig, NetworkConfig, RunConfig, ScanConfig, SourceConfig
from raysel.images import open_source, read_labels
from raysel.network import load
from raysel.neurons import first_neurons
from raysel.pipeline.scan.layout import forward_batch
from tests.end_to_end.runs import run
from tests.images.samples import list_of
from tests.pipeline.expected import Geometry, Seen, assert_indexes, assert_ranking, expect, watch

pytestmark = [pytest.mark.ray, pytest.mark.assets]

END = 223
"""The first convolution has kernel 3, stride 2 and no padding: of 224 pixels it does not see the last."""
GEOMETRY = {
    "features.0": Geometry(3, 2, 0, 111, END),
    "features.3.expand3x3": Geometry(15, 4, -4, 55, END),
    "features.6.expand3x3": Geometry(47, 8, -16, 27, END),
    "features.9.expand1x1": Geometry(79, 16, -24, 13, END),
    "features.12.expand3x3": Geometry(207, 16, -88, 13, END),
    "classifier.1": Geometry(207, 16, -88, 13, END),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PER_LAYER = 1


def test_sampled_neurons(assets: Path, local_ray: None, tmp_path: Path) -> None:
    config = configured(assets, tmp_path)
    outcome = run(config)
    assert outcome.manifest.counts.quarantined == 0
    index = raysel.open(config.out)
    network, source = load(config.network), open_source(config.source.images)
    assert [tap.layer for tap in network.taps] == list(GEOMETRY)
    assert config.source.labels is not None
    images = list_of(source).with_labels(read_labels(config.source.labels, None, "wnid"))
    seen = watch(source, images, network, batch=forward_batch(config.scan))
    assert None not in seen.labels
    plain = plain_maps(config, seen)
    drawn = np.random.default_rng(5)
    for tap, first in zip(network.taps, first_neurons(network.taps), strict=False):
        of_tap, where = seen.neurons(first, tap.channels), GEOMETRY[tap.layer]
        highest = plain[tap.layer].max(axis=2)
        scale = highest.max(axis=0)
        assert (np.abs(of_tap.activations - highest) <= 1e-5 * scale).all(), tap.layer
        at_place = np.take_along_axis(plain[tap.layer], of_tap.positions[:, :, None].astype(int), axis=2)[:, :, 0]
        assert (np.abs(at_place - highest) <= 1e-5 * scale).all(), tap.layer
        for channel in drawn.choice(np.flatnonzero(scale > 0), PER_LAYER, replace=False).tolist():
            expected = expect(of_tap, channel, where, config.scan.rank_depth, config.derive)
            neuron = index.neuron(tap.layer, channel)
            assert_ranking(neuron.ranking, expected, where)
            assert (neuron.row["rf_size"], neuron.row["rf_stride"], neuron.row["rf_offset"]) == (
                where.size,
                where.stride,
                where.offset,
            )
            assert_indexes(neuron.row, expected)
            assert expected.feature is not None
            assert expected.count is not None
            assert neuron.feature is not None
            assert np.array_equal(neuron.count, expected.count)
            shown = expected.count > 0
            np.testing.assert_allclose(neuron.feature[shown], expected.feature[shown], rtol=2**-11, atol=1e-6)


def configured(assets: Path, tmp_path: Path) -> RunConfig:
    """A run over 50 photographs of nips17 and 30 of imagenette, drawn from a seed, labelled by the manifest."""
    manifest = assets / "images" / "manifest.csv"
    paths = pyarrow.csv.read_csv(manifest)["path"].to_pylist()
    random = np.random.default_rng(1)
    for folder, count in (("nips17/", 50), ("imagenette_val100/", 30)):
        for path in random.choice([each for each in paths if each.startswith(folder)], count, replace=False).tolist():
            (tmp_path / "images" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(assets / "images" / path, tmp_path / "images" / path)
    return RunConfig(
        out=str(tmp_path / "index"),
        source=SourceConfig(images=str(tmp_path / "images"), labels=str(manifest), label_column="wnid"),
        network=NetworkConfig(
            network="torchvision:squeezenet1_1",
            weights=str(assets / "models" / "squeezenet1_1_imagenet.safetensors"),
            layers=tuple(GEOMETRY),
        ),
        scan=ScanConfig(workers=2, rank_depth=60),
        derive=DeriveConfig(n_max=15, float_features=True),
    )


def plain_maps(config: RunConfig, seen: Seen) -> dict[str, NDArray[np.float32]]:
    """Layer -> float32 [images, channels, positions]: torchvision's own module, hooked, one batch after another."""
    module = torchvision.models.squeezenet1_1()
    module.load_state_dict(load_file(str(config.network.weights)))
    module.eval()
    maps: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in GEOMETRY}
    for layer, kept in maps.items():
        module.get_submodule(layer).register_forward_hook(
            lambda _m, _i, output, kept=kept: kept.append(torch.relu(output).flatten(2).numpy())
        )
    with torch.no_grad():
        for start in range(0, len(seen.pixels), 10):
            inputs = (seen.pixels[start : start + 10] / 255.0 - np.array(MEAN)) / np.array(STD)
            module(torch.from_numpy(inputs).float().permute(0, 3, 1, 2).contiguous())
    return {layer: np.concatenate(kept) for layer, kept in maps.items()}
