"""Networks that are one chain of layers, as MatConvNet files describe them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raysel.config import Preprocessing
from raysel.errors import RayselError
from raysel.network.importers.local_response import ChannelNormalization

Floats = NDArray[np.float32]
Sides = tuple[int, int, int, int]
"""Padding at the top, bottom, left and right."""


@dataclass(frozen=True)
class Conv:
    """A convolution; one whose window is the whole map is a fully connected layer."""

    name: str
    weight: Floats
    """[outputs, inputs / groups, rows, columns]"""
    bias: Floats | None
    stride: tuple[int, int] = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Linear:
    """A fully connected layer on the flattened map, channels first."""

    name: str
    weight: Floats
    bias: Floats | None


@dataclass(frozen=True)
class Pool:
    """Pooling by maximum or mean; `ceil`: rows and columns left over get a window of their own."""

    name: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Sides = (0, 0, 0, 0)
    mean: bool = False
    ceil: bool = False


@dataclass(frozen=True)
class Normalization:
    """Local response normalisation across channels; `alpha` is not divided by `size`."""

    name: str
    size: int
    kappa: float
    alpha: float
    beta: float


@dataclass(frozen=True)
class Activation:
    """ReLU or another function of each value."""

    name: str
    function: nn.Module


Layer = Conv | Linear | Pool | Normalization | Activation


@dataclass(frozen=True)
class Chain:
    """What an importer reads from a file.

    Attributes:
        layers: in order.
        preprocessing: the network's own.
        average_image: float32[3, H, W] in the network's channel order, 0 to 255, or None; its mean colour is in
            `preprocessing`.
        classes: names of the outputs, as the file has them.
    """

    layers: tuple[Layer, ...]
    preprocessing: Preprocessing
    average_image: Floats | None = None
    classes: tuple[str, ...] = ()


class AverageImage(nn.Module):
    """Takes away how the average image differs from its mean colour, which preprocessing has taken away before."""

    difference: torch.Tensor

    def __init__(self, difference: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("difference", difference)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32[B, 3, H, W] to the same."""
        return x - self.difference


