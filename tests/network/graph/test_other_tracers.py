"""Networks that torch.fx cannot follow, and exported programs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.network import load
from raysel.network.importers.registry import import_network
from tests.network.maps import CountedOperations, assert_close, maps, pixels, plain
from tests.network.receptive_field.gradient import Probe, positive, shown

BY_SHAPE = NetworkConfig(network="tests.network.small:ByShape")
BY_VALUE = NetworkConfig(network="tests.network.small:ByValue")


def test_code_that_depends_on_shapes_is_exported() -> None:
    network = load(BY_SHAPE)
    assert [(tap.layer, tap.reading) for tap in network.taps] == [
        ("a", "batch norm + relu"),
        ("b", "tanh"),
        ("b#2", "relu"),
    ]
    images = pixels(network, 3)
    module = import_network(BY_SHAPE).module
    expected = plain(module, images, network)
    actual = maps(network, images)
    assert_close(actual["a"], relu(expected["norm"]))
    assert_close(actual["b#2"], relu(expected["b"]))  # a hook keeps the last call
    probe = Probe(positive(module), (24, 24))
    field = network.taps[0].receptive_field
    assert field.exact
    assert shown(field, 5, 6, network.taps[0].map_size[1]) == probe.seen("a", 5, 6)


def test_code_that_depends_on_values_is_hooked() -> None:
    network = load(BY_VALUE)
    assert [tap.layer for tap in network.taps] == ["a", "b"]
    for tap in network.taps:
        assert tap.reading == "convolution (the network cannot be traced)"
        assert tap.receptive_field.whole
        assert not tap.receptive_field.exact
    images = pixels(network, 3)
    expected, actual = plain(import_network(BY_VALUE).module, images, network), maps(network, images)
    for layer in ("a", "b"):
        assert_close(actual[layer], expected[layer])


def test_a_hooked_network_stops_after_its_last_tap() -> None:
    network = load(NetworkConfig(network=BY_VALUE.network, layers=("a",)))
    with CountedOperations() as operations:
        network.run(pixels(network, 1), lambda k, map_: None)
    assert operations.calls["conv2d"] == 1
    with pytest.raises(RayselError, match=r"no layer matches 'z\*'; this network has a, b"):
        load(NetworkConfig(network=BY_VALUE.network, layers=("z*",)))


class LinearByValue(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) if x.sum() > 0 else self.body(-x)


def linear_by_value() -> tuple[nn.Module, Preprocessing]:
    return LinearByValue(), Preprocessing(resize=8, crop=(8, 8))


def test_every_convolution_of_a_hooked_network_without_any() -> None:
    """As of one that can be traced: ``*`` never means modules that contain others."""
    with pytest.raises(RayselError, match=r"no layer matches '\*'"):
        load(NetworkConfig(network=f"{__name__}:linear_by_value"))
    network = load(NetworkConfig(network=f"{__name__}:linear_by_value", layers=("body.1",)))
    assert [tap.layer for tap in network.taps] == ["body.1"]


@pytest.mark.parametrize("fixed", [None, 2])
def test_exported_programs(tmp_path: Path, fixed: int | None) -> None:
    module = import_network(BY_SHAPE).module.eval()
    dynamic = None if fixed else ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(module, (torch.zeros(fixed or 2, 3, 24, 24),), dynamic_shapes=dynamic)
    path = str(tmp_path / "own.pt2")
    torch.export.save(program, path)
    with pytest.raises(RayselError, match=r"own.pt2 is an exported program.*--unsafe-pickle"):
        load(NetworkConfig(network=path))
    network = load(NetworkConfig(network=path, unsafe_pickle=True))
    assert network.preprocessing.input_size == (24, 24)
    assert [tap.layer for tap in network.taps] == ["a", "b", "b#2"]
    images = pixels(network, 5)
    expected = plain(module, images, network)
    assert_close(maps(network, images)["a"], relu(expected["norm"]))


def test_files_without_a_program(tmp_path: Path) -> None:
    (tmp_path / "no.pt2").write_bytes(b"nothing of the kind")
    with pytest.raises(RayselError, match=r"no.pt2 is not a torch.export program"):
        load(NetworkConfig(network=str(tmp_path / "no.pt2"), unsafe_pickle=True))
    with pytest.raises(RayselError, match="no exported program at"):
        load(NetworkConfig(network=str(tmp_path / "none.pt2")))


def test_efficientnet_with_swish_as_an_autograd_function() -> None:
    config = NetworkConfig(
        network="efficientnet_lite_pytorch:EfficientNet.from_name",
        network_args={"model_name": "efficientnet-b0"},
        preprocessing=Preprocessing(resize=(64, 64), crop=None),
        layers=("_conv_stem", "_blocks.0.*", "_blocks.0._se_*"),
    )
    network = load(config)
    assert [tap.reading for tap in network.taps] == [
        "batch norm + silu",
        "batch norm + silu",
        "silu",
        "sigmoid",
        "batch norm",
    ]
    images = pixels(network, 2)
    expected = plain(import_network(config).module, images, network)
    assert_close(maps(network, images)["_conv_stem"], nn.functional.silu(expected["_bn0"]))


def test_maximum_of_two_maps() -> None:
    config = NetworkConfig(network="tests.network.small:OfTwo")
    network = load(config)
    images = pixels(network, 2)
    assert_close(maps(network, images)["c"], plain(import_network(config).module, images, network)["c"])
    assert {tap.layer: tap.receptive_field.size for tap in network.taps} == {"a": 1, "b": 3, "c": 3}
    assert all(tap.receptive_field.exact for tap in network.taps)
