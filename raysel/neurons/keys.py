"""One 64-bit key per activation and image: sorted by ascending key, images are in the order of a ranking.

The high half of a key falls as the activation rises, and the low half is `mix32` of the image id. One integer sort
therefore ranks by activation, highest first, and breaks ties by a fixed shuffle of the images. Ties are common: with
ReLU6, hundreds of images have exactly 6.0, and breaking ties by image id would favor the first classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
"""Key of an empty entry. It follows every other key: activations are > 0, so that their high halves are below 2**31."""

MAX_IMAGES = 1 << 32
"""The low half of a key can number this many images."""

_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
_INVERSES = tuple(pow(multiplier, -1, 1 << 32) for multiplier in _MULTIPLIERS)
_LOW = np.uint64(0xFFFF_FFFF)
_HALF = np.uint64(32)
_POSITIVE = np.uint32(0x7FFF_FFFF)


def mix32(ids: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Scatter image ids by the bijection lowbias32.

    Args:
        ids: integers in [0, 2**32), any shape.

    Returns:
        uint32, same shape.
    """
    x = ids.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(_MULTIPLIERS[0])
    x ^= x >> np.uint32(15)
    x *= np.uint32(_MULTIPLIERS[1])
    x ^= x >> np.uint32(16)
    return x


def unmix32(mixed: NDArray[np.integer]) -> NDArray[np.uint32]:
    """The inverse of `mix32`."""
    x = mixed.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(_INVERSES[1])
    x ^= (x >> np.uint32(15)) ^ (x >> np.uint32(30))
    x *= np.uint32(_INVERSES[0])
    x ^= x >> np.uint32(16)
    return x


def can_rank(activations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True for activations that may enter a ranking: finite and above zero."""
    return np.isfinite(activations) & (activations > 0)


def candidate_keys(activations: NDArray[np.float32], ids: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Keys of pairs of activation and image id.

    Args:
        activations: float32, all of which satisfy `can_rank`. Their bits, read as integers, rise with their values.
        ids: integers in [0, 2**32), broadcast against `activations`.

    Returns:
        uint64; a smaller key is earlier in the ranking.
    """
    falling = _POSITIVE - np.ascontiguousarray(activations, dtype=np.float32).view(np.uint32)
    return (falling.astype(np.uint64) << _HALF) | mix32(ids).astype(np.uint64)


def activations_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The activations in `keys`, float32 of the same shape; 0 where a key is EMPTY."""
    falling = (keys >> _HALF).astype(np.uint32)
    return np.where(keys == EMPTY, np.uint32(0), _POSITIVE - falling).astype(np.uint32).view(np.float32)


def mixed_ids_of(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The mixed image ids in `keys`, uint32 of the same shape; all ones where a key is EMPTY."""
    return (keys & _LOW).astype(np.uint32)


def ids_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The image ids in `keys`, int64 of the same shape; -1 where a key is EMPTY."""
    ids = unmix32(mixed_ids_of(keys)).astype(np.int64)
    ids[keys == EMPTY] = -1
    return ids
