"""timm's networks, built without a download, with the preprocessing of their published weights."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError, did_you_mean, type_and_first_line
from raysel.network.importers.importer import ImportedNetwork, load_weights, required_weights, seeded


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """The network called ``timm:NAME`` or ``timm:NAME.TAG``; its weights are a file as timm publishes it.

    The tag, such as ``a1_in1k``, chooses the published weights whose preprocessing is used.
    """
    name = config.network.partition(":")[2]
    known = names()
    if name not in known:
        raise RayselError(f"unknown network {config.network}; {did_you_mean(name, known)}")
    required_weights(config)
    module = seeded(lambda: build(name, config.network_args))
    notes = load_weights(module, config)
    return ImportedNetwork(module, config.preprocessing or preprocessing(module, config.network), notes=notes)


def names() -> set[str]:
    """The names of all networks, bare and with each tag of their published weights."""
    return {*_timm().list_models(), *_timm().list_pretrained()}


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """The network with timm's own initialization."""
    try:
        module: nn.Module = _timm().create_model(name, pretrained=False, **arguments)
    except Exception as error:  # the network's code can raise anything
        raise RayselError(f"timm:{name} does not take these --network-args: {type_and_first_line(error)}") from error
    return module


def preprocessing(module: nn.Module, network: str) -> Preprocessing:
    """timm's own preprocessing for evaluation of a module that timm built.

    Raises:
        RayselError: it pads the image with a color, or keeps the aspect of the image for a network with another aspect.
    """
    data = _timm().data.resolve_model_data_config(module)
    _, height, width = data["input_size"]
    rows, columns = (math.floor(side / data["crop_pct"]) for side in (height, width))
    squashed = data["crop_mode"] == "squash"
    if not squashed and (data["crop_mode"] != "center" or rows != columns):
        raise RayselError(
            f"{network}: raysel has no equivalent of timm's crop_mode {data['crop_mode']!r} for {height} x {width} "
            "pixels: give --preprocessing FILE.toml"
        )
    return Preprocessing(
        resize=(rows, columns) if squashed else rows,
        crop=(height, width),
        interpolation=data["interpolation"],
        mean=data["mean"],
        std=data["std"],
    )


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise RayselError("networks of timm need another package: pip install 'raysel[timm]'") from error
    return timm
