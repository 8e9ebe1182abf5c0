"""torchvision's classification networks, built without a download, with their published preprocessing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from torch import nn

from raysel.config import Interpolation, NetworkConfig, Preprocessing
from raysel.errors import RayselError, did_you_mean
from raysel.network.importers.importer import (
    RANDOM,
    ImportedNetwork,
    chosen_weights,
    fitted,
    required_weights,
    seeded,
)
from raysel.network.weights import Chosen, StateDict

_TRAINED_ON_OTHER_INPUT = ("googlenet", "inception_v3")
_DENSENET_NORM = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """The network called ``torchvision:NAME``; its weights are a file or the name of published weights."""
    name = config.network.partition(":")[2]
    known = names()
    if name not in known:
        raise RayselError(f"unknown network {config.network}; {did_you_mean(name, known)}")
    weights = required_weights(config)
    chosen = None if weights == RANDOM else _chosen(name, weights, config)
    module = seeded(lambda: build(name, config.network_args, chosen.state if chosen else None))
    notes = (fitted(module, chosen, config),) if chosen else ()
    return ImportedNetwork(module, preprocessing(name, weights), notes=notes)


def names() -> list[str]:
    """The names of all classification networks."""
    from torchvision import models

    return list(models.list_models(module=models))


def build(name: str, arguments: dict[str, Any], state: StateDict | None) -> nn.Module:
    """The network with torchvision's own initialization, ready to receive `state` if there is one.

    GoogLeNet and Inception v3 are built as their published weights need them: with their change of the input's range,
    and with auxiliary heads only if `state` has them. `arguments` override this.
    """
    from torchvision import models

    settings: dict[str, Any] = {"weights": None}
    if name in _TRAINED_ON_OTHER_INPUT:
        has_heads = state is not None and any(".aux" in f".{key.lower()}" for key in state)
        settings |= {"transform_input": True, "aux_logits": has_heads, "init_weights": False}
    try:
        return models.get_model(name, **(settings | arguments))
    except (TypeError, ValueError, RuntimeError) as error:
        raise RayselError(f"torchvision:{name} does not take these --network-args: {error}") from error


def _chosen(name: str, weights: str, config: NetworkConfig) -> Chosen:
    """The weights of a name such as ``IMAGENET1K_V2`` or in a file, with the names that torchvision has today."""
    from torchvision import models

    if weights in models.get_model_weights(name).__members__:
        chosen = Chosen(_published(name, weights), "")
    else:
        chosen = chosen_weights(config, weights)
    if name.startswith("densenet"):  # in old files ``norm1`` is called ``norm.1``
        return replace(chosen, state={_DENSENET_NORM.sub(r"\1\2", key): each for key, each in chosen.state.items()})
    return chosen


def _published(name: str, weights: str) -> StateDict:
    """Published weights, from torch's cache or by a download."""
    from torchvision import models

    try:
        return dict(models.get_model_weights(name)[weights].get_state_dict(progress=False))
    except Exception as error:  # proxies and servers fail in many ways
        raise RayselError(
            f"cannot download torchvision's {name} {weights} ({type(error).__name__}): "
            "download the file by hand and give its path with --weights"
        ) from error


def preprocessing(name: str, weights: str | None) -> Preprocessing:
    """The preprocessing of the published weights called `weights`, or of the default ones for any other name."""
    from torchvision import models

    kinds = models.get_model_weights(name)
    entry = kinds[weights] if weights in kinds.__members__ else kinds.DEFAULT
    transforms = entry.transforms()
    (resize,), (crop,) = transforms.resize_size, transforms.crop_size
    interpolation: Interpolation = transforms.interpolation.value
    return Preprocessing(
        resize=resize,
        crop=(crop, crop),
        interpolation=interpolation,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
