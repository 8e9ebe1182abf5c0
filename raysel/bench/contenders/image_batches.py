"""Images in batches from PyTorch's DataLoader, decoded by raysel's decoder in worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from raysel.bench.scan_job import ImageFiles


def image_batches(files: ImageFiles, batch: int, workers: int, pinned: bool = False) -> DataLoader:
    """All images in their order, uint8 [B, H, W, 3]; the last batch may be smaller.

    Args:
        files: the images.
        batch: images in a batch.
        workers: processes that decode; 0: the caller's.
        pinned: in pinned memory, for a GPU.
    """
    return DataLoader(files, batch, num_workers=workers, collate_fn=_stacked, pin_memory=pinned)  # type: ignore[arg-type]


def _stacked(images: Sequence[NDArray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images))
