"""The receptive fields that crops are cut to: what positions can see, or what they effectively see."""

from __future__ import annotations

import uuid
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.config import DeriveConfig
from raysel.images import ImagesList, Source
from raysel.network import Network, Tap, effective_receptive_fields
from raysel.pipeline.derive.inputs import Inputs
from raysel.pipeline.progress import Reporter
from raysel.pipeline.scan.state import RunningState

IMAGES = 64
"""Images over which the gradient is averaged (design, sec. 2)."""
SEED = 0
"""Of their choice, and of the signs that sum over channels."""


def with_crop_fields(
    config: DeriveConfig,
    source: Source,
    images: ImagesList,
    network: Network,
    state: RunningState,
    reporter: Reporter,
) -> tuple[Tap, ...]:
    """The network's taps with the fields that derive cuts to: the theoretical ones, or the effective ones.

    Args:
        config: says which.
        source: of the images.
        images: the list.
        network: with its theoretical fields.
        state: after the scan: which images could be decoded.
        reporter: is told, as gradients take their time.
    """
    if config.receptive_field == "theoretical":
        return network.taps
    ids = chosen_images(len(images.images), state)
    inputs = Inputs.of(source, network.preprocessing, images, ids, 0.0, uuid.uuid4().hex)
    with reporter.stage("fields", "images", len(ids)) as stage:
        pixels, _, _ = inputs.gather(ids)
        fields = effective_receptive_fields(network, torch.from_numpy(pixels), seed=SEED)
        stage.advance(len(ids))
    return tuple(replace(tap, receptive_field=field) for tap, field in zip(network.taps, fields, strict=True))


def chosen_images(count: int, state: RunningState) -> NDArray[np.int64]:
    """Ascending ids of the first `IMAGES` of a seeded permutation of the source's `count` images, bad ones left out."""
    good = (each for each in np.random.default_rng(SEED).permutation(count).tolist() if each not in state.quarantine)
    return np.sort(np.fromiter(islice(good, IMAGES), np.int64))
