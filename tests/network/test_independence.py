"""Activations of an image depend on this image alone: not on others of its batch, and not on chance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import load
from tests.network.maps import assert_close, maps, pixels
from tests.network.refused import assert_refused


class Between(nn.Module):
    """An operation between two convolutions."""

    preprocessing = Preprocessing(resize=(12, 14), crop=None)

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)
        self.operation = operation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.last(OPERATIONS[self.operation](self, x))


def standardized_convolution(net: Between, x: torch.Tensor) -> torch.Tensor:
    """Batch norm without images, over the weights."""
    weight = functional.batch_norm(net.last.weight.reshape(1, 4, 36), None, None, training=True)
    return functional.conv2d(x, weight.reshape(4, 4, 3, 3), padding=1)


OPERATIONS: dict[str, Callable[[Between, torch.Tensor], torch.Tensor]] = {
    "mean": lambda net, x: (x - x.mean()) / x.std(False),
    "largest of all": lambda net, x: x / x.abs().amax((0, 2, 3), keepdim=True),
    "norm of all": lambda net, x: x / x.norm(),
    "batch norm": lambda net, x: net.norm(x),
    "batch norm in training": lambda net, x: functional.batch_norm(x, torch.zeros(4), torch.ones(4), training=True),
    "mean of each": lambda net, x: (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True),
    "softmax": lambda net, x: x.softmax(1),
    "standardized weights": lambda net, x: standardized_convolution(net, x),
    "dropout": lambda net, x: functional.dropout(x),
    "noise": lambda net, x: x + torch.randn_like(x),
    "dropout that is off": lambda net, x: functional.dropout(functional.dropout(x, training=False), 0.0),
}
MIXING = ("mean", "largest of all", "norm of all", "batch norm", "batch norm in training")
RANDOM = ("dropout", "noise")


def config(operation: str, *layers: str) -> NetworkConfig:
    return NetworkConfig(network=f"{__name__}:Between", network_args={"operation": operation}, layers=layers or ("*",))


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in RANDOM])
def test_an_image_does_not_depend_on_the_others_of_its_batch(operation: str) -> None:
    network = load(config(operation))
    images = pixels(network, 3)
    images[1] //= 8
    together, alone = maps(network, images), [maps(network, image) for image in images.split(1)]
    for layer, map_ in together.items():
        assert_close(map_, torch.cat([each[layer] for each in alone]))
    assert any("each image runs alone" in note for note in network.notes) == (operation in MIXING)


@pytest.mark.parametrize("operation", MIXING)
def test_operations_over_all_images_see_the_whole_image(operation: str) -> None:
    last = load(config(operation)).taps[-1].receptive_field
    assert last.whole
    assert last.exact


@pytest.mark.parametrize("operation", ["mean", "batch norm in training"])
def test_only_operations_before_the_taps_count(operation: str) -> None:
    assert load(NetworkConfig(**vars(config(operation, "stem")) | {"tap": "convolution"})).notes == ()


@pytest.mark.parametrize("operation", RANDOM)
def test_random_layers_are_refused(operation: str) -> None:
    assert_refused("gives other values in every forward", **vars(config(operation)))
    assert load(config(operation, "stem")).taps[0].layer == "stem"
