"""The source as Ray Data sees it: one read task per slice, images as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import Block, BlockMetadata

from raysel.images import ImagesList, Slice, Source

BYTES = pa.schema([("id", pa.list_(pa.int64())), ("bytes", pa.list_(pa.large_binary()))])
"""A row is a group of images of one slice: their ids and their files' bytes.

Ray cuts blocks and batches between rows only. With a row per image it would leave some images over wherever a block is
no multiple of a call, and a call over 10 images costs a forward of the whole batch."""


class SliceReader(Datasource):
    """Reads slices of a source in the order given. A read task that Ray retries yields the same blocks again.

    Each block is one group of up to `group` images.
    """

    def __init__(self, source: Source, images: ImagesList, slices: Sequence[Slice], group: int) -> None:
        super().__init__()
        self._source, self._images, self._slices, self._group = source, images, slices, group

    def get_name(self) -> str:
        """Name of the operator in Ray's statistics."""
        return "SliceReader"

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of the images' files."""
        return sum(self._size(each) for each in self._slices)

    def get_read_tasks(self, parallelism: int, *_args: object, **_options: object) -> list[ReadTask]:
        """One task per slice. The caller asks for this number, so `parallelism` is not used."""
        return [self._task(each) for each in self._slices]

    def _task(self, part: Slice) -> ReadTask:
        group = self._group
        groups = -(-len(part.ids) // group)
        metadata = BlockMetadata(num_rows=groups, size_bytes=self._size(part), exec_stats=None, input_files=None)
        shard = self._images.shards.slice(part.shard, 1).to_pylist()[0]
        rows = self._images.images.take(part.ids).select(["key", "offset", "length"]).combine_chunks()
        source, ids = self._source, part.ids

        def blocks() -> Iterator[Block]:
            contents, start = source.read(shard["name"], rows, shard["etag"]), 0
            while some := list(islice(contents, group)):
                yield pa.table([[ids[start : start + len(some)]], [some]], schema=BYTES)
                start += len(some)

        return ReadTask(blocks, metadata, schema=BYTES)

    def _size(self, part: Slice) -> int:
        return int(self._images.images["length"].to_numpy()[part.ids].sum())
