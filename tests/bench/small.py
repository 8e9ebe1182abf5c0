"""A small network for benchmarks."""

from __future__ import annotations

import torch
from torch import nn

from raysel.config import Preprocessing


def network() -> tuple[nn.Module, Preprocessing]:
    """Two convolutions, 12 and 8 channels, one with batch norm, both with ReLU, over 32 x 32 pixels."""
    torch.manual_seed(4)
    norm = nn.BatchNorm2d(12)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.running_var, 0.5, 1.5)
    layers = nn.Conv2d(3, 12, 3, stride=2), norm, nn.ReLU(inplace=True), nn.Conv2d(12, 8, 3), nn.ReLU()
    return nn.Sequential(*layers), Preprocessing(resize=32, crop=(32, 32))
