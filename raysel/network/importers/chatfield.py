"""VGG-F, VGG-M and VGG-S: Chatfield, Simonyan, Vedaldi, Zisserman, Return of the devil in the details, BMVC 2014.

The geometry is that of the authors' models in MatConvNet: pooling covers the last rows and columns by padding at the
bottom and at the right only, and local response normalization does not divide the sum of squares by their number.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError, did_you_mean
from raysel.files import redact_uri, suffix
from raysel.network.importers import matconvnet
from raysel.network.importers.importer import ImportedNetwork, load_weights, required_weights, seeded
from raysel.network.importers.matconvnet_layers import ChannelNormalization


@dataclass(frozen=True)
class _Block:
    """A convolution with its ReLU, then optional normalization and pooling."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    normalized: bool = False
    pool: tuple[int, int, bool] | None = None
    """Kernel, stride and torch's `ceil_mode`, which at 224 px does what the authors' padding [0 p 0 p] does."""


_BLOCKS: dict[str, tuple[_Block, ...]] = {
    "vgg-f": (
        _Block(64, 11, stride=4, normalized=True, pool=(3, 2, True)),
        _Block(256, 5, padding=2, normalized=True, pool=(3, 2, True)),
        _Block(256, 3, padding=1),
        _Block(256, 3, padding=1),
        _Block(256, 3, padding=1, pool=(3, 2, True)),
    ),
    "vgg-m": (
        _Block(96, 7, stride=2, normalized=True, pool=(3, 2, False)),
        _Block(256, 5, stride=2, padding=1, normalized=True, pool=(3, 2, True)),
        _Block(512, 3, padding=1),
        _Block(512, 3, padding=1),
        _Block(512, 3, padding=1, pool=(3, 2, False)),
    ),
    "vgg-s": (
        _Block(96, 7, stride=2, normalized=True, pool=(3, 3, True)),
        _Block(256, 5, pool=(2, 2, True)),
        _Block(512, 3, padding=1),
        _Block(512, 3, padding=1),
        _Block(512, 3, padding=1, pool=(3, 3, True)),
    ),
}
NAMES = tuple(_BLOCKS)

PREPROCESSING = Preprocessing(
    resize=256, crop=(224, 224), scale=1.0, mean=(122.8033, 114.8853, 101.5721), std=(1.0, 1.0, 1.0)
)
"""RGB in 0..255 minus the mean color of the authors' average image; shorter side 256, center 224 x 224."""


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """The network called ``chatfield:NAME``; its weights are a state dict or the authors' ``.mat`` file."""
    name = config.network.partition(":")[2]
    if name not in NAMES:
        raise RayselError(f"unknown network {config.network}; {did_you_mean(name, NAMES)}")
    weights = required_weights(config)
    if suffix(weights) == "mat":
        imported = matconvnet.read(weights)
        with torch.device("meta"):
            expected = build(name)
        if _shapes(imported.module) != _shapes(expected):
            raise RayselError(
                f"{redact_uri(weights)} holds another network than {config.network}: give the file as --network"
            )
        return imported
    try:
        module = seeded(lambda: build(name, **config.network_args))
    except (TypeError, ValueError, RuntimeError) as error:
        raise RayselError(f"{config.network} does not take these --network-args: {error}") from error
    notes = load_weights(module, config)
    return ImportedNetwork(module, PREPROCESSING, notes=notes)


def build(name: str, *, classes: int = 1000, fc6: int = 4096, fc7: int = 4096) -> nn.Sequential:
    """One of `NAMES` with PyTorch's own initialization: modules conv1, relu1, norm1, pool1, ... fc8, on 224 x 224 px.

    Args:
        name: ``vgg-f``, ``vgg-m`` or ``vgg-s``.
        classes: outputs of fc8.
        fc6: units of fc6.
        fc7: units of fc7; the authors also published VGG-M with 2048, 1024 and 128.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for k, block in enumerate(_BLOCKS[name], start=1):
        layers[f"conv{k}"] = nn.Conv2d(channels, block.channels, block.kernel, block.stride, block.padding)
        layers[f"relu{k}"] = nn.ReLU(inplace=True)
        if block.normalized:
            layers[f"norm{k}"] = ChannelNormalization()
        if block.pool is not None:
            kernel, stride, rest = block.pool
            layers[f"pool{k}"] = nn.MaxPool2d(kernel, stride, ceil_mode=rest)
        channels = block.channels
    layers["flatten"] = nn.Flatten()
    for k, (inputs, outputs) in enumerate(((channels * 6 * 6, fc6), (fc6, fc7), (fc7, classes)), start=6):
        layers[f"fc{k}"] = nn.Linear(inputs, outputs)
        if k < 8:
            layers[f"relu{k}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _shapes(module: nn.Module) -> list[tuple[int, ...]]:
    """Shapes of the convolutions' weights, in which the three networks differ."""
    return [tuple(child.weight.shape) for child in module.modules() if isinstance(child, nn.Conv2d)]
