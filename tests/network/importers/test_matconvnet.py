"""MatConvNet files with the authors' structure against the same networks in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch import nn

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.network import load
from raysel.network.importers.registry import import_network
from tests.network.importers.test_chatfield import ARCHITECTURES
from tests.network.maps import assert_close, maps, pixels

Weights = dict[str, tuple[np.ndarray, np.ndarray]]
SMALL = {"fc6": 7, "fc7": 5, "classes": 4}


def reference(name: str) -> dict[str, torch.Tensor]:
    """Random weights of the built-in network with small fully connected layers."""
    config = NetworkConfig(network=f"chatfield:{name}", weights="random", network_args=SMALL)
    return import_network(config).module.state_dict()


def cell(items: list[Any]) -> np.ndarray:
    """A MATLAB cell array of one row."""
    array = np.empty((1, len(items)), dtype=object)
    for k, item in enumerate(items):
        array[0, k] = item
    return array


def mat_layers(name: str, weights: dict[str, torch.Tensor], new: bool) -> list[dict[str, Any]]:
    """The layers in MatConvNet's layout, weights as [rows, columns, channels, outputs]."""
    layers: list[dict[str, Any]] = []

    def conv(layer: str, weight: torch.Tensor, stride: int, padding: int) -> None:
        filters = weight.permute(2, 3, 1, 0).numpy()
        biases = weights[f"{layer}.bias"].numpy()[None]
        settings: dict[str, Any] = {"type": "conv", "name": layer, "stride": float(stride), "pad": float(padding)}
        if new:
            settings |= {"weights": cell([filters, biases]), "pad": [[float(padding)] * 4], "stride": [[stride] * 2]}
        else:
            settings |= {"filters": filters, "biases": biases}
        layers.append(settings)
        if layer != "fc8":
            layers.append({"type": "relu", "name": layer.replace("conv", "relu").replace("fc", "relu")})

    for k, (_kernel, stride, padding, normalized, pooling) in enumerate(ARCHITECTURES[name], start=1):
        conv(f"conv{k}", weights[f"conv{k}.weight"], stride, padding)
        if normalized:
            kind = "lrn" if new else "normalize"
            layers.append({"type": kind, "name": f"norm{k}", "param": [[5.0, 2.0, 1e-4, 0.75]]})
        if pooling:
            size, step, rest = pooling
            pool = {"type": "pool", "name": f"pool{k}", "method": "max", "pool": [[size, size]], "stride": float(step)}
            layers.append(pool | {"pad": [[0.0, float(rest), 0.0, float(rest)]]})
    conv("fc6", weights["fc6.weight"].reshape(7, -1, 6, 6), 1, 0)
    conv("fc7", weights["fc7.weight"][:, :, None, None], 1, 0)
    conv("fc8", weights["fc8.weight"][:, :, None, None], 1, 0)
    return [*layers, {"type": "softmax", "name": "prob"}]


def write_mat(path: Path, name: str, weights: dict[str, torch.Tensor], layout: str, average: np.ndarray) -> None:
    layers = cell(mat_layers(name, weights, new=layout != "old"))
    normalization = {
        "imageSize": [[224.0, 224.0, 3.0]],
        "keepAspect": True,
        "border": [[32.0, 32.0]],
        "averageImage": average,
        "interpolation": "bicubic",
    }
    classes = {"name": cell(["n1", "n2"]), "description": cell(["tench", "goldfish"])}
    if layout == "old":
        savemat(path, {"layers": layers, "normalization": normalization, "classes": classes})
    else:
        net = {"layers": layers, "meta": {"normalization": normalization, "classes": classes}}
        savemat(path, {"net": net} if layout == "wrapped" else net)


@pytest.mark.parametrize(
    ("name", "layout"), [("vgg-m", "old"), ("vgg-m", "new"), ("vgg-f", "wrapped"), ("vgg-s", "new")]
)
def test_matconvnet_networks(tmp_path: Path, name: str, layout: str) -> None:
    weights = reference(name)
    color = np.array([120.0, 110.0, 100.0], np.float32)
    path = tmp_path / "imagenet.mat"
    write_mat(path, name, weights, layout, np.broadcast_to(color, (224, 224, 3)).copy())
    settings: dict[str, Any] = {"layers": ("conv*", "fc6", "fc8")}
    network = load(NetworkConfig(network=f"chatfield:{name}", weights=str(path), **settings))
    assert network.preprocessing.mean == (120.0, 110.0, 100.0)
    assert (network.preprocessing.resize, network.preprocessing.crop) == (256, (224, 224))
    assert network.preprocessing.interpolation == "bicubic"
    assert network.preprocessing.channel_order == "RGB"
    assert import_network(NetworkConfig(network=f"chatfield:{name}", weights=str(path))).classes == (
        "tench",
        "goldfish",
    )
    built_in = NetworkConfig(
        network=f"chatfield:{name}",
        weights="random",
        network_args=SMALL,
        preprocessing=network.preprocessing,
        **settings,
    )
    expected = load(built_in)
    assert [(tap.layer, tap.channels, tap.map_size) for tap in network.taps] == [
        (tap.layer, tap.channels, tap.map_size) for tap in expected.taps
    ]
    assert [tap.receptive_field for tap in network.taps] == [tap.receptive_field for tap in expected.taps]
    images = pixels(network, 1)
    actual, wanted = maps(network, images), maps(expected, images)
    for layer in wanted:
        assert_close(actual[layer], wanted[layer])


