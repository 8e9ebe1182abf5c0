"""What is in a checkpoint: which weights, and which step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysel.checkpoints.checkpoint import STEP_DIGITS
from raysel.config import NetworkConfig
from raysel.files import redact_uri
from raysel.network.weights import choose, read_checkpoint, state_digest

_STEP_KEYS = ("global_step", "step", "iteration", "iter", "epoch")


@dataclass(frozen=True)
class WeightsContent:
    """The content of one version of a checkpoint."""

    digest: str
    """Of the tensors that would be loaded: two files with equal digests give one index."""
    step: int | None
    """The step or epoch that the training loop has written beside them."""


def read_content(uri: str, options: NetworkConfig) -> WeightsContent:
    """Read a checkpoint.

    Args:
        uri: absolute path or URI.
        options: which of its state dicts is meant, and whether a pickle may run code.

    Raises:
        RayselError: it is not there, not complete or not a checkpoint.
    """
    checkpoint = read_checkpoint(uri, options.unsafe_pickle)
    state = choose(checkpoint, redact_uri(uri), options.weights_key).state
    return WeightsContent(state_digest(state), _step_in(checkpoint))


def _step_in(checkpoint: Any) -> int | None:
    if not isinstance(checkpoint, Mapping):
        return None
    numbers = (checkpoint.get(key) for key in _STEP_KEYS)
    return next((each for each in numbers if type(each) is int and 0 <= each < 10**STEP_DIGITS), None)
