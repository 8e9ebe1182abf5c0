"""Gray: the luma of the whole image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysel.interventions.intervention import Intervention, Pixels

_LUMA = np.array([0.299, 0.587, 0.114])


def gray(pixels: Pixels, _seed: Sequence[int] = ()) -> Pixels:
    """Each pixel as ``0.299 R + 0.587 G + 0.114 B`` in all three channels, rounded."""
    luma = np.rint(pixels @ _LUMA).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=-1)[None]


INTERVENTION = Intervention(
    "gray",
    whole_image=True,
    variants=1,
    transform=gray,
    about_index="Share of the activation that is lost over gray images; null if not asked for",
)
