"""Chooses the importer of a network by the network's name."""

from __future__ import annotations

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.files import redact_uri, suffix
from raysel.network.importers import chatfield, factory, matconvnet, timm, torch_export, torchvision
from raysel.network.importers.importer import ImportedNetwork, Importer

_BY_PREFIX: dict[str, Importer] = {
    "torchvision": torchvision.import_network,
    "timm": timm.import_network,
    "chatfield": chatfield.import_network,
}
_BY_SUFFIX: dict[str, Importer] = {"pt2": torch_export.import_network, "mat": matconvnet.import_network}
"""Files that hold a network with its weights."""


def import_network(config: NetworkConfig) -> ImportedNetwork:
    """The network that `config` names, in eval mode, with its weights and its own preprocessing.

    Raises:
        RayselError: the network is unknown, its factory fails, or its weights are missing or do not fit.
    """
    _refuse_caffe_models(config)
    imported = _importer(config)(config)
    if imported.program is None:  # a program was exported in one mode, and keeps it
        imported.module.eval()
    return imported


def _importer(config: NetworkConfig) -> Importer:
    if importer := _BY_SUFFIX.get(suffix(config.network)):
        if config.weights is not None:
            raise RayselError(f"{redact_uri(config.network)} holds its own weights: leave --weights out")
        return importer
    prefix, _, name = config.network.partition(":")
    if not prefix or not name or "://" in config.network:
        raise RayselError(
            f"unknown network {redact_uri(config.network)!r}: give torchvision:NAME, timm:NAME, chatfield:vgg-m, "
            "package.module:factory or a .pt2 or .mat file"
        )
    return _BY_PREFIX.get(prefix, factory.import_network)


def _refuse_caffe_models(config: NetworkConfig) -> None:
    for name in (config.network, config.weights or ""):
        if suffix(name) == "caffemodel":
            raise RayselError(
                f"raysel does not read Caffe models such as {redact_uri(name)}: give the authors' .mat file, "
                "or convert the weights to .safetensors"
            )
