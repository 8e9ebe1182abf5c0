"""The maps of `Network.run` against those of a plain forward with hooks."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import relu

from raysel.config import NetworkConfig
from raysel.network import load
from raysel.network.importers.registry import import_network
from tests.network.maps import CountedOperations, assert_close, maps, pixels, plain
from tests.network.plans import STEPS


@pytest.mark.assets
def test_squeezenet_with_real_weights(assets: Path) -> None:
    weights = str(assets / "models" / "squeezenet1_1_imagenet.safetensors")
    config = NetworkConfig(network="torchvision:squeezenet1_1", weights=weights)
    network = load(config)
    images = pixels(network, 3)
    expected = plain(import_network(config).module, images, network)
    for name, actual in maps(network, images).items():
        assert_close(actual, relu(expected[name]))


def test_efficientnet_lite_is_read_after_its_batch_norm() -> None:
    """In every block: expansion and depthwise after ReLU6, projection after its batch norm."""
    config = NetworkConfig(
        network="efficientnet_lite_pytorch:EfficientNet.from_name",
        network_args={"model_name": "efficientnet-lite0"},
        layers=("_conv_stem", "_blocks.[0-4].*"),
    )
    network = load(config)
    images = pixels(network, 2)
    expected = plain(import_network(config).module, images, network)
    norms = {"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2", "_conv_stem": "_bn0"}
    for tap in network.taps:
        block, _, conv = tap.layer.rpartition(".")
        norm = expected[f"{block}.{norms[conv]}".lstrip(".")]
        projects = conv == "_project_conv"
        assert tap.reading == ("batch norm" if projects else "batch norm + relu6")
        assert_close(maps(network, images)[tap.layer], norm if projects else norm.clamp(0, 6))


def test_convolution_itself_before_operations_in_place() -> None:
    config = NetworkConfig(network="tests.network.small:InPlace", tap="convolution", layers=("conv", "head"))
    network = load(config)
    images = pixels(network, 4)
    expected = plain(import_network(config).module, images, network)
    actual = maps(network, images)
    assert (actual["conv"] < 0).any()
    assert_close(actual["conv"], expected["conv"])
    assert_close(actual["head"][:, :, 0, 0], expected["head"])


def test_activation_before_operations_in_place() -> None:
    config = NetworkConfig(network="tests.network.small:InPlace", layers=("conv", "head"))
    network = load(config)
    images = pixels(network, 4)
    assert_close(maps(network, images)["conv"], relu(plain(import_network(config).module, images, network)["conv"]))


@pytest.mark.parametrize("network_name", ["torchvision:squeezenet1_1", "torchvision:mobilenet_v2"])
def test_other_images_in_the_batch_change_nothing(network_name: str) -> None:
    network = load(NetworkConfig(network=network_name, weights="random"))
    batch = pixels(network, 4)
    others = pixels(network, 4, seed=1)
    others[2] = batch[2]
    a, b = maps(network, batch), maps(network, others)
    for name in a:
        assert torch.equal(a[name][2], b[name][2])
    moved = maps(network, batch.flip(0))
    for name in a:
        np.testing.assert_allclose(moved[name][1], a[name][2], rtol=1e-4, atol=1e-5 * a[name].abs().max().item())


@settings(max_examples=15, deadline=None)
@given(plan=st.lists(STEPS, min_size=1, max_size=5), seed=st.integers(0, 9))
def test_random_graphs(plan: list[tuple[Any, ...]], seed: int) -> None:
    """Folding does not change the maps."""
    steps = [["conv", 3, 1, 1, 1, 1], ["relu"], *map(list, plan), ["relu"]]
    config = NetworkConfig(
        network="tests.network.plans:build",
        network_args={"plan": steps, "size": [33, 30], "seed": seed},
        layers=("*", "1", "2"),
    )
    module = import_network(config).module
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(2, 3, 33, 30))
    except RuntimeError:
        assume(False)
    network = load(config)
    images = pixels(network, 2)
    expected = plain(module, images, network)
    actual = maps(network, images)
    assert_close(actual["0"], relu(expected["1"]))
    assert_close(actual["1"], expected["1"])
    assert_close(actual["2"], relu(expected["1"]))
    for k, child in enumerate(module):
        if isinstance(child, nn.Conv2d) and isinstance(module[k + 1], nn.BatchNorm2d):
            after_norm = relu(expected[str(k + 1)])
            assume(bool(after_norm.any()))  # random weights can leave nothing to compare
            assert_close(actual[str(k)], after_norm)


def test_nothing_after_the_last_tap_runs() -> None:
    network = load(NetworkConfig(network="torchvision:resnet18", weights="random", layers=("layer1.0.*",)))
    with CountedOperations() as operations:
        network.run(pixels(network, 1), lambda k, map_: None)
    assert operations.calls["conv2d"] == 3  # conv1, layer1.0.conv1, layer1.0.conv2
    assert operations.calls["linear"] == operations.calls["addmm"] == 0


def test_maps_are_freed_when_no_longer_needed() -> None:
    network = load(NetworkConfig(network="chatfield:vgg-f", weights="random", network_args={"fc6": 8, "fc7": 8}))
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def visit(_k: int, map_: torch.Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(map_))
        most = max(most, sum(ref() is not None for ref in alive))

    network.run(pixels(network, 1), visit)
    assert len(alive) == 5
    assert most == 1


def test_weights_of_other_dimensions_are_left_as_they_are() -> None:
    config = NetworkConfig(network="tests.network.small:WithVolumes")
    network = load(config)
    images = pixels(network, 2)
    expected = plain(import_network(config).module, images, network)
    assert_close(maps(network, images)["last"], expected["last"])


def test_weights_do_not_change() -> None:
    network = load(NetworkConfig(network="tests.network.small:InPlace"))
    images = pixels(network, 2)
    first, second = maps(network, images), maps(network, images)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(map_.requires_grad for map_ in first.values())
