"""The gradient oracle on modules whose fields are known by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.network.receptive_field.reach import Box, Reach

ALL = ((0, 19), (0, 29))


class Gated(nn.Module):
    """``x * sigmoid(mean(x) - 1e3)``: a gate that is shut, as a saturated one would be."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True) - 1e3)


class Residual(nn.Sequential):
    """Adds its input in place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        y += x
        return y


def last(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules, nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize(
    ("module", "position", "expected"),
    [
        (last(nn.Conv2d(3, 4, 3, 2, 1)), (0, 0), ((0, 1), (0, 1))),
        (last(nn.Conv2d(3, 4, 3, 2, 1)), (5, 14), ((9, 11), (27, 29))),
        (last(nn.Conv2d(3, 4, (1, 7), dilation=2)), (3, 0), ((3, 3), (0, 12))),
        (last(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(3, 4, 3)), (0, 28), ((0, 0), (28, 29))),
        (last(nn.Conv2d(3, 4, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU6(True)), (9, 14), ((18, 19), (28, 29))),
        (last(nn.Conv2d(3, 4, 1), Residual(nn.Conv2d(4, 4, 5, padding=2, groups=4)), nn.BatchNorm2d(4)), (4, 1),
         ((2, 6), (0, 3))),
        (last(nn.Conv2d(3, 4, 3), Gated()), (0, 0), ALL),
        (last(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), (9, 9), ALL),
        (last(nn.Conv2d(3, 4, 3), nn.Softmax(dim=2)), (1, 5), ((0, 19), (5, 7))),
    ],
)  # fmt: skip
def test_what_is_seen(module: nn.Module, position: tuple[int, int], expected: Box) -> None:
    layer = list(dict(module.named_children()))[-1]
    assert Reach(module, (20, 30)).seen(layer, *position) == expected


def test_padding_only() -> None:
    assert Reach(last(nn.Conv2d(3, 4, 1, padding=1)), (20, 30)).seen("1", 0, 5) is None


def test_a_second_call_has_its_own_name() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return self.conv(self.conv(x))

    reach = Reach(Twice(), (20, 30))
    assert (list(reach.maps), reach.convolutions) == (["conv", "conv#2"], 2)
    assert reach.seen("conv#2", 1, 0) == ((1, 5), (0, 4))


def test_a_map_that_is_overwritten() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.wide = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 5, padding=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.narrow(x)
            y += self.wide(x)
            return y

    reach = Reach(Branches(), (20, 30))
    assert reach.seen("narrow", 4, 9) == ((4, 4), (9, 9))
    assert reach.seen("wide", 4, 9) == ((2, 6), (7, 11))
