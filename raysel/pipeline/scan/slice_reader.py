"""The source as Ray Data sees it: one read task per slice, images as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import Block, BlockMetadata

from raysel.images import ImagesList, Slice, Source

BYTES = pa.schema([("id", pa.int64()), ("bytes", pa.large_binary())])
"""An image's id and its file's bytes. Ray mixes slices in a batch, so every row has its own id."""

_BLOCK_IMAGES = 64


class SliceReader(Datasource):
    """Reads slices of a source in the order given. A read task that Ray retries yields the same blocks again."""

    def __init__(self, source: Source, images: ImagesList, slices: Sequence[Slice]) -> None:
        super().__init__()
        self._source, self._images, self._slices = source, images, slices

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
        metadata = BlockMetadata(num_rows=len(part.ids), size_bytes=self._size(part), exec_stats=None, input_files=None)
        shard = self._images.shards.slice(part.shard, 1).to_pylist()[0]
        rows = self._images.images.take(part.ids).select(["key", "offset", "length"]).combine_chunks()
        source, ids = self._source, part.ids

        def blocks() -> Iterator[Block]:
            contents, start = source.read(shard["name"], rows, shard["etag"]), 0
            while some := list(islice(contents, _BLOCK_IMAGES)):
                yield pa.table([ids[start : start + len(some)], some], schema=BYTES)
                start += len(some)

        return ReadTask(blocks, metadata, schema=BYTES)

    def _size(self, part: Slice) -> int:
        return int(self._images.images["length"].to_numpy()[part.ids].sum())
