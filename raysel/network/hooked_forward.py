"""The forward of a network whose code no tracer can follow, read by hooks on its modules.

A convolution is then read at its own output, and what it sees is only known to be no more than the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from raysel.errors import type_and_first_line
from raysel.network.forward import Visit, as_map
from raysel.network.graph.digest import digest_of_modules
from raysel.network.graph.tracing import UntraceableError

Hook = Callable[[nn.Module, Any, Any], None]


@dataclass(frozen=True)
class CalledModule:
    """A module that a forward calls, with the shape of its output."""

    name: str
    shape: tuple[int, ...]
    convolution: bool


class _LastTapSeenError(Exception):
    """Ends a forward after its last tap."""


def called_modules(module: nn.Module, input_size: tuple[int, int]) -> list[CalledModule]:
    """The modules that return a map or a vector in a forward of two images, in the order of their first return.

    Raises:
        UntraceableError: the forward fails.
    """
    called: dict[str, CalledModule] = {}

    def hook(name: str, convolution: bool) -> Hook:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim in (2, 4):
                called.setdefault(name, CalledModule(name, tuple(output.shape), convolution))

        return note

    handles = [
        child.register_forward_hook(hook(name, isinstance(child, (nn.Conv2d, nn.ConvTranspose2d))))
        for name, child in module.named_modules()
        if name
    ]
    try:
        with torch.inference_mode():
            module.eval()(torch.zeros(2, 3, *input_size))
    except Exception as error:  # the network's code can raise anything
        raise UntraceableError(f"forward of {[2, 3, *input_size]}: {type_and_first_line(error)}") from error
    finally:
        for handle in handles:
            handle.remove()
    return list(called.values())


def choose_modules(called: list[CalledModule], layers: tuple[str, ...]) -> list[tuple[CalledModule, int]]:
    """The modules that the globs choose as in `raysel.network.taps`, with their depths.

    Empty if a glob matches nothing.
    """
    chosen: set[str] = set()
    for glob in layers:
        matching = [call for call in called if fnmatchcase(call.name, glob)]
        names = {call.name for call in matching if call.convolution} or {call.name for call in matching}
        if not names:
            return []
        chosen |= names
    depths = [sum(before.convolution for before in called[:k]) for k in range(len(called))]
    return [(call, depth) for call, depth in zip(called, depths, strict=True) if call.name in chosen]


class HookedForward:
    """Runs the network's own code and stops after its last tap."""

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        self._module = module.eval().requires_grad_(False)
        self._module.to(memory_format=torch.channels_last)
        self.digest = digest_of_modules(module, names)
        self._visit: Visit | None = None
        self._seen: set[int] = set()
        for tap, name in enumerate(names):
            module.get_submodule(name).register_forward_hook(self._hook(tap, last=tap == len(names) - 1))

    def to(self, device: str) -> None:
        """Moves the weights."""
        self._module.to(device)

    def _hook(self, tap: int, last: bool) -> Hook:
        def show(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            if self._visit is None or tap in self._seen:
                return
            self._seen.add(tap)
            self._visit(tap, as_map(output))
            if last:
                raise _LastTapSeenError

        return show

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """See `Forward`."""
        self._visit, self._seen = visit, set()
        try:
            self._module(inputs)
        except _LastTapSeenError:
            pass
        finally:
            self._visit = None
