"""Effective receptive fields of networks with known gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from raysel.config import NetworkConfig
from raysel.network import effective_receptive_fields, load
from raysel.network.importers.registry import import_network
from tests.network.maps import pixels
from tests.network.receptive_field.gradient import Probe, assert_seen, positive


def test_one_convolution_with_a_known_kernel() -> None:
    """The gradient is the kernel: 91.1 % of its energy in 3 x 3, 96.4 % in 5 x 5, all in 7 x 7."""
    network = load(NetworkConfig(network="tests.network.small:peaked"))
    (theory,) = (tap.receptive_field for tap in network.taps)
    assert (theory.size, theory.rows.stride, theory.rows.offset) == (7, 2, -3)
    for share, size in ((0.9, 3), (0.95, 5), (0.99, 7)):
        (field,) = effective_receptive_fields(network, share=share)
        assert field.size == size
        assert field.rows == field.columns
        assert (field.rows.stride, field.rows.offset) == (2, -(size - 1) / 2)
        assert not field.exact


def test_against_the_gradients_of_all_channels() -> None:
    """Random signs against one backward pass per channel, over many images."""
    config = NetworkConfig(
        network="chatfield:vgg-f",
        weights="random",
        network_args={"fc6": 8, "fc7": 8},
        layers=("conv1", "conv2"),
        tap="convolution",
    )
    network = load(config)
    images = pixels(network, 8)
    module = import_network(config).module.eval()
    inputs = network.normalize(images).detach().requires_grad_()
    maps = {"conv1": module[:1](inputs), "conv2": module[:5](inputs)}
    for tap, field in zip(network.taps, effective_receptive_fields(network, images), strict=True):
        center = maps[tap.layer][:, :, tap.map_size[0] // 2, tap.map_size[1] // 2].sum(dim=0)
        energy = torch.zeros(224, 224, dtype=torch.float64)
        for value in center[:: max(1, len(center) // 16)]:
            (gradient,) = torch.autograd.grad(value, inputs, retain_graph=True)
            energy += gradient.double().square().sum(dim=(0, 1))
        rows, columns = tap.map_size
        top, left = field.origins(np.array(rows // 2 * columns + columns // 2), columns).tolist()
        held = energy[top : top + field.size, left : left + field.size].sum() / energy.sum()
        inner = energy[top + 1 : top + field.size - 1, left + 1 : left + field.size - 1].sum() / energy.sum()
        assert held > 0.93
        assert inner < 0.97  # the next smaller square does not hold enough
        assert field.size <= tap.receptive_field.size


def test_squeeze_and_excitation_is_centered_on_the_map() -> None:
    config = NetworkConfig(network="torchvision:mobilenet_v3_small", weights="random", layers=("features.2.block.0.0",))
    network = load(config)
    assert network.taps[0].receptive_field.whole
    (field,) = effective_receptive_fields(network, pixels(network, 2))
    assert not field.whole  # the whole image has hardly any influence
    assert field.rows.stride == 224 / network.taps[0].map_size[0]


def test_fields_of_dead_layers_stay_theoretical() -> None:
    network = load(NetworkConfig(network="tests.network.small:dead"))
    assert effective_receptive_fields(network)[0].size == network.taps[0].receptive_field.size


def test_transposed_convolution_is_bounded() -> None:
    """The size of the field differs between positions, so one size bounds them all."""
    config = NetworkConfig(network="tests.network.small:upsampled")
    network = load(config)
    probe = Probe(positive(import_network(config).module), network.preprocessing.input_size)
    layers = {tap.layer: tap.receptive_field for tap in network.taps}
    assert layers["0"].exact
    for layer in ("1", "3"):
        assert not layers[layer].exact
        assert layers[layer].rows.stride == 1
        assert_seen(probe, layer, layers[layer])
        sizes = {rows[1] - rows[0] + 1 for r in range(8, 20) if (rows := (probe.seen(layer, r, r) or [(0, -1)])[0])}
        assert layers[layer].size - 3 <= max(sizes) <= layers[layer].size


def test_the_network_does_not_change() -> None:
    network = load(NetworkConfig(network="tests.network.small:peaked"))
    images = pixels(network, 2)
    before: list[torch.Tensor] = []
    network.run(images, lambda k, map_: before.append(map_.clone()))
    effective_receptive_fields(network, images)
    network.run(images, lambda k, map_: before.append(map_.clone()))
    assert torch.equal(before[0], before[1])
    assert isinstance(import_network(NetworkConfig(network="tests.network.small:peaked")).module, nn.Module)
