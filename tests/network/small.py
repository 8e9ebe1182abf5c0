"""Small networks that tests name as ``tests.network.small:...``."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from raysel.config import Preprocessing

CHANNELS = 4
SMALL_END = {"fc6": 8, "fc7": 8, "classes": 2}
"""Arguments of a network of Chatfield et al. for small fully connected layers."""

_small = st.integers(1, 4)
layer = st.one_of(
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
    """Channel shuffle as ShuffleNet writes it, and a split along channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, rows, columns = x.size()
        x = x.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).contiguous().view(batch, -1, rows, columns)
        a, b = x.chunk(2, dim=1)
        return torch.cat((b, a), dim=1)


class Crop(nn.Module):
    """Rows and columns from `start`, every `step`-th."""

    def __init__(self, start: int, step: int) -> None:
        super().__init__()
        self.start, self.step = start, step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, self.start :: self.step, self.start :: self.step]


class FunctionalConv(nn.Module):
    """A convolution that its module calls as a function, behind explicit padding."""

    def __init__(self, inputs: int, kernel: int, stride: int, pads: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS, inputs, kernel, kernel))
        self.stride, self.pads = stride, pads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before, after = self.pads
        return functional.conv2d(functional.pad(x, (before, after, before, after)), self.weight, stride=self.stride)


def build(plan: list[list[Any]], size: list[int], seed: int = 0) -> tuple[nn.Sequential, Preprocessing]:
    """A network from its plan: a list of [kind, settings...]; images of `size` (height, width)."""
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
            groups = groups if channels % groups == 0 else 1
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


class Gated(nn.Module):
    """Activations as people write them, and a second call of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.swish, self.hard, self.twice = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(4))
        self.bare = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.plain(x), inplace=True)
        x = self.swish(x)
        x = x * torch.sigmoid(x)
        x = self.norm(self.hard(x))
        x = x * functional.relu6(x + 3) / 6
        x = torch.tanh(self.twice(self.twice(x).relu()))
        bare = self.bare(x)
        return bare + bare.mean(dim=(2, 3), keepdim=True)


def gated() -> tuple[nn.Module, dict[str, Any]]:
    """`Gated` on 16 x 16 pixels, preprocessing as a dict."""
    torch.manual_seed(3)
    return Gated(), {"resize": (16, 16), "crop": None}


class InPlace(nn.Module):
    """Every operation behind the convolution writes into its memory."""

    preprocessing = Preprocessing(resize=(12, 20), crop=None, channel_order="BGR", scale=1.0, std=(9.0, 8.0, 7.0))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).relu_().mul_(-2.0)
        x -= 1
        return self.head(x.mean((2, 3)))


def fails() -> nn.Module:
    """A factory with a fault."""
    raise KeyError("no such thing")


def text() -> str:
    """A factory of no network."""
    return "not a network"


def bad_preprocessing() -> tuple[nn.Module, dict[str, Any]]:
    """A factory whose preprocessing has a field that is none."""
    return InPlace(), {"resise": 3}


class ByShape(nn.Module):
    """Padding computed from the input's shape, which torch.fx has no value for."""

    preprocessing = Preprocessing(resize=(24, 24), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.a(x)), inplace=True)
        if x.shape[2] % 2 == 0:
            x = functional.pad(x, (0, 1, 0, 1))
        return self.b(torch.tanh(self.b(x))).relu()


class ByValue(nn.Module):
    """A branch by the values of the images."""

    preprocessing = Preprocessing(resize=(24, 24), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x).relu_()
        return self.b(x) if float(x.sum()) >= 0 else x


def peaked() -> tuple[nn.Module, Preprocessing]:
    """One convolution, 7 x 7, whose kernel has rings of 1, 1/3, 1/12 and 1/18 from the centre."""
    rings = torch.maximum(*torch.meshgrid(*[torch.arange(-3, 4).abs()] * 2, indexing="ij"))
    kernel = torch.tensor([1.0, 1 / 3, 1 / 12, 1 / 18])[rings]
    conv = nn.Conv2d(3, 1, 7, stride=2, padding=3)
    with torch.no_grad():
        conv.weight.copy_(kernel.expand(1, 3, 7, 7))
        conv.bias.fill_(1e6)
    return nn.Sequential(conv, nn.ReLU()), Preprocessing(resize=(40, 40), crop=None)


def dead() -> tuple[nn.Module, Preprocessing]:
    """A convolution whose ReLU never lets anything through."""
    conv = nn.Conv2d(3, 2, 5)
    nn.init.constant_(conv.bias, -1e6)
    return nn.Sequential(conv, nn.ReLU()), Preprocessing(resize=(20, 20), crop=None)


def upsampled() -> tuple[nn.Module, Preprocessing]:
    """Half the size and back, by a transposed convolution, then an ordinary one."""
    layers = [nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1)]
    return nn.Sequential(*layers), Preprocessing(resize=(40, 40), crop=None)


class Variant(nn.Module):
    """Two convolutions of the same weights, whatever is between them; the second behind a gate by the whole image."""

    preprocessing = Preprocessing(resize=(16, 16), crop=None)

    def __init__(self, stride: int, pool: str, activation: str, slope: float, eps: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, eps=eps)
        self.activation = nn.LeakyReLU(slope) if activation == "leaky" else nn.ELU()
        pools = {"max": nn.MaxPool2d(3, stride, 1), "mean": nn.AvgPool2d(3, stride, 1, count_include_pad=False)}
        self.pool = pools.get(pool, nn.AvgPool2d(3, stride, 1))
        self.second = nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.activation(self.norm(self.first(x))))
        x = x * x.mean((2, 3), keepdim=True) * self.scale
        return self.second(self.pool(x) if self.twice else x)


def variant(
    stride: int = 1,
    pool: str = "max",
    activation: str = "leaky",
    slope: float = 0.1,
    eps: float = 1e-5,
    scale: float = 1.0,
    twice: bool = False,
) -> nn.Module:
    """`Variant`: the same seed gives the same weights."""
    network = Variant(stride, pool, activation, slope, eps)
    network.scale, network.twice = scale, twice
    return network


def by_value(stride: int) -> nn.Module:
    """`ByValue` with another stride of its second convolution."""
    network = ByValue()
    network.b.stride = (stride, stride)
    return network
