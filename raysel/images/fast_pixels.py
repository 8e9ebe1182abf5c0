"""The two costly steps of decoding, by PyTorch's kernels: JPEG to pixels, and the resize of 8-bit pixels.

Measured by ``python -m tests.images.benchmark_decode``: an image of ImageNet's size takes about half of Pillow's time.
Both use whole numbers, and the resize gives the same bits on CPUs with and without AVX (PyTorch 2.15, checked).
"""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from raysel.config import Interpolation

SMOOTH = ("bilinear", "bicubic")
"""Filters that `resized` has."""


def jpeg_pixels(data: bytes) -> NDArray[np.uint8] | None:
    """uint8[H, W, 3], RGB, as stored (not upright), of a grey or RGB JPEG; None where Pillow is to tell what is wrong.

    The pixels are Pillow's: both are libjpeg-turbo's.
    """
    torch, read = _torch(), _read_jpeg()
    try:
        return read(torch.frombuffer(data, dtype=torch.uint8)).permute(1, 2, 0).numpy()
    except RuntimeError:
        return None


def resized(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: Interpolation) -> NDArray[np.uint8]:
    """uint8[height, width, 3] of uint8[H, W, 3]: antialiased, within 2 levels of Pillow's filter.

    Args:
        pixels: contiguous, RGB.
        size: (height, width).
        interpolation: one of `SMOOTH`.
    """
    torch = _torch()
    # As a view in channels-last order: other layouts are summed in another order.
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    done = torch.nn.functional.interpolate(image, size=size, mode=interpolation, antialias=True)
    return done[0].permute(1, 2, 0).numpy()


@functools.cache
def _torch() -> ModuleType:
    import torch

    return torch


@functools.cache
def _read_jpeg() -> functools.partial:
    from torchvision.io import ImageReadMode, decode_jpeg

    return functools.partial(decode_jpeg, mode=ImageReadMode.RGB)
