"""Decoded images on a machine's own disk, in one memory-mapped file that all processes of the machine share."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHARE_OF_FREE = 0.8
"""At most this share of a disk's free space is used: Ray and files on their way to a store need some as well."""


@dataclass(frozen=True)
class InputCache:
    """The mapped file. Two processes may write one image at once: they write the same pixels."""

    present: NDArray[np.uint8]
    """[places], 1 where the image is there."""
    pixels: NDArray[np.uint8]
    """[places, H, W, 3], RGB."""

    @classmethod
    def open(cls, folder: Path, most: int, size: tuple[int, int]) -> InputCache:
        """The cache of this machine; the first process to open it decides how many images have a place.

        Its space is reserved: a mapped file that outgrows its disk would end the process.

        Args:
            folder: the cache's own; it is made.
            most: images that have a place where the disk has the space. Fewer do where it has less, none where it
                cannot be written to.
            size: (height, width) of an image.
        """
        empty = cls(np.zeros(0, np.uint8), np.zeros((0, *size, 3), np.uint8))
        each = 1 + size[0] * size[1] * 3
        if not most:
            return empty
        try:
            path = folder / "inputs"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "guard").open("w") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)
                if not path.exists():
                    _reserve(path, most, each)
            places = path.stat().st_size // each
            if not places:
                return empty
            mapped = np.memmap(path, np.uint8, "r+")
        except OSError:
            return empty
        return cls(mapped[:places], mapped[places:].reshape(places, *size, 3))


def _reserve(path: Path, most: int, each: int) -> None:
    """Make a file of zeros for as many images of `each` bytes as the disk has space for."""
    places = min(most, int(shutil.disk_usage(path.parent).free * SHARE_OF_FREE) // each)
    draft = path.with_name("draft")
    with draft.open("wb") as file:
        while places:
            try:
                _allocate(file.fileno(), places * each)
                break
            except OSError:  # a quota, a limit on a file's size, or others were faster
                places //= 2
                file.truncate(0)
    draft.rename(path)


def _allocate(file: int, length: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, length)
    else:  # macOS
        os.truncate(file, length)
