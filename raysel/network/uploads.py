"""Pixels on their way to the network's device, in batches of one shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

Batches = Iterator[tuple[slice, torch.Tensor]]
"""Rows of the pixels with a batch, uint8 [batch, H, W, 3], on the device. A last short batch is padded with black or
older images."""


def device_batches(pixels: NDArray[np.uint8], batch: int, device: torch.device) -> Batches:
    """The pixels in batches of one shape.

    A batch is valid until the next but one is taken. If the next one is taken when the forward of this one has been
    started on a GPU, it is copied while that forward runs.

    Args:
        pixels: uint8 [images, H, W, 3].
        batch: images in a batch.
        device: the network's device.
    """
    rows = [slice(start, min(start + batch, len(pixels))) for start in range(0, len(pixels), batch)]
    if device.type == "cuda":
        yield from _copied(pixels, rows, (batch, *pixels.shape[1:]), device)
        return
    for each in rows:
        part = pixels[each]
        if len(part) < batch or not part.flags.writeable:  # Ray's blocks are read-only, which torch does not know
            part = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), np.uint8)])
        yield each, torch.from_numpy(part)


def _copied(pixels: NDArray[np.uint8], rows: list[slice], shape: tuple[int, ...], device: torch.device) -> Batches:
    """Batches by way of two pinned buffers and a stream of their own. Nothing waits for a forward."""
    copying, running = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    pinned = [torch.zeros(shape, dtype=torch.uint8).pin_memory() for _ in range(2)]
    inputs = [torch.zeros(shape, dtype=torch.uint8, device=device) for _ in range(2)]
    copied, used = ([torch.cuda.Event(), torch.cuda.Event()] for _ in range(2))
    for number, each in enumerate(rows):
        place, part = number % 2, pixels[each]
        copied[place].synchronize()  # the last copy from this buffer, two batches ago
        pinned[place].numpy()[: len(part)] = part
        copying.wait_event(used[place])
        with torch.cuda.stream(copying):
            inputs[place].copy_(pinned[place], non_blocking=True)
            copied[place].record(copying)
        running.wait_event(copied[place])
        yield each, inputs[place]
        used[place].record(running)
