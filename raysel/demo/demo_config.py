"""The configuration of the demo: its images, its network and its layers."""

from __future__ import annotations

from pathlib import Path

from raysel.config import NetworkConfig, RunConfig, SourceConfig
from raysel.demo.efficientnet_lite import pretrained_weights
from raysel.demo.photographs import make_demo_shards

LAYERS = (
    "_conv_stem",
    "_blocks.1._depthwise_conv",
    "_blocks.3._expand_conv",
    "_blocks.4._expand_conv",
    "_blocks.5._depthwise_conv",
    "_conv_head",
)
"""2,032 neurons: layers with receptive fields of 3, 11, 19, 35 and 83 px, and the deepest layer."""


def demo_config(folder: Path) -> RunConfig:
    """Configuration of the demo in `folder`, where its images are made if they do not exist."""
    return RunConfig(
        out=str(folder / "index"),
        replace=True,  # the folder is the demo's own, and may hold an index of an older raysel
        source=SourceConfig(images=str(make_demo_shards(folder))),
        network=NetworkConfig(
            network="raysel.demo.efficientnet_lite:efficientnet_lite0", weights=pretrained_weights(), layers=LAYERS
        ),
    )
