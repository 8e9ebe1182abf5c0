"""Files of weights, by path or URI."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import torch

from raysel.errors import RayselError, first_line
from raysel.files import join_uri, read_bytes, redact_uri, split_uri, suffix
from raysel.network.weights.pickles import unpickle

_WHAT = "weights (.safetensors or .pth)"


def read_checkpoint(uri: str, unsafe_pickle: bool = False) -> Any:
    """The content of a file of weights: tensors by name, or what a training loop saved around them.

    A name that ends in ``.safetensors`` or ``.safetensors.index.json`` (several files with their table of names) is
    read as such, any other one as a file of ``torch.save``.

    Args:
        uri: path or URI.
        unsafe_pickle: run the code of a pickle.

    Raises:
        RayselError: no such file, not a file of weights, or a pickle that needs to run code and `unsafe_pickle` was
            not given.
    """
    shown = redact_uri(uri)
    if suffix(uri) == "safetensors":
        return _from_safetensors(read_bytes(uri, _WHAT), shown)
    if suffix(uri) == "json":
        return _from_several(uri, shown)
    return _unpickled(read_bytes(uri, _WHAT), shown, unsafe_pickle)


def _from_safetensors(content: bytes, shown: str) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError) as error:
        raise RayselError(f"{shown} is not a safetensors file: {first_line(error)}") from error


def _from_several(uri: str, shown: str) -> dict[str, torch.Tensor]:
    folder, _ = split_uri(uri)
    try:
        files: dict[str, str] = json.loads(read_bytes(uri, _WHAT))["weight_map"]
        names = sorted(set(files.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RayselError(f"{shown} is not an index of safetensors: it has no 'weight_map'") from error
    state: dict[str, torch.Tensor] = {}
    for name in names:
        if "/" in name or suffix(name) != "safetensors":
            raise RayselError(f"{shown} names {name!r}, which is not a .safetensors file beside it")
        part = join_uri(folder, name)
        state |= _from_safetensors(read_bytes(part, _WHAT), redact_uri(part))
    missing = sorted(files.keys() - state.keys())
    if missing:
        raise RayselError(f"{shown} names {missing[0]}, which is not in {files[missing[0]]}: download all files again")
    return {key: state[key] for key in files}


def _unpickled(content: bytes, shown: str, unsafe_pickle: bool) -> Any:
    if not content:
        raise RayselError(f"the weights {shown} are an empty file: copy or save them again")
    try:
        if unsafe_pickle:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
        return unpickle(content)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):  # an instruction of pickle's protocols 4 and 5
            raise RayselError(
                f"{shown} has a pickle that torch reads only by running its code ({first_line(error)}): save it again "
                "with torch.save, without pickle_protocol, or as .safetensors"
            ) from error
        raise RayselError(
            f"{shown} is a pickle that runs code, or not a PyTorch file: save the state dict as .safetensors, "
            "or give --unsafe-pickle if you trust this file like a program"
        ) from error
    except Exception as error:  # a broken archive, or with unsafe_pickle whatever its code raises
        raise RayselError(f"cannot read the weights {shown}: {first_line(error)}") from error
