"""The demo's run: its images, its network, the layers that it looks at."""

from __future__ import annotations

from pathlib import Path

from raysel.config import NetworkConfig, RunConfig, SourceConfig
from raysel.demo.efficientnet import pretrained_weights
from raysel.demo.photographs import make_demo_shards

LAYERS = (
    "_conv_stem",
    "_blocks.1._depthwise_conv",
    "_blocks.3._expand_conv",
    "_blocks.4._expand_conv",
    "_blocks.5._depthwise_conv",
    "_conv_head",
)
"""2,032 neurons: receptive fields of 3, 11, 19, 35 and 83 px, which show something, and the deepest layer."""


def demo_config(folder: Path) -> RunConfig:
    """The run over the demo's images, which are made below `folder` if they are not there."""
    return RunConfig(
        out=str(folder / "index"),
        replace=True,  # the folder is the demo's own; an older raysel may have filled it
        source=SourceConfig(images=str(make_demo_shards(folder))),
        network=NetworkConfig(
            network="raysel.demo.efficientnet:efficientnet_lite0", weights=pretrained_weights(), layers=LAYERS
        ),
    )
