"""Small networks that tests name as ``tests.network.small:...``."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import FrozenBatchNorm2d

from raysel.config import Preprocessing

SMALL_END = {"fc6": 8, "fc7": 8, "classes": 2}
"""Arguments of a network of Chatfield et al. for small fully connected layers."""


class Gated(nn.Module):
    """Activations written in many ways, and a second call of one convolution."""

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
    """`Gated` for 16 x 16 pixels, with preprocessing as a dict."""
    torch.manual_seed(3)
    return Gated(), {"resize": (16, 16), "crop": None}


class InPlace(nn.Module):
    """Every operation after the convolution overwrites its memory."""

    preprocessing = Preprocessing(resize=(12, 20), crop=None, channel_order="BGR", scale=1.0, std=(9.0, 8.0, 7.0))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).relu_().mul_(-2.0)
        x -= 1
        return self.head(x.mean((2, 3)))


def exits() -> nn.Module:
    sys.exit(3)


class ExitsInForward(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if super().forward(x).isfinite().all():
            sys.exit(3)
        return x


def without_values() -> nn.Module:
    with torch.device("meta"):
        return nn.Conv2d(3, 4, 3)


def fails() -> nn.Module:
    """A factory that fails."""
    raise KeyError("no such thing")


def text() -> str:
    """A factory that does not return a network."""
    return "not a network"


def bad_preprocessing() -> tuple[nn.Module, dict[str, Any]]:
    """A factory whose preprocessing has an unknown field."""
    return InPlace(), {"resise": 3}


class ByShape(nn.Module):
    """Padding that depends on the input's shape, which torch.fx does not know."""

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
    """A branch that depends on the values of the images."""

    preprocessing = Preprocessing(resize=(24, 24), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x).relu_()
        return self.b(x) if float(x.sum()) >= 0 else x


def peaked() -> tuple[nn.Module, Preprocessing]:
    """One convolution, 7 x 7, whose kernel has rings of 1, 1/3, 1/12 and 1/18 from the center."""
    rings = torch.maximum(*torch.meshgrid(*[torch.arange(-3, 4).abs()] * 2, indexing="ij"))
    kernel = torch.tensor([1.0, 1 / 3, 1 / 12, 1 / 18])[rings]
    conv = nn.Conv2d(3, 1, 7, stride=2, padding=3)
    with torch.no_grad():
        conv.weight.copy_(kernel.expand(1, 3, 7, 7))
        conv.bias.fill_(1e6)
    return nn.Sequential(conv, nn.ReLU()), Preprocessing(resize=(40, 40), crop=None)


def dead() -> tuple[nn.Module, Preprocessing]:
    """A convolution whose ReLU is always 0."""
    conv = nn.Conv2d(3, 2, 5)
    nn.init.constant_(conv.bias, -1e6)
    return nn.Sequential(conv, nn.ReLU()), Preprocessing(resize=(20, 20), crop=None)


def upsampled() -> tuple[nn.Module, Preprocessing]:
    """Half the size and back by a transposed convolution, then an ordinary one."""
    layers = [nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1)]
    return nn.Sequential(*layers), Preprocessing(resize=(40, 40), crop=None)


class Variant(nn.Module):
    """Two convolutions with variable operations between them; the second one sees the whole image through a gate."""

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
    """A `Variant`; its weights do not depend on the arguments."""
    network = Variant(stride, pool, activation, slope, eps)
    network.scale, network.twice = scale, twice
    return network


def by_value(stride: int) -> nn.Module:
    """`ByValue` with another stride of its second convolution."""
    network = ByValue()
    network.b.stride = (stride, stride)
    return network


