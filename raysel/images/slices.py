"""Slices: the unit of reading and of progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from raysel.images.images_list import ImagesList

FEW_SLICES = 64
"""Small sources are cut into about this many, so that parallel workers all get some."""
FEW_IMAGES = 64
"""No slice is cut smaller than this for the sake of `FEW_SLICES`."""


@dataclass(frozen=True)
class Slice:
    """Consecutive images of one shard."""

    number: int
    """Its place in the order of reading, from 0."""
    shard: int
    """Row of `ImagesList.shards`."""
    ids: NDArray[np.int64]
    """Image ids (rows of `ImagesList.images`) in the shard's reading order: by offset, then by id."""


def slices(images: ImagesList, slice_images: int, seed: int) -> list[Slice]:
    """Cut the images into slices and put these into a seeded random order.

    Every image is in exactly one slice. Large sources have slices of up to `slice_images` images. Small ones have
    smaller slices, about 64 in all, of at least 64 images wherever shards and `slice_images` are that large. A
    function of its arguments only: same list, same slices.

    Why random: the floor of the rankings (design sec. 3) rises early only if images come in no order of class.
    """
    shard = images.images.column("shard").to_numpy()
    offset = images.images.column("offset").to_numpy()
    order = np.lexsort((np.arange(len(shard)), offset, shard))
    target = min(slice_images, max(FEW_IMAGES, -(-len(shard) // FEW_SLICES)))
    cuts: list[tuple[int, NDArray[np.int64]]] = []
    first = 0
    for number, count in enumerate(np.bincount(shard, minlength=images.shards.num_rows).tolist()):
        # Rounded down, parts are no smaller than the target; rounded up, no larger than slice_images.
        parts = max(count // target, -(-count // slice_images))
        if parts:
            cuts.extend((number, part) for part in np.array_split(order[first : first + count], parts))
        first += count
    shuffled = np.random.default_rng(seed).permutation(len(cuts))
    return [Slice(place, *cuts[cut]) for place, cut in enumerate(shuffled.tolist())]