def test_matconvnet_average_image(tmp_path: Path) -> None:
    weights = reference("vgg-f")
    average = np.random.default_rng(0).uniform(80, 140, (224, 224, 3)).astype(np.float32)
    write_mat(tmp_path / "vgg.mat", "vgg-f", weights, "old", average)
    network = load(NetworkConfig(network=str(tmp_path / "vgg.mat"), layers=("conv1",), tap="convolution"))
    images = pixels(network, 2)
    inputs = (images.double() - torch.from_numpy(average).double()).permute(0, 3, 1, 2)
    conv = nn.functional.conv2d(inputs, weights["conv1.weight"].double(), weights["conv1.bias"].double(), stride=4)
    assert_close(maps(network, images)["conv1"], conv)
    assert network.preprocessing.mean == pytest.approx(tuple(average.reshape(-1, 3).mean(axis=0)), rel=1e-5)


def test_matconvnet_groups_and_uneven_padding(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(3, 3, 3, 4)), rng.normal(size=(3, 3, 2, 6))
    zeros, ones, sides = np.zeros((1, 4)), np.ones((1, 6)), [[1.0, 0.0, 2.0, 0.0]]
    layers = [
        {"type": "conv", "name": "a", "weights": cell([first, zeros]), "pad": sides, "stride": 2.0},
        {"type": "conv", "name": "b", "weights": cell([second, ones]), "pad": 1.0, "stride": 1.0},
    ]
    savemat(tmp_path / "g.mat", {"layers": cell(layers), "normalization": {"imageSize": [[20.0, 20.0, 3.0]]}})
    network = load(NetworkConfig(network=str(tmp_path / "g.mat")))
    images = pixels(network, 2)
    x = nn.functional.pad(images.double().permute(0, 3, 1, 2), (2, 0, 1, 0))
    x = nn.functional.conv2d(x, torch.from_numpy(first).permute(3, 2, 0, 1), stride=2)
    x = nn.functional.conv2d(x, torch.from_numpy(second).permute(3, 2, 0, 1), torch.ones(6).double(), 1, 1, groups=2)
    assert_close(maps(network, images)["b"], x)


def test_files_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(RayselError, match=r"no network at .*x\.mat"):
        load(NetworkConfig(network=str(tmp_path / "x.mat")))
    (tmp_path / "x.mat").write_bytes(b"\xff\xfe nothing of the kind")
    with pytest.raises(RayselError, match=r"x\.mat is not a MATLAB file"):
        load(NetworkConfig(network=str(tmp_path / "x.mat")))
    savemat(tmp_path / "y.mat", {"something": 3})
    with pytest.raises(RayselError, match="holds no MatConvNet SimpleNN network"):
        load(NetworkConfig(network=str(tmp_path / "y.mat")))
    savemat(tmp_path / "z.mat", {"layers": cell([{"type": "bnorm", "name": "b1"}])})
    with pytest.raises(RayselError, match=r"layer 'b1' cannot be built: .* layers of the type 'bnorm'"):
        load(NetworkConfig(network=str(tmp_path / "z.mat")))


def test_another_network_than_named(tmp_path: Path) -> None:
    color = np.zeros((224, 224, 3), np.float32)
    write_mat(tmp_path / "F.mat", "vgg-f", reference("vgg-f"), "new", color)
    with pytest.raises(RayselError, match=r"F.mat holds another network than chatfield:vgg-m"):
        load(NetworkConfig(network="chatfield:vgg-m", weights=str(tmp_path / "F.mat")))


@pytest.mark.parametrize(
    "config",
    [NetworkConfig(network="x.caffemodel"), NetworkConfig(network="chatfield:vgg-m", weights="x.caffemodel")],
)
def test_caffe_models_are_refused(config: NetworkConfig) -> None:
    with pytest.raises(RayselError, match=r"^raysel does not read Caffe models such as x\.caffemodel: .*\.mat"):
        load(config)
