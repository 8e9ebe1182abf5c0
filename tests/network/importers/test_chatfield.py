"""VGG-F, VGG-M and VGG-S against a forward with the formulas in float64 with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from raysel.config import NetworkConfig
from raysel.network import load
from raysel.network.importers.matconvnet_layers import ChannelNormalization
from raysel.network.importers.registry import import_network
from tests.network.maps import maps, pixels

Map = NDArray[np.float64]

# Chatfield et al. 2014, table 1, and MatConvNet's cnn_imagenet_init.m: kernel, stride, padding on all sides,
# normalized, then pooling's kernel, stride and padding at the bottom and right.
ARCHITECTURES: dict[str, list[tuple[int, int, int, bool, tuple[int, int, int] | None]]] = {
    "vgg-f": [
        (11, 4, 0, True, (3, 2, 1)),
        (5, 1, 2, True, (3, 2, 1)),
        (3, 1, 1, False, None),
        (3, 1, 1, False, None),
        (3, 1, 1, False, (3, 2, 1)),
    ],
    "vgg-m": [
        (7, 2, 0, True, (3, 2, 0)),
        (5, 2, 1, True, (3, 2, 1)),
        (3, 1, 1, False, None),
        (3, 1, 1, False, None),
        (3, 1, 1, False, (3, 2, 0)),
    ],
    "vgg-s": [
        (7, 2, 0, True, (3, 3, 2)),
        (5, 1, 0, False, (2, 2, 1)),
        (3, 1, 1, False, None),
        (3, 1, 1, False, None),
        (3, 1, 1, False, (3, 3, 1)),
    ],
}


def correlate(x: Map, weight: Map, bias: Map, stride: int, padding: int) -> Map:
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("crqij,kcij->krq", windows, weight, optimize=True) + bias[:, None, None]


def normalize(x: Map) -> Map:
    """N = 5, kappa = 2, alpha = 1e-4, beta = 0.75; the sum over the window is not divided by N."""
    y = np.empty_like(x)
    for k in range(len(x)):
        window = x[max(0, k - 2) : k + 3]
        y[k] = x[k] / (2 + 1e-4 * (window**2).sum(axis=0)) ** 0.75
    return y


def pool(x: Map, kernel: int, stride: int, padding: int) -> Map:
    padded = np.pad(x, ((0, 0), (0, padding), (0, padding)), constant_values=-np.inf)
    return sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride].max(axis=(3, 4))


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_forward(name: str) -> None:
    config = NetworkConfig(
        network=f"chatfield:{name}", weights="random", network_args={"fc6": 64, "fc7": 8}, layers=("*", "fc6")
    )
    network = load(config)
    images = pixels(network, 1)
    actual = maps(network, images)
    weights = {key: value.double().numpy() for key, value in import_network(config).module.state_dict().items()}
    x = (images[0].double().numpy() - np.array(network.preprocessing.mean)).transpose(2, 0, 1)
    for k, (kernel, stride, padding, normalized, pooling) in enumerate(ARCHITECTURES[name], start=1):
        weight = weights[f"conv{k}.weight"]
        assert weight.shape[2:] == (kernel, kernel)
        x = np.maximum(correlate(x, weight, weights[f"conv{k}.bias"], stride, padding), 0)
        np.testing.assert_allclose(actual[f"conv{k}"][0].numpy(), x, rtol=1e-4, atol=1e-5 * x.max())
        x = normalize(x) if normalized else x
        x = pool(x, *pooling) if pooling else x
    assert x.shape[1:] == (6, 6)
    fc6 = weights["fc6.weight"] @ x.reshape(-1) + weights["fc6.bias"]
    np.testing.assert_allclose(actual["fc6"][0, :, 0, 0], fc6, rtol=1e-4, atol=1e-5 * abs(fc6).max())


@pytest.mark.parametrize(("size", "beta"), [(5, 0.75), (3, 0.75), (1, 0.5), (7, 1.0)])
def test_channel_normalization_of_large_values(size: int, beta: float) -> None:
    """The sum outweighs kappa."""
    x = np.random.default_rng(0).normal(scale=300, size=(9, 4, 5))
    half = (size - 1) // 2
    expected = np.stack(
        [x[k] / (2 + 1e-4 * (x[max(0, k - half) : k + half + 1] ** 2).sum(axis=0)) ** beta for k in range(9)]
    )
    actual = ChannelNormalization(size, 2.0, 1e-4, beta)(torch.tensor(x[None]))
    np.testing.assert_allclose(actual[0].numpy(), expected, rtol=1e-10)


def test_units_of_the_fully_connected_layers() -> None:
    config = NetworkConfig(
        network="chatfield:vgg-m", weights="random", network_args={"fc7": 128, "classes": 10}, layers=("fc7", "fc8")
    )
    network = load(config)
    assert [(tap.layer, tap.channels) for tap in network.taps] == [("fc7", 128), ("fc8", 10)]
    assert all(tap.receptive_field.fixed and tap.receptive_field.exact for tap in network.taps)
