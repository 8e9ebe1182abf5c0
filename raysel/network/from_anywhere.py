"""A network's configuration that holds in any folder: workers of a cluster that runs already are in others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from raysel.config import NetworkConfig
from raysel.network.importers.finding import RANDOM


def with_absolute_paths(config: NetworkConfig) -> NetworkConfig:
    """`config` with the local files that it names by their absolute paths."""
    preprocessing = config.preprocessing
    if preprocessing is not None:
        preprocessing = replace(preprocessing, average_image=_absolute(preprocessing.average_image))
    weights = config.weights if config.weights == RANDOM else _absolute(config.weights)
    return replace(
        config, network=_absolute(config.network) or config.network, weights=weights, preprocessing=preprocessing
    )


def _absolute(name: str | None) -> str | None:
    """The absolute path of a local file; what is none, such as a URI or a network's name, as it is."""
    if name is None or "://" in name or not Path(name).is_file():
        return name
    return str(Path(name).absolute())
