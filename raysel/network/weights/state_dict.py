"""The state dict in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from raysel.errors import RayselError, did_you_mean
from raysel.network.weights.pickles import Inert

StateDict = dict[str, torch.Tensor]

_AVERAGED = ("model_ema", "state_dict_ema", "ema_state_dict", "ema")
_TRAINED = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
_DEPTH = 3
_COUNTER = "n_averaged"
"""How many steps torch's AveragedModel has averaged, among its tensors."""


@dataclass(frozen=True)
class Chosen:
    """The state dict of a checkpoint."""

    state: StateDict
    """Not empty."""
    key: str
    """Where it is in the checkpoint, such as ``model`` or ``ema.module``; empty if the checkpoint itself is one."""
    others: tuple[str, ...] = ()
    """Keys of other state dicts that could have been chosen."""

    def __str__(self) -> str:
        """``52 tensors of 'model_ema' (not of 'model': --weights-key chooses)``"""
        where = f" of {self.key!r}" if self.key else ""
        others = " or ".join(map(repr, self.others))
        return f"{len(self.state)} tensors{where}" + (f" (not of {others}: --weights-key chooses)" if others else "")


def choose(checkpoint: Any, shown: str, key: str | None = None) -> Chosen:
    """The state dict at `key`, or the one under a name that training loops use.

    Averaged weights (EMA) come before those of the last step: they are the ones that torchvision's and timm's training
    evaluates.

    Args:
        checkpoint: what `read_checkpoint` returns.
        shown: path or URI of the file, for messages.
        key: where the state dict is; dots lead into mappings.

    Raises:
        RayselError: there is no state dict, or none at `key`.
    """
    if isinstance(checkpoint, nn.Module):
        return Chosen(dict(checkpoint.state_dict()), "")
    found = dict(_state_dicts(checkpoint))
    if key is not None:
        if key not in found:
            known = did_you_mean(key, sorted(filter(None, found)))
            raise RayselError(f"{shown} has no state dict at --weights-key {key!r}; {known}")
        return Chosen(found[key], key)
    keys = [name for name in found if all(part in (*_AVERAGED, *_TRAINED) for part in name.split(".") if part)]
    if not keys and any(isinstance(each, Inert) for each in (checkpoint, *_values(checkpoint))):
        raise RayselError(
            f"{shown} is a pickled object, which runs code to be read: save its state_dict() as .safetensors, or give "
            "--unsafe-pickle if you trust this file like a program"
        )
    if not keys:
        raise RayselError(
            f"{shown} does not contain a state dict: save a mapping from names to tensors, bare or under 'state_dict', "
            "or choose one with --weights-key"
        )
    keys.sort(key=_preference)
    # tensors beside the mappings are numbers of the training loop, such as its best accuracy
    return Chosen(found[keys[0]], keys[0], tuple(each for each in keys[1:] if each))


def _values(checkpoint: Any) -> list[Any]:
    return list(checkpoint.values()) if isinstance(checkpoint, Mapping) else []


def _preference(key: str) -> tuple[int, int]:
    """Averaged weights first, then in the order of the names that training loops use, the checkpoint itself last."""
    first, *_ = key.split(".")
    order = (*_AVERAGED, *_TRAINED, "")
    return (order.index(first), key.count("."))


def _state_dicts(checkpoint: Any, depth: int = _DEPTH) -> Iterator[tuple[str, StateDict]]:
    """(key, state dict) of every mapping that has tensors, from the outside in."""
    if isinstance(checkpoint, nn.Module):
        yield "", dict(checkpoint.state_dict())
        return
    if not isinstance(checkpoint, Mapping):
        return
    tensors = {
        str(key): value for key, value in checkpoint.items() if isinstance(value, torch.Tensor) and key != _COUNTER
    }
    if tensors:
        yield "", tensors
    if depth:
        for name, inner in checkpoint.items():
            for key, state in _state_dicts(inner, depth - 1):
                yield f"{name}.{key}".rstrip("."), state
