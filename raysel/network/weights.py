"""Weights are data: reading state dicts, fitting them to a module, and their digest."""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from raysel.errors import RayselError, first_line
from raysel.files import read_bytes, redact_uri, suffix

StateDict = dict[str, torch.Tensor]

_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "model_ema")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_SHOWN = 3


def read_state_dict(uri: str, unsafe_pickle: bool = False) -> StateDict:
    """Read a state dict from a ``.safetensors``, ``.pth`` or ``.pt`` file, by path or URI.

    A checkpoint may keep it under a key such as ``state_dict`` or ``model``.

    Raises:
        RayselError: no such file, not a state dict or an empty one, or a pickle that runs code and `unsafe_pickle` was
            not given.
    """
    content, shown = read_bytes(uri, "weights (.safetensors or .pth)"), redact_uri(uri)
    if suffix(uri) == "safetensors":
        state = _from_safetensors(content, shown)
    else:
        state = _state_dict_in(_unpickle(content, shown, unsafe_pickle))
    if not state:
        raise RayselError(
            f"{shown} does not contain a state dict: save a mapping from names to tensors, bare or under 'state_dict'"
        )
    return state


def _from_safetensors(content: bytes, shown: str) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError) as error:
        raise RayselError(f"{shown} is not a safetensors file: {first_line(error)}") from error


def _unpickle(content: bytes, shown: str, unsafe_pickle: bool) -> Any:
    try:
        # torchvision's own training scripts keep their command line in the checkpoint: names and values, no code
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=not unsafe_pickle)
    except pickle.UnpicklingError as error:
        raise RayselError(
            f"{shown} is a pickle that runs code, or not a PyTorch file: save the state dict as .safetensors, "
            "or give --unsafe-pickle if you trust this file like a program"
        ) from error
    except Exception as error:  # a broken archive, or with --unsafe-pickle whatever its code raises
        raise RayselError(f"cannot read the weights {shown}: {first_line(error)}") from error


def _state_dict_in(checkpoint: Any) -> StateDict:
    """The tensors of a checkpoint by name; empty if there are none."""
    if isinstance(checkpoint, nn.Module):
        return dict(checkpoint.state_dict())
    if not isinstance(checkpoint, Mapping):
        return {}
    for key in _KEYS:
        inner = checkpoint.get(key)
        if isinstance(inner, (Mapping, nn.Module)):
            return _state_dict_in(inner)
    return {str(key): value for key, value in checkpoint.items() if isinstance(value, torch.Tensor)}


def fit(module: nn.Module, state: StateDict, source: str) -> None:
    """Copy `state` into `module`; prefixes such as ``module.`` that wrappers leave are removed where that fits.

    Args:
        module: to be filled.
        state: not empty.
        source: path or URI of the weights, for messages.

    Raises:
        RayselError: keys missing, unexpected or of another shape: the first few of each.
    """
    wanted: Any = module.state_dict()
    state = _without_prefix(state, set(wanted))
    # counters of old checkpoints; they take no part in a forward
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = sorted(key for key in state if key not in wanted and not key.endswith("num_batches_tracked"))
    misshapen = [
        f"{key} {list(state[key].shape)} instead of {list(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    if any(faults.values()):
        found = "; ".join(f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in faults.items() if keys)
        raise RayselError(f"the weights in {redact_uri(source)} do not fit the network: {found}")
    fitted = OrderedDict((key, value) for key, value in state.items() if key in wanted)
    fitted._metadata = wanted._metadata  # type: ignore[attr-defined]  # versions of modules, which some check
    module.load_state_dict(fitted, strict=False)


def _without_prefix(state: StateDict, wanted: set[str]) -> StateDict:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state) and not all(key.startswith(prefix) for key in wanted):
            return _without_prefix({key.removeprefix(prefix): value for key, value in state.items()}, wanted)
    return state


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


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
