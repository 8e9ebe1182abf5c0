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
    """The pixels in batches of one shape. On a GPU the next batch is copied while the network runs the current one.

    A batch is valid until the next one is taken.

    Args:
        pixels: uint8 [images, H, W, 3].
        batch: images in a batch.
        device: of the network.
    """
    rows = [slice(start, min(start + batch, len(pixels))) for start in range(0, len(pixels), batch)]
    if device.type == "cuda":
        yield from _copied_ahead(pixels, rows, batch, device)
        return
    for each in rows:
        part = pixels[each]
        if len(part) < batch or not part.flags.writeable:  # Ray's blocks are read-only, which torch does not know
            part = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), np.uint8)])
        yield each, torch.from_numpy(part)


def _copied_ahead(pixels: NDArray[np.uint8], rows: list[slice], batch: int, device: torch.device) -> Batches:
    """Batches by way of two pinned buffers and a stream of their own."""
    copying, running = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    buffers = [torch.zeros((batch, *pixels.shape[1:]), dtype=torch.uint8, pin_memory=True) for _ in range(2)]
    copied = [torch.cuda.Event() for _ in buffers]

    def start(number: int) -> torch.Tensor:
        buffer, done = buffers[number % 2], copied[number % 2]
        done.synchronize()  # the copy from this buffer before the last one
        part = pixels[rows[number]]
        buffer.numpy()[: len(part)] = part
        with torch.cuda.stream(copying):
            inputs = buffer.to(device, non_blocking=True)
            done.record(copying)
        return inputs

    ahead = start(0) if rows else None
    for number, each in enumerate(rows):
        inputs = ahead
        if inputs is None:
            return
        running.wait_event(copied[number % 2])
        inputs.record_stream(running)
        ahead = start(number + 1) if number + 1 < len(rows) else None
        yield each, inputs
