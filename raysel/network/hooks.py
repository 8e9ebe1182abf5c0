"""For networks whose code no tracer follows: forward hooks on their modules.

Then a convolution is read at its own output, and what it sees is known only to be no more than the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from raysel.errors import type_and_first_line
from raysel.network.graph.digest import of_module
from raysel.network.graph.tracing import UntraceableError
from raysel.network.network import Visit

READING = "convolution (the network cannot be traced)"


@dataclass(frozen=True)
class Called:
    """A module of a forward, by order of its first return."""

    name: str
    shape: tuple[int, ...]
    convolution: bool


class _LastTapSeenError(Exception):
    """Leaves a forward that has nothing more to show."""


def calls_of(module: nn.Module, input_size: tuple[int, int]) -> list[Called]:
    """Every named module that a forward of two images calls and that returns a map or a vector.

    Raises:
        UntraceableError: the forward fails.
    """
    called: dict[str, Called] = {}

    def note(name: str, child: nn.Module) -> Any:
        convolution = isinstance(child, (nn.Conv2d, nn.ConvTranspose2d))

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim in (2, 4):
                called.setdefault(name, Called(name, tuple(output.shape), convolution))

        return hook

    handles = [child.register_forward_hook(note(name, child)) for name, child in module.named_modules() if name]
    try:
        with torch.inference_mode():
            module.eval()(torch.zeros(2, 3, *input_size))
    except Exception as error:  # whatever the network's own code does
        raise UntraceableError(
            f"forward of [2, 3, {input_size[0]}, {input_size[1]}]: {type_and_first_line(error)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return list(called.values())


def chosen(called: list[Called], layers: tuple[str, ...]) -> list[tuple[Called, int]]:
    """What the globs choose, as `raysel.network.taps` does, with each one's depth; empty if a glob matches nothing."""
    kept: set[str] = set()
    for glob in layers:
        names = {call.name for call in called if fnmatchcase(call.name, glob) and call.convolution}
        names = names or {call.name for call in called if fnmatchcase(call.name, glob)}
        if not names:
            return []
        kept |= names
    depths = [sum(before.convolution for before in called[:k]) for k in range(len(called))]
    return [(call, depth) for call, depth in zip(called, depths, strict=True) if call.name in kept]


class HookedForward:
    """Runs the network's own code, and leaves it after its last tap."""

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        self._module = module.eval().requires_grad_(False)
        self._module.to(memory_format=torch.channels_last)
        self.digest = of_module(module, names)
        self._visit: Visit | None = None
        self._seen: set[int] = set()
        for k, name in enumerate(names):
            module.get_submodule(name).register_forward_hook(self._hook(k, last=k == len(names) - 1))

    def to(self, device: str) -> None:
        """Moves the weights."""
        self._module.to(device)

    def _hook(self, k: int, last: bool) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            if self._visit is None or k in self._seen:
                return
            self._seen.add(k)
            self._visit(k, output if output.ndim == 4 else output[:, :, None, None])
            if last:
                raise _LastTapSeenError

        return hook

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """Runs float32[B, 3, H, W]; `visit` gets each tap's map as [B, C, h, w]."""
        self._visit, self._seen = visit, set()
        try:
            self._module(inputs)
        except _LastTapSeenError:
            pass
        finally:
            self._visit = None
