"""Weights are data: reading state dicts, fitting them to a module, and their digest."""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from pyarrow import fs
from torch import nn

from raysel.errors import RayselError

StateDict = dict[str, torch.Tensor]

_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "model_ema")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_SHOWN = 3


def read_state_dict(uri: str, unsafe_pickle: bool = False) -> StateDict:
    """Reads a state dict from a ``.safetensors``, ``.pth`` or ``.pt`` file, local or by URI.

    A checkpoint that keeps it under a key such as ``state_dict`` or ``model`` is opened.

    Raises:
        RayselError: no such file, not a state dict, or a pickle that needs code and `unsafe_pickle` was not given.
    """
    content = opened(uri)
    if uri.endswith(".safetensors"):
        return _read_safetensors(content, uri)
    return _state_dict_in(_unpickle(content, uri, unsafe_pickle), uri)


def opened(uri: str, what: str = "weights") -> str | bytes:
    """A local path as it is, or the bytes of what lies elsewhere."""
    if "://" not in uri:
        if not Path(uri).is_file():
            hint = ": give --weights a .safetensors or .pth file" if what == "weights" else ""
            raise RayselError(f"no {what} at {uri}{hint}")
        return uri
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())
    except (OSError, ValueError) as error:
        raise RayselError(f"cannot read the {what} at {uri.split('?')[0]}: {_line(error)}") from error


def _read_safetensors(content: str | bytes, uri: str) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        return load(content) if isinstance(content, bytes) else load_file(content)
    except (SafetensorError, ValueError, OSError) as error:
        raise RayselError(f"{uri} is not a safetensors file: {_line(error)}") from error


def _unpickle(content: str | bytes, uri: str, unsafe_pickle: bool) -> Any:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        if unsafe_pickle:
            return torch.load(file, map_location="cpu", weights_only=False)
        # torchvision's own training scripts keep their command line in the checkpoint: names and values, no code
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RayselError(
            f"{uri} is a pickle that needs to run code, or no PyTorch file: save the state dict as .safetensors, "
            "or give --unsafe-pickle if you trust this file like a program"
        ) from error
    except Exception as error:  # a broken archive, or with --unsafe-pickle whatever its code raises
        raise RayselError(f"cannot read the weights in {uri}: {_line(error)}") from error


def _state_dict_in(checkpoint: Any, uri: str) -> StateDict:
    if isinstance(checkpoint, nn.Module):
        return dict(checkpoint.state_dict())
    if isinstance(checkpoint, Mapping):
        for key in _KEYS:
            inner = checkpoint.get(key)
            if isinstance(inner, (Mapping, nn.Module)):
                return _state_dict_in(inner, uri)
        tensors = {str(key): value for key, value in checkpoint.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise RayselError(
        f"{uri} holds no state dict: a mapping from names to tensors, bare or under 'state_dict', 'model' or the like"
    )


def fit(module: nn.Module, state: StateDict, source: str) -> None:
    """Copies `state` into `module`; prefixes such as ``module.`` that wrappers leave are taken off where that fits.

    Raises:
        RayselError: keys missing, unexpected or of another shape: the first few of each.
    """
    wanted = module.state_dict()
    state = _without_prefix(state, set(wanted))
    # counters of old checkpoints; they take no part in a forward
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted and not key.endswith("num_batches_tracked")]
    misshapen = [
        f"{key} {list(state[key].shape)} instead of {list(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    if any(faults.values()):
        told = "; ".join(f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in faults.items() if keys)
        raise RayselError(f"the weights in {source} do not fit the network: {told}")
    module.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)


def _without_prefix(state: StateDict, wanted: set[str]) -> StateDict:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state) and not all(key.startswith(prefix) for key in wanted):
            return _without_prefix({key.removeprefix(prefix): value for key, value in state.items()}, wanted)
    return state


def digest(module: nn.Module, average: NDArray | None = None) -> str:
    """sha256 (hex) over names, dtypes, shapes and bytes of the state dict, in order of the names, and of an average
    image if there is one."""
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


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
