"""The images that derive needs, decoded once per machine where its disk has the space, else whenever they are needed.

Tasks fill the disks of all machines in parallel, before the chunks. A chunk that misses an image (its machine joined
late, or lost its disk) decodes it and adds it to the cache.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
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
from raysel.errors import BadImageError, RayselError
from raysel.images import ImagesList, Source, decode
from raysel.pipeline.derive.input_cache import InputCache

BYTES_PER_GB = 1 << 30
_PREFIX = "raysel-inputs-"
_LEFT_S = 24 * 3600.0
"""A cache that is older was left by a run that was killed."""


@dataclass
class Cost:
    """Cost of the derive stage."""

    images_decoded: int = 0
    """Each time that an image was read and decoded."""
    bytes_read: int = 0
    kernel_s: float = 0.0
    """CPU seconds of crops, features and indexes, without decoding."""

    def add(self, other: Cost) -> None:
        """Add another cost to this one."""
        self.images_decoded += other.images_decoded
        self.bytes_read += other.bytes_read
        self.kernel_s += other.kernel_s


@dataclass(frozen=True)
class Inputs:
    """The images that derive needs, as the network sees them. It is sent to tasks; the pixels stay on each machine."""

    source: Source
    preprocessing: Preprocessing
    ids: NDArray[np.int64]
    """Ascending ids of all images needed."""
    locators: pa.Table
    """A row per id: key, shard (its name), offset, length, etag of the shard."""
    most: int
    """The first so many of `ids` have a place on a disk with enough space."""
    folder: str
    """Folder of the cache, the same on every machine."""

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: self.__dict__[field.name] for field in fields(self)}  # without the mapped file

    @classmethod
    def of(
        cls,
        source: Source,
        preprocessing: Preprocessing,
        images: ImagesList,
        ids: NDArray[np.int64],
        cache_gb: float,
    ) -> Inputs:
        """For the images `ids` of a source, with at most `cache_gb` on each disk, in a new folder."""
        height, width = preprocessing.input_size
        most = min(len(ids), int(cache_gb * BYTES_PER_GB // (height * width * 3)))
        rows = images.images.take(ids).select(["key", "shard", "offset", "length"]).combine_chunks()
        names, etags = (images.shards[name].take(rows["shard"]).combine_chunks() for name in ("name", "etag"))
        locators = rows.set_column(1, "shard", names).append_column("etag", etags)
        folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{uuid.uuid4().hex}"
        return cls(source, preprocessing, ids, locators, most, str(folder))

    def prepare(self) -> int:
        """Reserve space on this machine's disk, after removing the caches that killed runs left there.

        Returns:
            How many images have a place there: the first so many of `ids`.
        """
        for folder in Path(self.folder).parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                # Harmless to a run that is that old: its files stay mapped, and a file that is gone is filled again.
                if time.time() - folder.stat().st_mtime > _LEFT_S:
                    shutil.rmtree(folder, ignore_errors=True)
        return len(self._cache.present)

    def parts(self, places: int, images: int) -> list[NDArray[np.int64]]:
        """The first `places` ids in reading order, in parts of about `images` that each read few shards."""
        order = self._reading_order(np.arange(places))
        return [self.ids[part] for part in np.array_split(order, -(-places // images))] if places else []

    def fill(self, ids: NDArray[np.int64]) -> Cost:
        """Decode those of `ids` that have a place on this machine's disk and are not there yet."""
        places = np.searchsorted(self.ids, ids)
        places = places[places < len(self._cache.present)]
        spent = Cost()
        for place, pixels in self._decoded(places[self._cache.present[places] == 0], spent):
            self._cache.pixels[place] = pixels
            self._cache.present[place] = 1
        return spent

    def gather(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64], Cost]:
        """The pixels of some images.

        Args:
            ids: int64 [...], each in `self.ids`, or -1 for none.

        Returns:
            (uint8 [rows, H, W, 3]; int64 [...], each image's row in it, -1 for none; what it cost). The pixels are the
            memory-mapped file itself where all images have a place there, else an array of just these images.

        Raises:
            RayselError: the source changed since the scan.
        """
        wanted = np.unique(ids[ids >= 0])
        places = np.searchsorted(self.ids, wanted)
        spent = self.fill(wanted)
        on_disk = places < len(self._cache.present)
        if on_disk.all():
            return self._cache.pixels, np.where(ids >= 0, np.searchsorted(self.ids, ids), -1), spent
        pixels = np.empty((len(wanted), *self.preprocessing.input_size, 3), np.uint8)
        pixels[on_disk] = self._cache.pixels[places[on_disk]]
        for place, decoded in self._decoded(places[~on_disk], spent):
            pixels[np.searchsorted(places, place)] = decoded
        return pixels, np.where(ids >= 0, np.searchsorted(wanted, ids), -1), spent

    def remove(self) -> None:
        """Remove the cache from this machine's disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def _cache(self) -> InputCache:
        return InputCache.open(Path(self.folder), self.most, self.preprocessing.input_size)

    def _decoded(self, places: NDArray[np.int64], spent: Cost) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(place in `ids`, pixels) of some images, shard by shard, so that neighboring ones are read together."""
        places = self._reading_order(places)
        rows = self.locators.take(places)
        names = np.array(rows["shard"].to_pylist(), dtype=object)
        for start, end in _runs(names):
            part = rows.slice(start, end - start)
            contents = self.source.read(names[start], part, part["etag"][0].as_py())
            for place, content in zip(places[start:end], contents, strict=True):
                spent.add(Cost(1, len(content)))
                yield int(place), self._pixels(int(place), content)

    def _pixels(self, place: int, content: bytes) -> NDArray[np.uint8]:
        try:
            return decode(content, self.preprocessing)
        except BadImageError as error:
            row = self.locators.slice(place, 1).to_pylist()[0]
            raise RayselError(
                f"image {row['key']!r} of shard {row['shard'] or '.'!r} cannot be decoded ({error}), but could be "
                "during the scan: restore the file to resume, or run again to index the source as it is now"
            ) from error

    def _reading_order(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = self.locators.take(places)
        shards = rows["shard"].combine_chunks().dictionary_encode().indices.to_numpy()
        return places[np.lexsort((places, rows["offset"].to_numpy(), shards))]


def _runs(names: NDArray) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch of equal names."""
    cuts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    return ((start, end) for start, end in pairwise(cuts) if end > start)
