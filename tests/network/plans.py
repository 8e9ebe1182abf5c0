"""Networks built from plans, and plans drawn at random."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from raysel.config import Preprocessing

CHANNELS = 4

_small = st.integers(1, 4)
STEPS = st.one_of(
    st.tuples(st.just("conv"), st.sampled_from([1, 2, 3, 5]), st.integers(1, 2), st.integers(0, 3), _small, _small),
    st.tuples(st.just("functional conv"), _small, st.integers(1, 2), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.sampled_from(["max", "mean"]), st.integers(2, 3), st.integers(1, 2), st.integers(0, 1), st.booleans()),
    st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda p: ("pad", *p, *p)),  # left, right and top, bottom
    st.tuples(st.just("crop"), st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.sampled_from(["cat", "add"]), st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3)),
    st.just(("relu",)),
    st.just(("shuffle",)),
)
"""A step of a plan for `build`."""


class Branches(nn.Module):
    """Parallel branches, concatenated or added."""

    def __init__(self, branches: list[nn.Module], join: str) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [branch(x) for branch in self.branches]
        return torch.cat(maps, dim=1) if self.join == "cat" else sum(maps[1:], maps[0])


class Shuffle(nn.Module):
    """ShuffleNet's channel shuffle, and a split along channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, rows, columns = x.size()
        x = x.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).contiguous().view(batch, -1, rows, columns)
        a, b = x.chunk(2, dim=1)
        return torch.cat((b, a), dim=1)


class Crop(nn.Module):
    """Every `step`-th row and column from `start`."""

    def __init__(self, start: int, step: int) -> None:
        super().__init__()
        self.start, self.step = start, step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, self.start :: self.step, self.start :: self.step]


class FunctionalConv(nn.Module):
    """Explicit padding, then a convolution that is called as a function."""

    def __init__(self, inputs: int, kernel: int, stride: int, pads: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS, inputs, kernel, kernel))
        self.stride, self.pads = stride, pads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before, after = self.pads
        return functional.conv2d(functional.pad(x, (before, after, before, after)), self.weight, stride=self.stride)


def build(plan: list[list[Any]], size: list[int], seed: int = 0) -> tuple[nn.Sequential, Preprocessing]:
    """The network of a plan, a list of [kind, settings...], for images of `size` (height, width)."""
    torch.manual_seed(seed)
    network = nn.Sequential(*_layers(plan, 3)[0])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for statistic in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(statistic, 0.5, 2.0)
    return network, Preprocessing(resize=(size[0], size[1]), crop=None)


def _layers(plan: list[list[Any]], channels: int) -> tuple[list[nn.Module], int]:
    layers: list[nn.Module] = []
    for kind, *settings in plan:
        if kind == "conv":
            kernel, stride, padding, dilation, groups = settings
            groups = groups if channels % groups == CHANNELS % groups == 0 else 1
            layers.append(nn.Conv2d(channels, CHANNELS, kernel, stride, padding, dilation, groups))
            channels = CHANNELS
        elif kind == "functional conv":
            kernel, stride, before, after = settings
            layers.append(FunctionalConv(channels, kernel, stride, (before, after)))
            channels = CHANNELS
        elif kind in ("max", "mean"):
            kernel, stride, padding, ceil = settings
            pool = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
            layers.append(pool(kernel, stride, min(padding, kernel // 2), ceil_mode=ceil))
        elif kind == "relu":
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        elif kind == "pad":
            layers.append(nn.ZeroPad2d(tuple(settings)))
        elif kind == "crop":
            layers.append(Crop(*settings))
        elif kind == "shuffle":
            layers.append(Shuffle() if channels % 4 == 0 else nn.Identity())
        else:  # branches of odd kernels with "same" padding
            kernels = settings[0]
            branches = [nn.Conv2d(channels, CHANNELS, kernel, padding=kernel // 2) for kernel in kernels]
            layers.append(Branches(branches, kind))
            channels = CHANNELS * (len(kernels) if kind == "cat" else 1)
    return layers, channels
