"""Shape: the pixels of the crop in random order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysel.interventions.intervention import Intervention, Pixels


def shuffled(pixels: Pixels, seed: Sequence[int]) -> Pixels:
    """The same pixels, permuted at random by `seed`."""
    height, width, _ = pixels.shape
    order = np.random.default_rng(list(seed)).permutation(height * width)
    return pixels.reshape(height * width, 3)[order].reshape(1, height, width, 3)


INTERVENTION = Intervention(
    "shape",
    whole_image=False,
    variants=1,
    transform=shuffled,
    about_index="Share of the activation that is lost if the crop's pixels are shuffled; null if not asked for",
)
