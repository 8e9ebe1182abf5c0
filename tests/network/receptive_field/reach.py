"""Which pixels a position really sees: the gradient of a network's own forward, made positive so that none vanishes.

Independent of raysel's graphs and rules. The network's code runs in float64, but each of its operations is replaced by
one that lets the same positions through and neither saturates nor cancels. A convolution has weights that depend on its
output channel only, so that its input channels can be added first: hundreds of times less work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Interval = tuple[int, int]
Box = tuple[Interval, Interval]
"""First and last row, first and last column, clipped to the image."""

_UNCHANGED = (
    *("relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "prelu", "gelu", "silu", "mish", "softplus", "tanh"),
    *("sigmoid", "sigmoid_", "hardsigmoid", "hardswish", "hardtanh", "clamp", "clamp_", "clip", "clamp_min", "dropout"),
    *("batch_norm", "local_response_norm"),
)
_MEANS = ("max", "amax", "min", "amin", "std", "var", "norm", "logsumexp")


def _conv2d(
    images: torch.Tensor,
    weight: torch.Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    batch, channels, *size = images.shape
    added = images.reshape(batch * groups, channels // groups, *size).sum(1, keepdim=True)
    window = torch.ones(1, 1, *weight.shape[2:], dtype=images.dtype)
    seen = functional.conv2d(added, window, None, stride, padding, dilation)
    seen = seen / seen.detach().mean()  # about 1, however deep
    outputs = 0.5 + torch.rand(groups, len(weight) // groups, 1, 1, dtype=images.dtype)
    return (seen.reshape(batch, groups, 1, *seen.shape[2:]) * outputs).reshape(batch, len(weight), *seen.shape[2:])


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
    return x.mean(-1, keepdim=True) * (0.5 + torch.rand(len(weight), dtype=x.dtype))


def _max_pool2d(
    x: torch.Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> torch.Tensor:
    assert dilation in (1, (1, 1))
    assert not return_indices
    return functional.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)


def _with_mean(x: torch.Tensor, *dims: int) -> torch.Tensor:
    return x + x.mean(dims, keepdim=True)


def _mean(x: torch.Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> torch.Tensor:
    return x.mean(dim, keepdim=keepdim)


_REPLACED: dict[str, Callable[..., torch.Tensor]] = {
    **dict.fromkeys(_UNCHANGED, lambda x, *_, **__: x),
    **dict.fromkeys(_MEANS, _mean),
    **dict.fromkeys(("softmax", "log_softmax"), lambda x, dim=-1, **_: _with_mean(x, dim)),
    **dict.fromkeys(("layer_norm", "rms_norm"), lambda x, shape, *_, **__: _with_mean(x, *range(-len(shape), 0))),
    "normalize": lambda x, p=2.0, dim=1, *_, **__: _with_mean(x, dim),
    "group_norm": lambda x, *_, **__: _with_mean(x, 1, 2, 3),
    "instance_norm": lambda x, *_, **__: _with_mean(x, 2, 3),
    "conv2d": _conv2d,
    "linear": _linear,
    "max_pool2d": _max_pool2d,
    "adaptive_max_pool2d": lambda x, size, *_: functional.adaptive_avg_pool2d(x, size),
}


class _Positive(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.convolutions = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        replaced = _REPLACED.get(getattr(func, "__name__", ""), func)
        if replaced is not func and not (isinstance(args[0], torch.Tensor) and args[0].requires_grad):
            replaced = func  # works on weights
        self.convolutions += replaced in (_conv2d, torch.conv_transpose2d)
        kwargs = dict(kwargs or {})
        first = (kwargs.pop("input"),) if replaced is not func and "input" in kwargs else ()
        return replaced(*first, *args, **kwargs)


class Reach:
    """What single positions of a network's convolutions see; `module` is changed.

    Attributes:
        maps: the outputs of modules without children by name; ``name#2`` is the module's second call.
        convolutions: how many the forward called.
    """

    def __init__(self, module: nn.Module, input_size: tuple[int, int]) -> None:
        one = torch.ones((), dtype=torch.float64)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
            parameter.data = one.expand(parameter.shape)
        for buffer in module.buffers():
            buffer.data = buffer.double() if buffer.is_floating_point() else buffer
        module.eval()
        self.maps: dict[str, torch.Tensor] = {}
        self._image = torch.ones(1, 3, *input_size, dtype=torch.float64, requires_grad=True)
        calls: Counter[str] = Counter()

        def keep(name: str) -> Callable[..., Any]:
            def hook(module: nn.Module, _inputs: Any, output: Any) -> Any:
                calls[name] += 1
                self.maps[name if calls[name] == 1 else f"{name}#{calls[name]}"] = output
                return output.clone() if isinstance(module, nn.Conv2d) else output  # may be overwritten

            return hook

        for name, child in module.named_modules():
            if not list(child.children()):
                child.register_forward_hook(keep(name))
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), _Positive() as mode:
            torch.manual_seed(0)
            module(self._image)
        self.convolutions = mode.convolutions

    def seen(self, layer: str, row: int, column: int, normed: bool = False) -> Box | None:
        """What a position sees, also behind a norm over the map if `normed`; None if this is nothing of the image."""
        map_ = self.maps[layer][0]
        total = map_.sum() if normed else map_[:, row, column].sum()
        if not total.requires_grad:  # as a convolution of a constant
            return None
        (gradient,) = torch.autograd.grad(total, self._image, retain_graph=True)
        touched = gradient[0].ne(0).any(dim=0)
        rows, columns = (touched.any(dim=d).nonzero().flatten().tolist() for d in (1, 0))
        return ((rows[0], rows[-1]), (columns[0], columns[-1])) if rows else None
