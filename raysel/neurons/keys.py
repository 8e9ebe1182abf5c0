"""One 64-bit key per (activation, image): ascending keys are a ranking's order.

The high half falls with the activation, the low half is ``mix32(image id)``: so one integer sort ranks by activation,
highest first, and breaks ties by a fixed shuffle of the images (design, sec. 1: ReLU6 networks have hundreds of images
at exactly 6.0, and ties by file order would be ties by class). Both halves can be read back.

A key has room for 2**32 image ids, so an index holds at most `MAX_IMAGES` images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
"""The key of no entry. It follows every real key: a real key's high half is below 2**31, since activations are > 0."""

MAX_IMAGES = 1 << 32
"""The low half of a key can number this many images."""

_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
_INVERSES = tuple(pow(multiplier, -1, 1 << 32) for multiplier in _MULTIPLIERS)
_LOW = np.uint64(0xFFFF_FFFF)
_HALF = np.uint64(32)
_POSITIVE = np.uint32(0x7FFF_FFFF)


def mix32(ids: NDArray[np.integer]) -> NDArray[np.uint32]:
    """A fixed bijection of 32 bits that scatters neighbouring ids (multiply and xor-shift with published constants).

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


def ranks(activations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which activations may enter a ranking: finite and above zero (design, sec. 1)."""
    return np.isfinite(activations) & (activations > 0)


def pack(activations: NDArray[np.float32], ids: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Keys of (activation, image id) pairs.

    Args:
        activations: float32, finite and > 0 (see `ranks`): their bits, read as an integer, rise with the value.
        ids: integers in [0, 2**32), broadcast against `activations`.

    Returns:
        uint64: smaller means earlier in the ranking.
    """
    falling = _POSITIVE - np.ascontiguousarray(activations, dtype=np.float32).view(np.uint32)
    return (falling.astype(np.uint64) << _HALF) | mix32(ids).astype(np.uint64)


def activations_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The activations in `keys`, float32; 0 where a key is EMPTY."""
    falling = (keys >> _HALF).astype(np.uint32)
    return np.where(keys == EMPTY, np.uint32(0), _POSITIVE - falling).astype(np.uint32).view(np.float32)


def mixed_ids_of(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The mixed image ids in `keys`, uint32; all ones where a key is EMPTY."""
    return (keys & _LOW).astype(np.uint32)


def ids_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The image ids in `keys`, int64; -1 where a key is EMPTY."""
    ids = unmix32(mixed_ids_of(keys)).astype(np.int64)
    ids[keys == EMPTY] = -1
    return ids
