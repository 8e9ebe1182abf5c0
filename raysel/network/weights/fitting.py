"""A state dict copied into a module."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Any

from torch import nn

from raysel.errors import RayselError
from raysel.files import redact_uri
from raysel.network.weights.state_dict import StateDict

_SHOWN = 3


def fit(module: nn.Module, state: StateDict, source: str, prefix: str | None = None) -> str:
    """Copy `state` into `module`.

    Wrappers put prefixes such as ``module.`` before the names of tensors. The prefix with which most names fit is
    removed, and tensors without it are left out.

    Args:
        module: to be filled.
        state: not empty.
        source: path or URI of the weights, for messages.
        prefix: the prefix to remove in place of the one found.

    Returns:
        the prefix that was removed and what was left out, for a message; empty if nothing was.

    Raises:
        RayselError: several prefixes fit, none of the tensors has `prefix`, or keys are missing, unexpected or of
            another shape: the first few of each.
    """
    wanted: Any = module.state_dict()
    if prefix is None:
        prefix = _fitting_prefix(state, wanted.keys(), source)
    named = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not named:
        raise RayselError(
            f"no tensor in {redact_uri(source)} has the prefix {prefix!r}: --weights-prefix is one of "
            + _some(sorted({key.partition(".")[0] + "." for key in state}))
        )
    _check(named, wanted, source)
    fitted = OrderedDict((key, value) for key, value in named.items() if key in wanted)
    fitted._metadata = wanted._metadata  # type: ignore[attr-defined]  # versions of modules, which some check
    module.load_state_dict(fitted, strict=False)
    left_out = f", {len(state) - len(named)} others left out" if len(state) > len(named) else ""
    return f" with prefix {prefix!r}{left_out}" if prefix else ""


def _fitting_prefix(state: StateDict, wanted: Iterable[str], source: str) -> str:
    """The prefix that gives most of the wanted names; empty if the names fit as they are, or none of them does."""
    names, counts = set(wanted), Counter[str]()
    for key in state:
        parts = key.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in names:
                counts["".join(f"{part}." for part in parts[:depth])] += 1
    best = sorted(prefix for prefix, count in counts.items() if count == max(counts.values()))
    if len(best) > 1 and "" not in best:
        raise RayselError(
            f"the network fits several sets of weights in {redact_uri(source)}: choose one with --weights-prefix, "
            + _some(best)
        )
    return best[0] if best else ""  # the empty one sorts first


def _check(state: StateDict, wanted: StateDict, source: str) -> None:
    # counters of old checkpoints take no part in a forward
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


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
