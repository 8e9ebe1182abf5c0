"""Weights before any are loaded: seeded, or not drawn at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

T = TypeVar("T")


class _NoRandomNumbers(TorchFunctionMode):
    """The middle of the distribution in place of a draw: initialisers that draw again until it suits them end, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.uniform_:
            low, high = _arguments(args, kwargs, ("from", "to"), (0.0, 1.0))
            return args[0].fill_((low + high) / 2)
        if func is torch.Tensor.normal_:
            (mean,) = _arguments(args, kwargs, ("mean",), (0.0,))
            return args[0].fill_(mean)
        return func(*args, **kwargs)


def _arguments(args: Any, kwargs: Any, names: tuple[str, ...], defaults: tuple[float, ...]) -> list[float]:
    """Arguments behind the tensor, by position or by name."""
    given = dict(zip(names, args[1:], strict=False)) | kwargs
    return [given.get(name, default) for name, default in zip(names, defaults, strict=True)]


def seeded(factory: Callable[[], T]) -> T:
    """Calls `factory` with torch's generator at seed 0, and leaves the generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return factory()


def uninitialized(factory: Callable[[], T]) -> T:
    """Calls `factory` without drawing its random weights, which takes longer than reading the real ones.

    Only for a module whose every weight is then loaded.
    """
    with _NoRandomNumbers():
        return factory()
