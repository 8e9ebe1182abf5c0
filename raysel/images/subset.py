"""A part of a source, chosen by the images' keys alone: the same on every machine, however the source is divided."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.images.images_list import ImagesList

_WHOLE = 1 << 64


def subset(images: ImagesList, limit: int | None = None, sample: float | None = None) -> ImagesList:
    """The images whose keys have the smallest hashes, with new ids in order of their keys.

    So a smaller subset is part of every larger one, and `limit` takes images of all classes, not the first ones. The
    list's digest depends on the keys in it; its shards do not change. Faults are chosen like images.

    Args:
        images: the list of the whole source.
        limit: largest number of images; None: no limit.
        sample: approximate share of the images, in (0, 1]; None: all. Applied before `limit`.

    Raises:
        RayselError: a limit below 1, a share outside of its range, or no image left.
    """
    if limit is not None and limit < 1:
        raise RayselError(f"a limit of {limit} images: give 1 or more")
    if sample is not None and not 0 < sample <= 1:
        raise RayselError(f"a sample of {sample:g}: give a share above 0, up to 1")
    last = _WHOLE - 1 if sample is None else min(_WHOLE - 1, int(sample * _WHOLE))
    if last == _WHOLE - 1 and (limit is None or limit >= images.images.num_rows):
        return images
    hashes = _hashes(images.images["key"])
    chosen = np.flatnonzero(hashes <= np.uint64(last))
    if not len(chosen):
        raise RayselError(f"a sample of {sample:g} of {len(hashes):,} images contains none: give a larger one")
    if limit is not None and limit < len(chosen):
        last = int(np.partition(hashes[chosen], limit - 1)[limit - 1])
        chosen = np.flatnonzero(hashes <= np.uint64(last))[:limit]
    rows = images.images.take(pa.array(chosen)).combine_chunks()
    rows = rows.set_column(0, images.images.schema.field("id"), pa.array(np.arange(len(chosen))))
    faults = images.faults.filter(pa.array(_hashes(images.faults["key"]) <= np.uint64(last)))
    return replace(images, images=rows, faults=faults)


def _hashes(keys: pa.ChunkedArray) -> NDArray[np.uint64]:
    """uint64[n]: the first 8 bytes of each key's BLAKE2b."""
    digests = (hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys.to_pylist())
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
