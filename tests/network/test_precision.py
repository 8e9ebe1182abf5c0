"""Networks whose convolutions compute in bfloat16, against sums of rounded factors in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.network import Classifier, load
from raysel.network.importers.registry import import_network
from tests.network.maps import maps, pixels
from tests.network.small import InPlace

CONFIG = NetworkConfig(network="tests.network.small:InPlace", tap="convolution", layers=("conv",))
STEP = 2.0**-8
"""Largest relative error of a value that is rounded to bfloat16."""


def rounded(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.bfloat16).double()


def test_a_map_is_the_rounded_sum_of_rounded_factors() -> None:
    torch.manual_seed(0)
    network = load(replace(CONFIG, dtype="bf16"))
    torch.manual_seed(0)
    conv = import_network(CONFIG).module.get_submodule("conv")
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    images = pixels(network, 3)
    inputs = network.normalize(images)
    assert inputs.dtype == torch.float32
    actual = maps(network, images)["conv"]
    assert actual.dtype == torch.bfloat16
    expected = conv2d(rounded(inputs), rounded(conv.weight), rounded(conv.bias))
    assert ((actual.double() - expected).abs() <= expected.abs() * STEP + 1e-4).all()
    exact = conv2d(inputs.double(), conv.weight.double(), conv.bias.double())
    assert ((actual.double() - exact).abs() > exact.abs() * 1e-4).any()


def test_float32_is_the_default() -> None:
    network = load(CONFIG)
    assert maps(network, pixels(network, 1))["conv"].dtype == torch.float32


def test_gradients_are_computed_in_float32() -> None:
    network, seen = load(replace(CONFIG, dtype="bf16")), []
    network.forward(network.normalize(pixels(network, 1)), lambda tap, map_: seen.append(map_.dtype))
    assert seen == [torch.float32]


@pytest.mark.parametrize(("dtype", "least", "most"), [("float32", 0.0, 1e-5), ("bf16", 1e-5, 0.05)])
def test_scores(dtype: str, least: float, most: float) -> None:
    config = NetworkConfig(network="tests.network.small:InPlace")
    torch.manual_seed(0)
    classifier = Classifier(replace(config, dtype=dtype))  # type: ignore[arg-type]
    torch.manual_seed(0)
    module = import_network(config).module.double()
    images = torch.randint(0, 256, (4, 12, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    given = InPlace.preprocessing
    inputs = (images.double() - torch.tensor(given.mean).double()) / torch.tensor(given.std)
    expected = module(inputs.flip(3).permute(0, 3, 1, 2))
    scores = classifier.scores(images)
    assert scores.dtype == torch.float32
    assert least < (scores - expected).abs().max() / expected.abs().max() <= most


class Mixed(nn.Module):
    """Interpolates between a map and a parameter, which must have one type."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last, self.shift = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.lerp(self.conv(x), self.shift, 0.5))


def mixed() -> tuple[nn.Module, Preprocessing]:
    return Mixed(), Preprocessing(resize=(16, 16), crop=None)


def test_a_network_that_does_not_run_in_bf16_is_refused() -> None:
    config = NetworkConfig(network="tests.network.test_precision:mixed")
    assert len(load(config).taps) == 2
    with pytest.raises(RayselError, match=r"mixed does not run in bf16 \(.*\): leave --dtype out"):
        load(replace(config, dtype="bf16"))
