"""What a position sees, from the input's gradient in a network that is made linear and positive."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from raysel.neurons import ReceptiveField

_PASSED = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LocalResponseNorm)
_PASSED_BY_NAME = ("ChannelNormalization", "LayerNorm", "LayerNorm2d")  # work on each position separately


class Gate(nn.Module):
    """Replaces a sigmoid: bounded, but with a gradient that never vanishes in float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (1 + x)


def positive(module: nn.Module) -> nn.Module:
    """A copy in float64 with positive weights, average pooling for max pooling, and nothing that saturates."""
    module = copy.deepcopy(module).double().eval()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(parent, name, pool)
            elif isinstance(child, _PASSED) or type(child).__name__ in _PASSED_BY_NAME:
                setattr(parent, name, nn.Identity())
            elif isinstance(child, (nn.Sigmoid, nn.Hardsigmoid)):
                setattr(parent, name, Gate())
            elif isinstance(child, nn.BatchNorm2d):
                child.reset_running_stats()
                child.reset_parameters()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1 / max(1, parameter[0].numel()) if parameter.ndim > 1 else 1.0)
    return module


class Probe:
    """Gradients of single positions of a positive network's layers."""

    def __init__(self, module: nn.Module, input_size: tuple[int, int]) -> None:
        self._maps: dict[str, torch.Tensor] = {}
        for name, child in module.named_modules():
            if name:
                child.register_forward_hook(lambda _m, _i, out, name=name: self._maps.__setitem__(name, out))
        self._image = torch.ones(1, 3, *input_size, dtype=torch.float64, requires_grad=True)
        module(self._image)

    def seen(self, layer: str, row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """First and last row, first and last column of the input that a position sees; None for padding only."""
        (gradient,) = torch.autograd.grad(self._maps[layer][0, :, row, column].sum(), self._image, retain_graph=True)
        touched = gradient[0].abs().sum(dim=0) > 0
        if not touched.any():
            return None
        rows, columns = (touched.any(dim=d).nonzero().flatten().tolist() for d in (1, 0))
        return (rows[0], rows[-1]), (columns[0], columns[-1])

    def map_size(self, layer: str) -> tuple[int, int]:
        """Rows and columns of the layer's map."""
        rows, columns = self._maps[layer].shape[2:]
        return rows, columns


def shown(field: ReceptiveField, row: int, column: int, map_width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row, first and last column of the input in a position's box; last < first if there are none."""
    top, left, bottom, right = field.boxes(np.array(row * map_width + column), map_width).tolist()
    height, width = field.input_size
    return (max(top, 0), min(bottom, height) - 1), (max(left, 0), min(right, width) - 1)


def assert_seen(probe: Probe, layer: str, field: ReceptiveField) -> None:
    """At the center, two corners and the middles of two borders, boxes hold just the pixels with a gradient."""
    rows, columns = probe.map_size(layer)
    (top, middle, bottom), (left, center, right) = ((0, n // 2, n - 1) for n in (rows, columns))
    for row, column in {(middle, center), (top, left), (bottom, right), (top, center), (middle, right)}:
        seen, box = probe.seen(layer, row, column), shown(field, row, column, columns)
        if seen is None:
            assert any(first > last for first, last in box), (layer, row, column, box)
            continue
        assert box == seen, (layer, row, column, seen, box)
