"""MatConvNet and Caffe files of the authors' structure, written here, against the same network in torch."""

from __future__ import annotations

import struct
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
from raysel.network.importers.finding import find
from tests.network.importers.test_chatfield import ARCHITECTURES
from tests.network.test_run import assert_close, maps, pixels

Weights = dict[str, tuple[np.ndarray, np.ndarray]]
SMALL = {"fc6": 7, "fc7": 5, "classes": 4}
CHANNELS = {"vgg-f": (64, 256, 256, 256, 256), "vgg-m": (96, 256, 512, 512, 512), "vgg-s": (96, 256, 512, 512, 512)}


def reference(name: str) -> dict[str, torch.Tensor]:
    """Weights of the built-in network, untrained, with a small fully connected part."""
    config = NetworkConfig(network=f"chatfield:{name}", weights="random", network_args=SMALL)
    return find(config).module.state_dict()


def cell(items: list[Any]) -> np.ndarray:
    """A MATLAB cell array of one row."""
    array = np.empty((1, len(items)), dtype=object)
    for k, item in enumerate(items):
        array[0, k] = item
    return array


def mat_layers(name: str, weights: dict[str, torch.Tensor], new: bool) -> list[dict[str, Any]]:
    """The layers as MatConvNet keeps them, weights as [rows, columns, channels, outputs]."""
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
    assert network.classes == ("tench", "goldfish")
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


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | float | bytes | str) -> bytes:
    """One field in the wire format of protocol buffers."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(values: np.ndarray, new: bool) -> bytes:
    data = field(5, values.astype("<f4").tobytes())
    if new:
        return field(7, field(1, b"".join(varint(n) for n in values.shape))) + data
    shape = (1,) * (4 - values.ndim) + values.shape
    return b"".join(field(k, n) for k, n in enumerate(shape, start=1)) + data


def write_caffemodel(path: Path, name: str, weights: dict[str, torch.Tensor], new: bool) -> None:
    kinds = {"Convolution": 4, "ReLU": 18, "LRN": 15, "Pooling": 17, "InnerProduct": 14, "Softmax": 20, "Dropout": 6}
    parameters = {"Convolution": (10, 106), "LRN": (18, 118), "Pooling": (19, 121), "InnerProduct": (17, 117)}
    out, top = field(1, "VGG"), "data"

    def add(kind: str, layer: str, own: bytes = b"", blobs: bool = False) -> None:
        nonlocal out, top
        in_place = kind in ("ReLU", "Dropout")
        output = top if in_place else layer
        parts = ("weight", "bias") if blobs else ()
        content = b"".join(field(7 if new else 6, blob(weights[f"{layer}.{part}"].numpy(), new)) for part in parts)
        names = (1, 2, 3, 4) if new else (4, 5, 2, 3)
        content += field(names[0], layer) + field(names[1], kind if new else kinds[kind])
        content += field(names[2], top) + field(names[3], output)
        if kind in parameters:
            content += field(parameters[kind][new], own)
        out, top = out + field(100 if new else 2, content), output

    for k, (kernel, stride, padding, normalized, pooling) in enumerate(ARCHITECTURES[name], start=1):
        channels = CHANNELS[name][k - 1]
        own = field(1, channels) + field(4, kernel) + field(6, stride) + field(3, padding)
        add("Convolution", f"conv{k}", own, blobs=True)
        add("ReLU", f"relu{k}")
        if normalized:
            add("LRN", f"norm{k}", field(1, 5) + field(2, 5e-4) + field(3, 0.75) + field(5, 2.0))
        if pooling:
            add("Pooling", f"pool{k}", field(1, 0) + field(2, pooling[0]) + field(3, pooling[1]))
    for k, units in ((6, 7), (7, 5), (8, 4)):
        add("InnerProduct", f"fc{k}", field(1, units), blobs=True)
        if k < 8:
            add("ReLU", f"relu{k}")
            add("Dropout", f"drop{k}")
    add("Softmax", "prob")
    path.write_bytes(out)


@pytest.mark.parametrize(("name", "new"), [("vgg-m", False), ("vgg-s", True)])
def test_caffe_networks(tmp_path: Path, name: str, new: bool) -> None:
    weights = reference(name)
    path = tmp_path / "VGG_CNN.caffemodel"
    write_caffemodel(path, name, weights, new)
    settings: dict[str, Any] = {"layers": ("conv*", "fc6", "fc8")}
    network = load(NetworkConfig(network=f"chatfield:{name}", weights=str(path), **settings))
    assert network.preprocessing.channel_order == "BGR"
    assert network.preprocessing.scale == 1
    built_in = NetworkConfig(
        network=f"chatfield:{name}",
        weights="random",
        network_args=SMALL,
        preprocessing=network.preprocessing,
        **settings,
    )
    expected = load(built_in)
    assert [tap.receptive_field for tap in network.taps] == [tap.receptive_field for tap in expected.taps]
    images = pixels(network, 1)
    actual, wanted = maps(network, images), maps(expected, images)
    for layer in wanted:
        assert_close(actual[layer], wanted[layer])


def test_caffe_average_image(tmp_path: Path) -> None:
    weights = reference("vgg-f")
    write_caffemodel(tmp_path / "F.caffemodel", "vgg-f", weights, new=False)
    average = np.random.default_rng(2).uniform(80, 140, (1, 3, 256, 256)).astype(np.float32)  # blue, green, red
    (tmp_path / "VGG_mean.binaryproto").write_bytes(blob(average, new=False))
    network = load(
        NetworkConfig(
            network=str(tmp_path / "F.caffemodel"),
            network_args={"mean_image": str(tmp_path / "VGG_mean.binaryproto")},
            layers=("conv1",),
            tap="convolution",
        )
    )
    images = pixels(network, 1)
    inputs = images.flip(-1).double().permute(0, 3, 1, 2) - torch.from_numpy(average[:, :, 16:240, 16:240]).double()
    conv = nn.functional.conv2d(inputs, weights["conv1.weight"].double(), weights["conv1.bias"].double(), stride=4)
    assert_close(maps(network, images)["conv1"], conv)


def test_files_that_are_none(tmp_path: Path) -> None:
    for name in ("x.mat", "x.caffemodel"):
        with pytest.raises(RayselError, match=f"no weights at .*{name}"):
            load(NetworkConfig(network=str(tmp_path / name)))
        (tmp_path / name).write_bytes(b"\xff\xfe nothing of the kind")
        with pytest.raises(RayselError, match=rf"{name} (is no|holds no)"):
            load(NetworkConfig(network=str(tmp_path / name)))
    savemat(tmp_path / "y.mat", {"something": 3})
    with pytest.raises(RayselError, match="holds no MatConvNet SimpleNN network"):
        load(NetworkConfig(network=str(tmp_path / "y.mat")))
    savemat(tmp_path / "z.mat", {"layers": cell([{"type": "bnorm", "name": "b1"}])})
    with pytest.raises(RayselError, match="layer 'b1' is of the kind 'bnorm'"):
        load(NetworkConfig(network=str(tmp_path / "z.mat")))


def test_another_network_than_named(tmp_path: Path) -> None:
    write_caffemodel(tmp_path / "F.caffemodel", "vgg-f", reference("vgg-f"), new=True)
    with pytest.raises(RayselError, match=r"F.caffemodel holds another network than chatfield:vgg-m"):
        load(NetworkConfig(network="chatfield:vgg-m", weights=str(tmp_path / "F.caffemodel")))
