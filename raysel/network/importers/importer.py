"""What an importer is, and what several of them need: a seed and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import nn
from torch.export import ExportedProgram

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.files import redact_uri
from raysel.network.weights import Chosen, choose, fit, read_checkpoint

RANDOM = "random"
"""Value of `NetworkConfig.weights` for an untrained network, initialized with seed 0."""

T = TypeVar("T")


class ImportedNetwork(NamedTuple):
    """A network as its origin gives it, with its weights."""

    module: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()
    """Names of its outputs, if the origin has them."""
    notes: tuple[str, ...] = ()
    """What was read, a line each."""
    program: ExportedProgram | None = None
    """The program that `module` was made from, if the network is one: it has been traced already."""


Importer = Callable[[NetworkConfig], ImportedNetwork]
"""Builds the network that a configuration names and loads its weights.

Raises `RayselError` for an unknown name, wrong arguments, and weights that are missing or do not fit.
"""


def seeded(factory: Callable[[], T]) -> T:
    """Calls `factory` with torch's generator at seed 0, and restores the generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return factory()


def required_weights(config: NetworkConfig) -> str:
    """The name of the weights; fails if `config` has none."""
    if config.weights is None:
        raise RayselError(
            f"{config.network} needs its trained weights: give --weights FILE (.safetensors or .pth), "
            "or --weights random to try it untrained"
        )
    return config.weights


def load_weights(module: nn.Module, config: NetworkConfig) -> tuple[str, ...]:
    """Loads the file of weights that `config` names, if it names one.

    Returns:
        what was read, a line each.
    """
    if config.weights is None or config.weights == RANDOM:
        return ()
    chosen = chosen_weights(config, config.weights)
    return (fitted(module, chosen, config),)


def chosen_weights(config: NetworkConfig, uri: str) -> Chosen:
    """The state dict in a file of weights."""
    return choose(read_checkpoint(uri, config.unsafe_pickle), redact_uri(uri), config.weights_key)


def fitted(module: nn.Module, chosen: Chosen, config: NetworkConfig) -> str:
    """Copies the state dict into the module; returns what was read, in one line."""
    removed = fit(module, chosen.state, str(config.weights), config.weights_prefix)
    return f"read {chosen}{removed} from {redact_uri(str(config.weights))}"
