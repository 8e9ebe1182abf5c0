"""Decoded inputs on a machine's own disk: each image that derive needs is decoded once per machine, and memory-mapped.

The file fills itself. Tasks that fill it ahead run beside each other; a task that finds an image missing (its machine
came late, or lost its disk) decodes it and leaves it for the others. Two may do so at once: they write the same pixels.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.config import Preprocessing
from raysel.images import ImagesList, Source, decode

BYTES_PER_GB = 1 << 30
_PREFIX = "raysel-inputs-"
_LEFT_S = 24 * 3600.0


@dataclass
class Tally:
    """What reading and decoding has cost."""

    fetched: int = 0
    """Images whose bytes were read."""
    decoded: int = 0
    bytes_read: int = 0

    def add(self, other: Tally) -> None:
        """Take another's cost along."""
        self.fetched += other.fetched
        self.decoded += other.decoded
        self.bytes_read += other.bytes_read


@dataclass(frozen=True)
class Inputs:
    """The images that derive needs, as the network sees them. It travels; the pixels stay on each machine."""

    source: Source
    preprocessing: Preprocessing
    ids: NDArray[np.int64]
    """Ascending ids of all images needed."""
    locators: pa.Table
    """A row per id: key, shard (its name), offset, length, etag of the shard."""
    kept: int
    """The first so many of `ids` have a place on disk; the others are decoded whenever they are wanted."""
    folder: str
    """Where the file lies, the same on every machine."""

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: self.__dict__[field.name] for field in fields(self)}  # the open maps stay here

    @classmethod
    def of(
        cls,
        source: Source,
        preprocessing: Preprocessing,
        images: ImagesList,
        ids: NDArray[np.int64],
        cache_gb: float,
        run: str,
    ) -> Inputs:
        """For the images `ids` of a source, with at most `cache_gb` on each disk."""
        height, width = preprocessing.input_size
        kept = min(len(ids), int(cache_gb * BYTES_PER_GB // (height * width * 3)))
        rows = images.images.take(ids).select(["key", "shard", "offset", "length"]).combine_chunks()
        names, etags = (images.shards[name].take(rows["shard"]).combine_chunks() for name in ("name", "etag"))
        locators = rows.set_column(1, "shard", names).append_column("etag", etags)
        folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{run}"
        return cls(source, preprocessing, ids, locators, kept, str(folder))

    def parts(self, images: int) -> list[NDArray[np.int64]]:
        """The ids that have a place, in reading order, in parts of about `images` that each read few shards."""
        places = self._reading_order(np.arange(self.kept))
        return [self.ids[part] for part in np.array_split(places, max(1, -(-self.kept // images)))] if self.kept else []

    def fill(self, ids: NDArray[np.int64]) -> Tally:
        """Decode what of `ids` is not on this machine's disk yet; returns what it cost."""
        places = np.searchsorted(self.ids, ids)
        spent = Tally()
        for place, pixels in self._decoded(places[self._present[places] == 0], spent):
            self._pixels[place] = pixels
            self._present[place] = 1
        return spent

    def gather(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64], Tally]:
        """The pixels of some images.

        Args:
            ids: int64 [...], each in `self.ids`, or -1 for none.

        Returns:
            (uint8 [rows, H, W, 3]; int64 [...], each image's row in it, -1 for none; what it cost). The pixels are the
            memory-mapped file itself where all images have a place there, else an array of just these images.
        """
        wanted = np.unique(ids[ids >= 0])
        places = np.searchsorted(self.ids, wanted)
        spent = self.fill(wanted[places < self.kept])
        rows = np.where(ids >= 0, np.searchsorted(self.ids, ids), -1)
        if np.all(places < self.kept):
            return self._pixels, rows, spent
        pixels = np.empty((len(wanted), *self._shape[1:]), np.uint8)
        on_disk = places < self.kept
        pixels[on_disk] = self._pixels[places[on_disk]]
        for place, decoded in self._decoded(places[~on_disk], spent):
            pixels[np.searchsorted(places, place)] = decoded
        return pixels, np.where(ids >= 0, np.searchsorted(wanted, ids), -1), spent

    def clear_leftovers(self) -> None:
        """Remove what runs that were killed have left on this machine's disk a day ago or before.

        Harmless to a run that is that old: its open maps stay, and a file that is gone fills itself again.
        """
        for folder in Path(self.folder).parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > _LEFT_S:
                    shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        """Clear this machine's disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return (self.kept, *self.preprocessing.input_size, 3)

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return self._mapped("inputs.u8", self._shape)

    @cached_property
    def _present(self) -> NDArray[np.uint8]:
        return self._mapped("present.u8", (self.kept,))

    def _mapped(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A file of zeros that grows on disk only as it is written, shared by all processes of the machine."""
        if 0 in shape:
            return np.zeros(shape, np.uint8)
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        path = Path(self.folder) / name
        with path.open("ab") as file:
            file.truncate(int(np.prod(shape)))
        return np.memmap(path, np.uint8, "r+", shape=shape)

    def _decoded(self, places: NDArray[np.int64], spent: Tally) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(place, pixels) of some images, shard by shard; neighbouring ones are read together."""
        places = self._reading_order(places)
        rows = self.locators.take(places)
        names = np.array(rows["shard"].to_pylist(), dtype=object)
        for start, end in _runs(names):
            part = rows.slice(start, end - start)
            contents = self.source.read(names[start], part, part["etag"][0].as_py())
            for place, content in zip(places[start:end], contents, strict=True):
                spent.add(Tally(1, 1, len(content)))
                yield int(place), decode(content, self.preprocessing).pixels

    def _reading_order(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = self.locators.take(places)
        shards = rows["shard"].combine_chunks().dictionary_encode().indices.to_numpy()
        return places[np.lexsort((places, rows["offset"].to_numpy(), shards))]


def _runs(names: NDArray) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch of equal names."""
    cuts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    return ((start, end) for start, end in pairwise(cuts) if end > start)
