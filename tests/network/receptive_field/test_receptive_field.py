"""Receptive fields against the gradient of single positions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from raysel.config import NetworkConfig
from raysel.network import Network, load
from raysel.network.importers.registry import import_network
from tests.network.plans import STEPS
from tests.network.receptive_field.gradient import Probe, assert_seen, positive
from tests.network.small import SMALL_END

BUILD = "tests.network.plans:build"


def check(network: Network, module: nn.Module, layers: list[str] | None = None) -> None:
    """What positions see is what the boxes hold."""
    probe = Probe(positive(module), network.preprocessing.input_size)
    for tap in network.taps:
        if layers is None or tap.layer in layers:
            assert tap.map_size == probe.map_size(tap.layer)
            assert tap.receptive_field.exact
            assert_seen(probe, tap.layer, tap.receptive_field)


@settings(max_examples=40, deadline=None)
@given(plan=st.lists(STEPS, min_size=1, max_size=6), height=st.integers(30, 50), width=st.integers(30, 50))
def test_random_graphs(plan: list[tuple[Any, ...]], height: int, width: int) -> None:
    steps = [["conv", 3, 1, 1, 1, 1], *map(list, plan), ["conv", 3, 1, 1, 1, 1]]
    config = NetworkConfig(network=BUILD, network_args={"plan": steps, "size": [height, width]})
    module = import_network(config).module
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, 3, height, width))
    except RuntimeError:
        assume(False)
    check(load(config), module)


@pytest.mark.parametrize("name", ["vgg-f", "vgg-m", "vgg-s"])
def test_chatfield(name: str) -> None:
    config = NetworkConfig(network=f"chatfield:{name}", weights="random", network_args=SMALL_END)
    check(load(config), import_network(config).module)


def test_vgg_m_as_in_the_paper() -> None:
    """Fig. 3: 7 x 7, 27 x 27, 75 x 75, 107 x 107 and 139 x 139."""
    taps = load(NetworkConfig(network="chatfield:vgg-m", weights="random", network_args=SMALL_END)).taps
    assert [tap.receptive_field.size for tap in taps] == [7, 27, 75, 107, 139]
    assert [tap.channels for tap in taps] == [96, 256, 512, 512, 512]
    assert [tap.map_size[0] for tap in taps] == [109, 26, 13, 13, 13]


def test_squeezenet() -> None:
    config = NetworkConfig(network="torchvision:squeezenet1_1", weights="random")
    network = load(config)
    assert len(network.taps) == 26
    check(network, import_network(config).module)


def test_efficientnet_lite() -> None:
    """Padding like TensorFlow's SAME: more at the bottom and right than at the top and left."""
    config = NetworkConfig(
        network="efficientnet_lite_pytorch:EfficientNet.from_name", network_args={"model_name": "efficientnet-lite0"}
    )
    network = load(config)
    assert sum(tap.channels for tap in network.taps) == 21_008
    some = ["_conv_stem", "_blocks.1._depthwise_conv", "_blocks.3._depthwise_conv", "_blocks.5._project_conv"]
    check(network, import_network(config).module, some)
    assert network.taps[0].receptive_field.rows.offset == 0  # 224 px: one row of padding, at the bottom
