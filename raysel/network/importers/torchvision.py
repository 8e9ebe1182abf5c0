"""torchvision's classification networks, built without a download, with their published weights' preprocessing."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from raysel.config import Interpolation, Preprocessing
from raysel.errors import RayselError
from raysel.network.weights import StateDict

_TRAINED_ON_OTHER_INPUT = ("googlenet", "inception_v3")
_DENSENET_NORM = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def names() -> list[str]:
    """Names that ``torchvision:NAME`` accepts."""
    from torchvision import models

    return list(models.list_models(module=models))


def build(name: str, arguments: dict[str, Any], state: StateDict | None) -> nn.Module:
    """The network with torchvision's own initialisation, fit to receive `state` where there is one.

    GoogLeNet and Inception v3 are built as their published weights need them: with their change of input range, and
    with auxiliary heads only if `state` has them. `arguments` go before.
    """
    from torchvision import models

    settings: dict[str, Any] = {"weights": None}
    if name in _TRAINED_ON_OTHER_INPUT:
        has_heads = state is not None and any(key.lower().removeprefix("module.").startswith("aux") for key in state)
        settings |= {"transform_input": True, "aux_logits": has_heads, "init_weights": False}
    try:
        return models.get_model(name, **(settings | arguments))
    except (TypeError, ValueError) as error:
        raise RayselError(f"torchvision:{name} does not take these --network-args: {error}") from error


def is_weights_name(name: str, weights: str) -> bool:
    """True for the name of published weights, such as ``IMAGENET1K_V2``."""
    from torchvision import models

    return weights in models.get_model_weights(name).__members__


def published_weights(name: str, weights: str) -> StateDict:
    """Downloads published weights, or takes them from torch's cache.

    Raises:
        RayselError: neither is there.
    """
    from torchvision import models

    try:
        state = models.get_model_weights(name)[weights].get_state_dict(progress=False)
    except Exception as error:  # whatever the network in between does
        raise RayselError(
            f"cannot download torchvision's {name} {weights} ({type(error).__name__}): "
            "download the file by hand and give its path with --weights"
        ) from error
    return dict(state)


def renamed(name: str, state: StateDict) -> StateDict:
    """Old published DenseNet files name their layers ``norm.1``, which torchvision now calls ``norm1``."""
    if not name.startswith("densenet"):
        return state
    return {_DENSENET_NORM.sub(r"\1\2", key): value for key, value in state.items()}


def preprocessing(name: str, weights: str | None) -> Preprocessing:
    """What the published weights were evaluated with: those called `weights`, else the default ones."""
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
