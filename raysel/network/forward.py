"""A forward: the batch in, the map of every tap out, then the maxima of the maps; and the memory that it needs."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

Visit = Callable[[int, torch.Tensor], None]
"""Called with a tap's number and its map, float32 or bfloat16 [B, C, h, w]."""

# mallopt's parameters, malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


class Forward(Protocol):
    """Runs a network up to its last tap."""

    @property
    def digest(self) -> str:
        """sha256 (hex) of what it computes, without the weights."""

    def to(self, device: str) -> None:
        """Moves the weights."""

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """Runs normalized images, float32 [B, 3, H, W], and calls `visit` with each tap's map when it is computed."""


def computing_in(dtype: str, device: str) -> torch.autocast:
    """A context in which convolutions and matrix products compute in `dtype`; other operations follow their inputs.

    Args:
        dtype: as in `raysel.config.NetworkConfig`.
        device: ``cpu`` or ``cuda``.
    """
    return torch.autocast(device, torch.bfloat16, enabled=dtype == "bf16")


def as_map(output: torch.Tensor, channels_dim: int = 1) -> torch.Tensor:
    """[B, C, h, w], with the channels from dimension `channels_dim`; a vector becomes a map of one position."""
    return output.movedim(channels_dim, 1) if output.ndim == 4 else output[:, :, None, None]


def use_channels_last(module: nn.Module) -> None:
    """Lays out weights of two-dimensional convolutions with channels last in memory, which is faster; others stay."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The activations of a tap's neurons: each map's maximum over space and its first position in raster order.

    Args:
        maps: float [images, channels, rows, columns], fastest with channels last in memory.

    Returns:
        (float32 [images, channels], int32 [images, channels]: ``row * columns + column``). NaN in a map gives NaN.
    """
    activation, position = (pooled_peaks if maps.device.type == "cpu" else row_peaks)(maps)
    return activation.float(), position.int()


def pooled_peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`peaks` by one pooling window as large as the map: on a CPU little more than one read of the map.

    A GPU has one thread per window, which is slow.
    """
    maps = maps.contiguous(memory_format=torch.channels_last)
    activation, position = functional.max_pool2d(maps, maps.shape[2:], return_indices=True)
    return activation.flatten(1), position.flatten(1)


def row_peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`peaks` in parallel over channels and rows: the maximum of each row, the first row with it, and its column."""
    pixels = maps.permute(0, 2, 3, 1).contiguous()
    columns = pixels.shape[2]
    activation, row = pixels.amax(dim=2).max(dim=1)
    line = pixels.gather(1, row[:, None, None, :].expand(-1, 1, columns, -1)).squeeze(1)
    return activation, row * columns + line.argmax(dim=1)


def keep_freed_memory() -> bool:
    """Keeps freed blocks of memory in this process for the next operation, whatever their size.

    By default glibc returns a freed block of several MB to the system, and the next block is zeroed page by page on its
    first use. A forward on the CPU does this for every map; keeping the blocks saves a third of its time. The process
    then holds the most memory that it ever needed. Meant for processes that mainly run networks; call it once, before
    the first forward.

    Returns:
        False if the C library is not glibc; nothing changes then.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
