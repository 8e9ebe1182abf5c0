"""A network's configuration that is valid in any working directory: workers of a running cluster have their own."""

from __future__ import annotations

from dataclasses import replace

from raysel.config import NetworkConfig
from raysel.files import absolute_if_exists
from raysel.network.importers.finding import RANDOM


def with_absolute_paths(config: NetworkConfig) -> NetworkConfig:
    """The configuration with absolute paths of the local files that it names."""
    preprocessing = config.preprocessing
    if preprocessing is not None:
        average = preprocessing.average_image and absolute_if_exists(preprocessing.average_image)
        preprocessing = replace(preprocessing, average_image=average)
    weights = config.weights and (config.weights if config.weights == RANDOM else absolute_if_exists(config.weights))
    return replace(config, network=absolute_if_exists(config.network), weights=weights, preprocessing=preprocessing)
