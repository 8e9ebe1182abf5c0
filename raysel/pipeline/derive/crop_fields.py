"""The receptive fields that crops are cut to: what positions can see, locally or at all, or effectively see."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from raysel.neurons import ReceptiveField, Tap
from raysel.pipeline.context import Run
from raysel.pipeline.derive.inputs import Inputs
from raysel.pipeline.scan.state import RunningState

IMAGES = 64
"""Images over which the gradient is averaged."""
SEED = 0
"""Seed of the choice of images, and of the signs that sum over channels."""


def with_crop_fields(run: Run, state: RunningState) -> tuple[Tap, ...]:
    """The network's taps with the fields that crops are cut to, as configured.

    Args:
        run: whose network has the theoretical fields, and the effective ones if they are known already.
        state: after the scan, which knows the images that cannot be decoded.
    """
    taps = run.network.taps
    kind = run.config.derive.receptive_field
    if kind == "effective":
        fields = run.network.effective or _effective_fields(run, state)
    else:
        fields = tuple(tap.crop_field(kind) for tap in taps)
    return tuple(
        tap if field is tap.receptive_field else replace(tap, receptive_field=field)
        for tap, field in zip(taps, fields, strict=True)
    )


def _effective_fields(run: Run, state: RunningState) -> tuple[ReceptiveField, ...]:
    import torch  # with the network, the only reason for which derive may need it

    from raysel.network import effective_receptive_fields

    ids = chosen_images(len(run.images.images), state)
    inputs = Inputs.of(run.source, run.network.preprocessing, run.images, ids, 0.0)
    with run.reporter.stage("fields", "images", len(ids)) as stage:
        pixels, _, _ = inputs.gather(ids)
        fields = effective_receptive_fields(run.load(), torch.from_numpy(pixels), seed=SEED)
        stage.advance(len(ids))
    return fields


def chosen_images(count: int, state: RunningState) -> NDArray[np.int64]:
    """Ascending ids of the first `IMAGES` good images of a seeded permutation of the source's `count` images."""
    good = (each for each in np.random.default_rng(SEED).permutation(count).tolist() if each not in state.quarantine)
    return np.sort(np.fromiter(islice(good, IMAGES), np.int64))