class Branching(nn.Module):
    """Bright images take one branch, dark ones the other; no image takes the third."""

    preprocessing = Preprocessing(resize=(12, 12), crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bright, self.dark, self.never = (nn.Conv2d(3, 3, 3) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        mean = float(x.mean())
        if mean > 2:
            return self.never(y)
        return self.bright(y) if mean > 0.3 else self.dark(y)


class Checked(nn.Module):
    """Reads of shapes and checks between a convolution and its batch norm, as in timm's batch norm with activation."""

    preprocessing = Preprocessing(resize=(12, 12), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.swish = nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        torch._assert(x.ndim == 4, f"expected a map, got {x.ndim} dimensions")
        rows = x.shape[2]
        x = functional.batch_norm(x, self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias)
        size, device = x.size(), x.device
        x = self.swish(x.relu().to(device))
        x = x * x.sigmoid()
        return x.mean((2, 3)) * rows * size[0]


class Dropped(nn.Module):
    """Operations in place whose results the code does not use."""

    preprocessing = Preprocessing(resize=(16, 16), crop=None)

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 7, padding=3), nn.Conv2d(4, 4, 1)
        self.some = nn.Conv2d(3, 2, 7, padding=3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        if self.kind == "add":
            y.add_(self.b(x))
        elif self.kind == "part":
            y[:, :2] += self.some(x)
        elif self.kind == "set":
            y[:, 1:3] = self.some(x)
        elif self.kind == "rows":
            y[:, :, 3:5] += 1.0
        elif self.kind == "copy":
            y.copy_(self.b(x))
        elif self.kind == "view":
            flat = y.flatten(2)
            flat.add_(self.b(x).flatten(2))
        elif self.kind == "parts":
            first, second = y.chunk(2, dim=1)
            first.mul_(self.some(x))
            y = torch.cat((second, first), dim=1)
        elif self.kind == "relu":
            self.relu(y)
        elif self.kind == "out":
            torch.add(self.b(x), 1.0, out=y)
        return self.c(y)


class WithVolumes(nn.Module):
    """A convolution in three dimensions between two others."""

    preprocessing = Preprocessing(resize=(12, 12), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.volume, self.last = nn.Conv2d(3, 4, 3), nn.Conv3d(4, 4, (1, 3, 3)), nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.volume(self.first(x).unsqueeze(2)).squeeze(2))


class Brightened(nn.Module):
    """Dark images are made brighter, in code that no tracer can follow; all images take the same modules."""

    preprocessing = Branching.preprocessing

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x if float(x.mean()) > 0.3 else 3 * x)


class BranchingLast(nn.Module):
    """A linear layer over the channels of a map, in code that no tracer can follow."""

    preprocessing = Preprocessing(resize=(12, 12), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(self.stem(x).permute(0, 2, 3, 1))
        return x if float(x.sum()) > 0 else -x


class OfTwo(nn.Module):
    """Elementwise maximum and minimum of two maps, which share their names with reductions."""

    preprocessing = Preprocessing(resize=(12, 12), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.a(x), self.b(x)
        return self.c(torch.max(a, b) + torch.min(a, other=b) + b.max(a))


def wrapped(kind: str) -> nn.Module:
    """`InPlace` in a wrapper, or next to a wrapped module."""
    network: Any = InPlace()
    if kind == "compiled":
        network = torch.compile(network)
    if kind == "compiled in place":
        network.compile()
        network.conv.compile()
    elif kind == "inner":
        network.conv = nn.DataParallel(torch.compile(network.conv))
    elif kind == "parallel":
        network = nn.DataParallel(network)
    elif kind == "script":
        network = torch.jit.trace(network, torch.zeros(1, 3, 12, 20), check_trace=False)
    elif kind == "inner script":
        network.conv = torch.jit.trace(network.conv, torch.zeros(1, 3, 12, 20))
    return network


class Squeezed(nn.Module):
    """A kernel that is wider than high, a gate, and a convolution behind it."""

    preprocessing = Preprocessing(resize=(32, 32), crop=None)

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 4, (3, 7), padding=(1, 3))
        self.behind = nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.wide(x)
        return self.behind(x * x.mean((2, 3), keepdim=True).sigmoid())


def squeezed() -> nn.Module:
    """A `Squeezed` with fixed weights."""
    torch.manual_seed(5)
    return Squeezed()


class Normalized(nn.Module):
    """Norms and biases of many kinds behind convolutions."""

    preprocessing = Preprocessing(resize=(16, 16), crop=None)

    def __init__(self) -> None:
        super().__init__()
        names = ("group", "instance", "layer", "last", "frozen", "bias", "swish", "learned", "place")
        self.convs = nn.ModuleDict({name: nn.Conv2d(3 if name == "group" else 4, 4, 3, padding=1) for name in names})
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)
        self.layer, self.last = nn.LayerNorm(4), nn.LayerNorm(4)
        self.frozen = FrozenBatchNorm2d(4)
        self.bias, self.slope = nn.Parameter(torch.rand(4, 1, 1)), nn.Parameter(torch.tensor(1.7))
        self.place = nn.Parameter(torch.rand(1, 4, 16, 16))
        for statistic in (self.frozen.weight, self.frozen.bias, self.frozen.running_mean, self.frozen.running_var):
            nn.init.uniform_(statistic, 0.5, 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.group(self.convs["group"](x)).relu()
        x = functional.silu(self.instance(self.convs["instance"](x)))
        x = functional.gelu(self.layer(self.convs["layer"](x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        x = self.last(self.convs["last"](x).permute(0, 2, 3, 1)).tanh().permute(0, 3, 1, 2)
        x = self.frozen(self.convs["frozen"](x)).relu_()
        x = functional.elu(self.convs["bias"](x) + self.bias)
        x = self.convs["swish"](x)
        x = x * torch.sigmoid(1.702 * x)
        x = self.convs["learned"](x)
        x = torch.sigmoid(x * self.slope) * x
        return self.convs["place"](x) + self.place
