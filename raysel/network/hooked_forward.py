"""The forward of a network whose code no tracer can follow, read by hooks on its modules.

A convolution is then read at its own output, and what it sees is only known to be no more than the whole image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from raysel.errors import RayselError, type_and_first_line
from raysel.network.channel_layout import channels_dim
from raysel.network.forward import Visit, as_map, use_channels_last
from raysel.network.graph.digest import digest_of_modules
from raysel.network.graph.tracing import UntraceableError

Hook = Callable[[nn.Module, Any, Any], None]


@dataclass(frozen=True)
class CalledModule:
    """A module that a forward calls, with the shape of its output and the dimension of the channels."""

    name: str
    shape: tuple[int, ...]
    channels_dim: int
    convolution: bool
    always: bool
    """False if only some of the images that were tried call it."""


class _AllTapsSeenError(Exception):
    """Ends a forward after its last tap."""


def called_modules(module: nn.Module, probes: Sequence[torch.Tensor]) -> list[CalledModule]:
    """The modules that return a map or a vector in a forward of any of the `probes`, in the order of their return.

    Raises:
        UntraceableError: the forward fails.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    calls: Counter[str] = Counter()
    module.eval()
    for probe in probes:
        returned: dict[str, tuple[int, ...]] = {}
        with _hooked(module, returned), torch.inference_mode():
            try:
                module(probe)
            except (Exception, SystemExit) as error:  # the network's code can raise anything
                raise UntraceableError(f"forward of {list(probe.shape)}: {type_and_first_line(error)}") from error
        for name, shape in returned.items():
            shapes.setdefault(name, shape)
        calls.update(returned.keys())
    called = []
    for name, shape in shapes.items():
        convolution = _is_convolution(module.get_submodule(name))
        space = (2, 3) if convolution else None
        channels = channels_dim(shape, space, len(probes[0]), tuple(probes[0].shape[2:]))
        if channels is not None:
            called.append(CalledModule(name, shape, channels, convolution, calls[name] == len(probes)))
    return called


def never_called(module: nn.Module, called: Sequence[CalledModule]) -> list[str]:
    """Names of the convolutions that are not in `called`: no image that was tried takes their branch."""
    known = {call.name for call in called}
    return [name for name, child in module.named_modules() if _is_convolution(child) and name not in known]


def _is_convolution(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))


@contextmanager
def _hooked(module: nn.Module, shapes: dict[str, tuple[int, ...]]) -> Iterator[None]:
    """Fills `shapes` with that of the first tensor that each module returns."""

    def hook(name: str) -> Hook:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                shapes.setdefault(name, tuple(output.shape))

        return note

    handles = [child.register_forward_hook(hook(name)) for name, child in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def choose_modules(called: list[CalledModule], layers: tuple[str, ...]) -> list[tuple[CalledModule, int]]:
    """The modules that the globs choose as in `raysel.network.taps`, with their depths.

    Empty if a glob matches nothing.
    """
    chosen: set[str] = set()
    for glob in layers:
        matching = [call for call in called if fnmatchcase(call.name, glob)]
        names = {call.name for call in matching if call.convolution}
        if not names and glob != "*":  # "*" means every convolution and nothing else
            names = {call.name for call in matching}
        if not names:
            return []
        chosen |= names
    depths = [sum(before.convolution for before in called[:k]) for k in range(len(called))]
    return [(call, depth) for call, depth in zip(called, depths, strict=True) if call.name in chosen]


class HookedForward:
    """Runs the network's own code and stops when it has seen all taps.

    Each image runs alone, so that its own values choose the branches that it takes. A map is NaN, which does not rank,
    for an image that does not call the tap's module.
    """

    def __init__(self, module: nn.Module, taps: list[CalledModule]) -> None:
        self._module = module.eval().requires_grad_(False)
        use_channels_last(self._module)
        self._taps = taps
        self.digest = digest_of_modules(module, [tap.name for tap in taps] + ["by image"])
        self._visit: Visit | None = None
        self._seen: set[int] = set()
        for number, tap in enumerate(taps):
            module.get_submodule(tap.name).register_forward_hook(self._hook(number))

    def to(self, device: str) -> None:
        """Moves the weights."""
        self._module.to(device)

    def _hook(self, number: int) -> Hook:
        tap = self._taps[number]

        def show(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if self._visit is None or number in self._seen:
                return
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else ()
            if shape[1:] != tap.shape[1:]:
                raise RayselError(
                    f"layer {tap.name!r} returns {list(shape[1:])} for some images and {list(tap.shape[1:])} for "
                    "others: leave it out with --layers"
                )
            self._seen.add(number)
            self._visit(number, as_map(output, tap.channels_dim))
            if len(self._seen) == len(self._taps):
                raise _AllTapsSeenError

        return show

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """See `Forward`."""
        maps: list[list[torch.Tensor]] = [[] for _ in self._taps]
        for image in inputs.split(1):
            self._run(image, lambda number, map_: maps[number].append(map_.clone()))
        for number, parts in enumerate(maps):
            visit(number, torch.cat(parts))

    def _run(self, inputs: torch.Tensor, visit: Visit) -> None:
        self._visit, self._seen = visit, set()
        try:
            self._module(inputs)
        except _AllTapsSeenError:
            pass
        finally:
            self._visit = None
        for number, tap in enumerate(self._taps):
            if number not in self._seen:
                nothing = inputs.mean() * torch.nan  # depends on the images, for gradients
                visit(number, as_map(nothing.expand(len(inputs), *tap.shape[1:]), tap.channels_dim))
