"""Wrappers around modules, which other code needs and raysel does not: compiled and data-parallel modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from raysel.errors import RayselError


def unwrapped(module: nn.Module, network: str) -> nn.Module:
    """The module inside of its wrappers, whose own modules are unwrapped in place.

    Args:
        module: compiled by torch.compile or not, in ``DataParallel`` or ``DistributedDataParallel`` or not.
        network: its name, for messages.

    Raises:
        RayselError: it is a TorchScript module, or contains one.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise RayselError(
            f"{network} has a TorchScript module, whose code cannot be traced: return the Python module that it was "
            "made from, or save it with torch.export.save as .pt2"
        )
    inner: Any = getattr(module, "_orig_mod", None)  # torch.compile
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = module.module
    if isinstance(inner, nn.Module):
        return unwrapped(inner, network)
    module._compiled_call_impl = None  # module.compile()
    for name, child in list(module.named_children()):
        setattr(module, name, unwrapped(child, network))
    return module
