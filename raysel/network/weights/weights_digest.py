"""What identifies weights, wherever they come from."""

from __future__ import annotations

import hashlib

import torch
from numpy.typing import NDArray
from torch import nn


def digest(module: nn.Module, average: NDArray | None = None) -> str:
    """sha256 (hex) of names, dtypes, shapes and bytes of the state dict, in order of the names, and of the average
    image, if there is one."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        values = tensor.detach().cpu().contiguous()
        total.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
        total.update(values.reshape(-1).view(torch.uint8).numpy().data)
    if average is not None:
        total.update(f"average image {average.dtype} {list(average.shape)}\n".encode() + average.tobytes())
    return total.hexdigest()
