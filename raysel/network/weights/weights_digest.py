"""What identifies weights, wherever they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn


def digest(module: nn.Module, average: NDArray | None = None) -> str:
    """sha256 (hex) of names, dtypes, shapes and bytes of the state dict, in order of the names, and of the average
    image, if there is one."""
    total = _digest_of(module.state_dict())
    if average is not None:
        total.update(f"average image {average.dtype} {list(average.shape)}\n".encode() + average.tobytes())
    return total.hexdigest()


def state_digest(state: Mapping[str, Any]) -> str:
    """sha256 (hex) of a state dict's tensors, whatever the file around them: names, dtypes, shapes and bytes."""
    return _digest_of(state).hexdigest()


def _digest_of(state: Mapping[str, Any]) -> hashlib._Hash:
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        values = tensor.detach().cpu().contiguous()
        total.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
        total.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return total
