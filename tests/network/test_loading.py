"""Networks by name, and one line for each fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import load, with_absolute_paths
from tests.network.refused import assert_refused

OWN = "tests.network.small:InPlace"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("resnet18", r"unknown network 'resnet18': give torchvision:NAME"),
        ("torchvision:resnet19", r"unknown network torchvision:resnet19; did you mean .*resnet18"),
        ("chatfield:vgg", r"unknown network chatfield:vgg; did you mean .*vgg-m"),
        ("torchvision:resnet18", r"torchvision:resnet18 needs its trained weights: give --weights .* random"),
    ],
)
def test_unknown_networks(network: str, message: str) -> None:
    assert_refused(message, network=network)


def test_network_args_that_do_not_fit() -> None:
    assert_refused("does not take these", network="torchvision:resnet18", weights="random", network_args={"a": 1})
    assert_refused("does not take these", network="chatfield:vgg-m", weights="random", network_args={"a": 1})


def test_images_that_the_network_does_not_take() -> None:
    small = Preprocessing(resize=(2, 2), crop=None)
    assert_refused(r"tests.network.small:InPlace .*images of 2 x 2", network=OWN, preprocessing=small)
    assert_refused("needs a crop", network=OWN, preprocessing=Preprocessing(resize=64, crop=None))


def test_random_weights_are_the_same_each_time_and_do_not_change_the_generator() -> None:
    config = NetworkConfig(network="torchvision:squeezenet1_1", weights="random")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = load(config).weights_digest
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(2)
    assert load(config).weights_digest == first


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("w.safetensors", "net.mat", "average.npy", "random"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_files")
def test_local_files_get_absolute_paths(tmp_path: Path) -> None:
    config = NetworkConfig(
        network="net.mat", weights="./w.safetensors", preprocessing=Preprocessing(average_image="average.npy")
    )
    absolute = with_absolute_paths(config)
    assert (absolute.network, absolute.weights) == (str(tmp_path / "net.mat"), str(tmp_path / "w.safetensors"))
    assert absolute.preprocessing == Preprocessing(average_image=str(tmp_path / "average.npy"))
    assert with_absolute_paths(absolute) == absolute


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("weights", [None, "random", "IMAGENET1K_V2", "s3://bucket/w.pth", "/nowhere/w.pth"])
@pytest.mark.parametrize("network", ["torchvision:resnet50", "package.module:factory", "absent.pt2"])
def test_other_names_do_not_change(network: str, weights: str | None) -> None:
    config = NetworkConfig(network=network, weights=weights, preprocessing=Preprocessing())
    assert with_absolute_paths(config) == config
