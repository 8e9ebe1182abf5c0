"""MatConvNet's layers as PyTorch modules.

A layer's weights are in ``filters`` and ``biases`` (old layout) or ``weights`` (new), as [rows, columns, channels,
outputs]; its settings are MATLAB arrays.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raysel.config import Preprocessing
from raysel.errors import RayselError
from raysel.network.graph.operations import pair

Floats = NDArray[np.float32]
Struct = dict[str, Any]
"""A MATLAB struct: field to value."""


class ChannelNormalization(nn.Module):
    """MatConvNet's `vl_nnnormalize`: ``y[c] = x[c] / (kappa + alpha * sum of x[k]^2 over |k - c| <= half) ^ beta``.

    `half` is ``(size - 1) / 2`` of an odd size. torch divides its alpha by `size`; this alpha is not divided (VGG-M:
    1e-4 here, 5e-4 there).
    """

    raysel_operation = "local_response_norm"

    def __init__(self, size: int = 5, kappa: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        if size % 2 == 0:
            raise ValueError(f"the window of a channel normalization must be odd, not {size}")
        self.size, self.kappa, self.alpha, self.beta = size, kappa, alpha, beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32[B, C, h, w] to the same."""
        squares = x.square()
        total = squares.clone()
        for k in range(1, (self.size + 1) // 2):
            total[:, k:] += squares[:, :-k]
            total[:, :-k] += squares[:, k:]
        base = total.mul_(self.alpha).add_(self.kappa)
        if self.beta == 0.75:  # two square roots are several times faster than a power
            root = base.rsqrt()
            return x * root * root.sqrt()
        return x * base.pow(-self.beta)

    def extra_repr(self) -> str:
        """The constants, for printing."""
        return f"size={self.size}, kappa={self.kappa}, alpha={self.alpha}, beta={self.beta}"


class AverageImage(nn.Module):
    """Subtracts the difference of the average image from its mean color, which preprocessing has subtracted before."""

    difference: torch.Tensor

    def __init__(self, difference: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("difference", difference)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32[B, 3, H, W] to the same."""
        return x - self.difference


def build(
    layers: list[Struct], preprocessing: Preprocessing, average_image: Floats | None, source: str
) -> nn.Sequential:
    """The layers as modules with the file's own names and weights, after the average image if there is one.

    Args:
        layers: in order.
        preprocessing: gives the input's size and the mean color.
        average_image: float32 [3, H, W], 0 to 255.
        source: the file's name, for messages.

    Raises:
        RayselError: a layer is of an unknown type or does not fit the one before it.
    """
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    channels, size = 3, preprocessing.input_size
    if average_image is not None:
        if average_image.shape != (3, *size):
            raise RayselError(f"{source}: its average image is {list(average_image.shape)}, its input {[3, *size]}")
        image = torch.from_numpy(np.array(average_image))
        modules["average_image"] = AverageImage(image - torch.tensor(preprocessing.mean)[:, None, None])
    for number, layer in enumerate(layers, start=1):
        name = str(layer.get("name") or f"layer{number}")
        try:
            built = _modules(layer, name, channels, size)
            channels, *rest = _output_shape(built, (channels, *size))
        except (RuntimeError, ValueError) as error:
            raise RayselError(f"{source}: layer {name!r} cannot be built: {str(error).splitlines()[0]}") from error
        size = (rest[0], rest[1]) if rest else (1, 1)
        taken = set(built) & set(modules)
        modules.update((f"{key}_{len(modules)}" if key in taken else key, module) for key, module in built.items())
    return nn.Sequential(modules)


def numbers(struct: Struct, field: str, default: float) -> list[float]:
    """The numbers of a field, in MATLAB's order; `default` if the field is missing or empty."""
    value = struct.get(field)
    return [default] if value is None or not np.size(value) else [float(v) for v in np.reshape(value, -1)]


def _output_shape(modules: dict[str, nn.Module], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the output for one image, without the batch; computes no values."""
    sequence = nn.Sequential(*modules.values())
    weights = {name: weight.to("meta") for name, weight in sequence.state_dict().items()}
    return torch.func.functional_call(sequence, weights, torch.zeros(1, *shape, device="meta")).shape[1:]


def _modules(layer: Struct, name: str, channels: int, size: tuple[int, int]) -> dict[str, nn.Module]:
    """The modules of a layer that gets a map of this size; empty for softmax and for layers that only train."""
    kind = str(layer.get("type", ""))
    if kind in ("softmax", "softmaxloss", "loss", "dropout"):
        return {}
    if kind == "conv":
        return _convolution(layer, name, channels, size)
    if kind == "pool":
        return _pooling(layer, name, size)
    if kind in ("normalize", "lrn"):
        window, kappa, alpha, beta = numbers(layer, "param", 0)
        return {name: ChannelNormalization(int(window), kappa, alpha, beta)}
    if kind in ("relu", "sigmoid"):
        return {name: nn.ReLU() if kind == "relu" else nn.Sigmoid()}
    raise ValueError(f"raysel does not read layers of the type {kind!r}")


def _convolution(layer: Struct, name: str, channels: int, size: tuple[int, int]) -> dict[str, nn.Module]:
    """A convolution; one whose window is the whole map is a fully connected layer."""
    weights = layer.get("weights") or [layer["filters"], layer.get("biases")]
    filters, biases = weights[0], weights[1] if len(weights) > 1 else None
    filters = filters.reshape(*filters.shape, *(1,) * (4 - filters.ndim))
    weight = torch.from_numpy(np.ascontiguousarray(filters.transpose(3, 2, 0, 1), np.float32))
    bias = None if biases is None or not biases.size else torch.from_numpy(np.array(biases, np.float32).reshape(-1))
    outputs, inputs, *kernel = weight.shape
    top, bottom, left, right = _padding(layer)
    if (*kernel, inputs) == (*size, channels) and not any((top, bottom, left, right)):
        linear = nn.Linear(channels * size[0] * size[1], outputs, bias=bias is not None, device="meta")
        return {f"{name}_flatten": nn.Flatten(), name: _with_weights(linear, weight.reshape(outputs, -1), bias)}
    if channels % inputs:
        raise ValueError(f"it takes {inputs} channels per group and gets {channels}")
    even = top == bottom and left == right
    convolution = nn.Conv2d(
        channels,
        outputs,
        (kernel[0], kernel[1]),
        pair(numbers(layer, "stride", 1)),
        (top, left) if even else 0,
        pair(numbers(layer, "dilate", 1)),
        channels // inputs,
        bias=bias is not None,
        device="meta",
    )
    padding = {} if even else {f"{name}_pad": nn.ZeroPad2d((left, right, top, bottom))}
    return {**padding, name: _with_weights(convolution, weight, bias)}


def _with_weights(module: nn.Conv2d | nn.Linear, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    module.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        module.bias = nn.Parameter(bias, requires_grad=False)
    return module


def _pooling(layer: Struct, name: str, size: tuple[int, int]) -> dict[str, nn.Module]:
    kernel, stride = pair(numbers(layer, "pool", 1)), pair(numbers(layer, "stride", 1))
    top, bottom, left, right = _padding(layer)
    even = top == bottom and left == right
    if layer.get("method") == "avg":
        if not even:
            raise ValueError("raysel does not read mean pooling with uneven padding")
        return {name: nn.AvgPool2d(kernel, stride, (top, left), count_include_pad=False)}
    if even:
        return {name: nn.MaxPool2d(kernel, stride, (top, left))}
    sides = list(zip(size, (top + bottom, left + right), kernel, stride, strict=True))
    padded, rounded_up = ([(n + p - k) // s + 1 for n, p, k, s in sides], [-((k - n) // s) + 1 for n, _, k, s in sides])
    if (top, left) == (0, 0) and padded == rounded_up:
        return {name: nn.MaxPool2d(kernel, stride, ceil_mode=True)}
    padding = nn.ConstantPad2d((left, right, top, bottom), float("-inf"))
    return {f"{name}_pad": padding, name: nn.MaxPool2d(kernel, stride)}


def _padding(layer: Struct) -> tuple[int, int, int, int]:
    """Padding at the top, bottom, left and right; the file has one number for all, or these four."""
    top, bottom, left, right = (int(value) for value in (numbers(layer, "pad", 0) * 4)[:4])
    return top, bottom, left, right
