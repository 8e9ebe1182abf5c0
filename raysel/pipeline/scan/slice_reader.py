"""The source as Ray Data sees it: one read task per slice, images as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from ray.data import Datasource, ReadTask
from ray.data.block import Block, BlockMetadata

from raysel.images import ImagesList, Slice, Source

BYTES = pa.schema([("id", pa.int64()), ("bytes", pa.large_binary())])
"""Rows of the stream: an image's id and its file's bytes. Blocks mix slices, so every row carries its own id."""

_BLOCK_IMAGES = 64


class Slices(Datasource):
    """Slices of a source, in the order given. A read task that is retried yields the same blocks again."""

    def __init__(self, source: Source, images: ImagesList, slices: Sequence[Slice]) -> None:
        super().__init__()
        self._source, self._images, self._slices = source, images, slices

    def get_name(self) -> str:
        """Of the operator, in Ray's own statistics."""
        return "Slices"

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of the images as they lie in their files."""
        return sum(self._size(each) for each in self._slices)

    def get_read_tasks(self, parallelism: int, *_args: object, **_options: object) -> list[ReadTask]:
        """One per slice; `parallelism` is what the caller set to the number of slices."""
        return [self._task(each) for each in self._slices]

    def _task(self, part: Slice) -> ReadTask:
        metadata = BlockMetadata(num_rows=len(part.ids), size_bytes=self._size(part), exec_stats=None, input_files=None)
        shard = self._images.shards.slice(part.shard, 1).to_pylist()[0]
        rows = self._images.images.take(part.ids).select(["key", "offset", "length"]).combine_chunks()
        source, ids = self._source, part.ids
        return ReadTask(lambda: _blocks(source.read(shard["name"], rows, shard["etag"]), ids), metadata, schema=BYTES)

    def _size(self, part: Slice) -> int:
        return int(np.sum(self._images.images["length"].to_numpy()[part.ids]))


def _blocks(contents_of_all: Iterator[bytes], ids: NDArray[np.int64]) -> Iterable[Block]:
    for start, contents in _gathered(contents_of_all):
        yield pa.table([ids[start : start + len(contents)], contents], schema=BYTES)


def _gathered(contents: Iterator[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    start, pending = 0, []
    for content in contents:
        pending.append(content)
        if len(pending) == _BLOCK_IMAGES:
            yield start, pending
            start, pending = start + len(pending), []
    if pending:
        yield start, pending
