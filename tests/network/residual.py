"""Small networks of blocks, that tests name as ``tests.network.residual:...``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from raysel.config import Preprocessing

SIZE = (40, 48)


class Block(nn.Module):
    """Two convolutions, with a shortcut where shapes agree."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.shortcut = stride == 1
        self.conv1, self.norm1 = nn.Conv2d(channels, channels, 3, stride, 1), nn.BatchNorm2d(channels)
        self.conv2, self.norm2 = nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        if self.shortcut:
            y += x
        return self.relu2(y)


class PreActivation(nn.Module):
    """Norm and activation before the convolution; the sum is what the next block takes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.relu, self.conv = nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(self.relu(self.norm(x)))


class Branches(nn.Module):
    """A sum of three maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 5, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.small(x) + self.large(x)


class Mixed(nn.Module):
    """Two branches that are concatenated, one of them a concatenation itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(channels, channels // 2, side, 1, side // 2) for side in (1, 3, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.a(x), torch.cat((self.b(x), self.c(x)), 1)), dim=1)


class Distractors(nn.Module):
    """Sums and concatenations that are no blocks: gates, biases, places, and branches that a convolution joins."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.join = nn.Conv2d(channels, channels, 1), nn.Conv2d(2 * channels, channels, 1)
        self.low, self.high = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)
        self.sigmoid = nn.Sigmoid()
        self.bias = nn.Parameter(torch.rand(channels, 1, 1))
        self.place = nn.Parameter(torch.rand(1, channels, 20, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x) + self.bias + 3
        x = torch.cat((x, x + self.place), dim=1)
        x = self.join(x)
        mean, peak = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * self.sigmoid(self.high(self.low(mean)) + self.high(self.low(peak))).expand_as(x)
        return x + x.mean((2, 3), keepdim=True)


class Smooth(nn.Module):
    """A sum without weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + nn.functional.avg_pool2d(x, 3, 1, 1)


class Residual(nn.Module):
    """Blocks of many kinds and, at the end, a sum that no module but the network itself computes."""

    preprocessing = Preprocessing(resize=SIZE, crop=None)

    def __init__(self, distract: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.distractors = Distractors(4) if distract else nn.Identity()
        self.stage = nn.Sequential(Block(4), Block(4, 2), Block(4))
        self.branches, self.mixed = Branches(4), Mixed(4)
        self.before = nn.Sequential(PreActivation(6), PreActivation(6))
        self.between = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU())
        self.smooth = nn.Sequential(nn.Conv2d(6, 6, 1), Smooth())
        self.norm, self.relu = nn.BatchNorm2d(6), nn.ReLU()
        self.left, self.right = nn.Conv2d(6, 5, 1), nn.Conv2d(6, 5, 3, 1, 1)
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.mixed(self.branches(self.stage(self.distractors(self.stem(x)))))
        x = self.relu(self.norm(self.smooth(self.between(self.before(x)))))
        x = torch.relu(self.left(x) + self.right(x))
        return self.head(x.mean((2, 3)))


def residual(distract: bool = False) -> nn.Module:
    """A `Residual` with fixed weights."""
    torch.manual_seed(7)
    return Residual(distract)


def by_value() -> nn.Module:
    """A network in whose code no tracer can follow what happens."""

    class ByValue(Block):
        preprocessing = Preprocessing(resize=SIZE, crop=None)

        def forward(self, x: Any) -> Any:
            return super().forward(x) if float(x.sum()) > 0 else x

    return ByValue(3)