def build(chain: Chain, source: str) -> nn.Sequential:
    """The chain as modules with the file's own names and weights.

    Raises:
        RayselError: a layer does not fit the one before it.
    """
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    channels, size = 3, chain.preprocessing.input_size
    if chain.average_image is not None:
        modules["average_image"] = _average(chain, size, source)
    for layer in chain.layers:
        try:
            made = _modules(layer, channels, size)
            with torch.no_grad():
                shape = nn.Sequential(*made.values()).to("meta")(torch.zeros(1, channels, *size, device="meta")).shape
        except (RuntimeError, ValueError) as error:
            raise RayselError(f"{source}: layer {layer.name!r} does not fit: {str(error).splitlines()[0]}") from error
        made = _modules(layer, channels, size)  # the ones on meta are spent
        channels, size = shape[1], (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
        clash = set(made) & set(modules)
        modules.update((f"{name}_{len(modules)}" if name in clash else name, module) for name, module in made.items())
    return nn.Sequential(modules)


def _average(chain: Chain, size: tuple[int, int], source: str) -> AverageImage:
    image = torch.from_numpy(np.array(chain.average_image, np.float32))
    if image.shape != (3, *size):
        raise RayselError(f"{source}: its average image is {list(image.shape)}, its input [3, {size[0]}, {size[1]}]")
    mean = chain.preprocessing.mean
    color = torch.tensor(mean if chain.preprocessing.channel_order == "RGB" else mean[::-1])
    return AverageImage(image - color[:, None, None])


def _modules(layer: Layer, channels: int, size: tuple[int, int]) -> dict[str, nn.Module]:
    if isinstance(layer, Activation):
        return {layer.name: layer.function}
    if isinstance(layer, Normalization):
        return {layer.name: ChannelNormalization(layer.size, layer.kappa, layer.alpha, layer.beta)}
    if isinstance(layer, Pool):
        return _pool(layer, size)
    if isinstance(layer, Linear):
        return _linear(layer.name, layer.weight, layer.bias, channels * size[0] * size[1], size)
    if layer.weight.shape[2:] == size and not any(layer.padding):
        inputs = layer.weight.shape[1] * size[0] * size[1]
        if inputs == channels * size[0] * size[1]:  # not grouped
            return _linear(layer.name, layer.weight.reshape(len(layer.weight), -1), layer.bias, inputs, size)
    return _conv(layer, channels)


def _linear(name: str, weight: Floats, bias: Floats | None, inputs: int, size: tuple[int, int]) -> dict[str, nn.Module]:
    if weight.shape[1] != inputs:
        raise ValueError(f"it takes {weight.shape[1]} values and gets {inputs}")
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    _set(linear, weight, bias)
    return {f"{name}_flatten": nn.Flatten(), name: linear}


def _conv(layer: Conv, channels: int) -> dict[str, nn.Module]:
    outputs, inputs, rows, columns = layer.weight.shape
    if channels % inputs:
        raise ValueError(f"it takes {inputs} channels a group and gets {channels}")
    top, bottom, left, right = layer.padding
    even = top == bottom and left == right
    conv = nn.Conv2d(
        channels,
        outputs,
        (rows, columns),
        layer.stride,
        (top, left) if even else 0,
        layer.dilation,
        channels // inputs,
        bias=layer.bias is not None,
        device="meta",
    )
    _set(conv, layer.weight, layer.bias)
    return (
        {layer.name: conv}
        if even
        else {f"{layer.name}_pad": nn.ZeroPad2d((left, right, top, bottom)), layer.name: conv}
    )


def _pool(layer: Pool, size: tuple[int, int]) -> dict[str, nn.Module]:
    top, bottom, left, right = layer.padding
    if layer.mean:
        if (top, left) != (bottom, right):
            raise ValueError("mean pooling with uneven padding is not known")
        return {layer.name: nn.AvgPool2d(layer.kernel, layer.stride, (top, left), layer.ceil, count_include_pad=False)}
    if (top, left) == (bottom, right):
        return {layer.name: nn.MaxPool2d(layer.kernel, layer.stride, (top, left), ceil_mode=layer.ceil)}
    if (top, left) == (0, 0) and _padded_lengths(layer, size) == _ceil_lengths(layer, size):
        return {layer.name: nn.MaxPool2d(layer.kernel, layer.stride, ceil_mode=True)}
    pad = nn.ConstantPad2d((left, right, top, bottom), float("-inf"))
    return {f"{layer.name}_pad": pad, layer.name: nn.MaxPool2d(layer.kernel, layer.stride, ceil_mode=layer.ceil)}


def _padded_lengths(layer: Pool, size: tuple[int, int]) -> list[int]:
    pads = (layer.padding[0] + layer.padding[1], layer.padding[2] + layer.padding[3])
    return [(n + p - k) // s + 1 for n, p, k, s in zip(size, pads, layer.kernel, layer.stride, strict=True)]


def _ceil_lengths(layer: Pool, size: tuple[int, int]) -> list[int]:
    return [-((k - n) // s) + 1 for n, k, s in zip(size, layer.kernel, layer.stride, strict=True)]


def _set(module: nn.Conv2d | nn.Linear, weight: Floats, bias: Floats | None) -> None:
    module.weight = nn.Parameter(torch.from_numpy(np.array(weight, np.float32)), requires_grad=False)
    if bias is not None:
        module.bias = nn.Parameter(torch.from_numpy(np.array(bias, np.float32).reshape(-1)), requires_grad=False)


def pair(values: Sequence[float]) -> tuple[int, int]:
    """One number for both axes, or two: rows, columns."""
    return (int(values[0]), int(values[-1]))
