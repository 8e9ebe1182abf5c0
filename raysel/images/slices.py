"""Slices: the unit of reading and progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from raysel.images.images_list import ImagesList

FEW_SLICES = 64
"""Small sources are divided into about this many, so that every worker gets some."""
GROUP_IMAGES = 64
"""Slices are a multiple of this, which batches of usual sizes divide, so that few forwards are padded. `FEW_SLICES`
does not make slices smaller."""


@dataclass(frozen=True)
class Slice:
    """Consecutive images of one shard."""

    number: int
    """Its position in the order of reading, from 0."""
    shard: int
    """Row of `ImagesList.shards`."""
    ids: NDArray[np.int64]
    """Image ids (rows of `ImagesList.images`) in the shard's reading order: by offset, then by id."""


def slices(images: ImagesList, slice_images: int, seed: int) -> list[Slice]:
    """Divide the images into slices in a seeded random order. The result depends on the arguments only.

    Every image is in exactly one slice. Large sources have slices of up to `slice_images` images. Small sources have
    smaller slices, about 64 in total. All but the last slice of a shard have a multiple of `GROUP_IMAGES` images if
    `slice_images` is that large.

    The order is random because the cutoffs of the rankings rise early only if images are not sorted by class.
    """
    shard = images.images.column("shard").to_numpy()
    offset = images.images.column("offset").to_numpy()
    order = np.lexsort((np.arange(len(shard)), offset, shard))
    target = min(slice_images, max(GROUP_IMAGES, -(-len(shard) // FEW_SLICES)))
    size = max(round(target / GROUP_IMAGES), 1) * GROUP_IMAGES
    if size > slice_images:
        size = max(slice_images // GROUP_IMAGES * GROUP_IMAGES, min(slice_images, GROUP_IMAGES))
    cuts: list[tuple[int, NDArray[np.int64]]] = []
    first = 0
    for number, count in enumerate(np.bincount(shard, minlength=images.shards.num_rows).tolist()):
        cuts.extend((number, order[first:][start : min(start + size, count)]) for start in range(0, count, size))
        first += count
    shuffled = np.random.default_rng(seed).permutation(len(cuts))
    return [Slice(place, *cuts[cut]) for place, cut in enumerate(shuffled.tolist())]
