"""Parquet shards as Hugging Face writes them: an image's file in a column, its label beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raysel.errors import RayselError, first_line
from raysel.files import as_raysel_error, join_uri, redact_uri, split_uri, suffix
from raysel.images.sources.image_files import file_sizes, place_of, read_files
from raysel.images.sources.parquet_columns import ImageColumns, column, image_columns, keys_of, labels_of
from raysel.images.sources.shard_files import file_shard, files_below, located, require_unchanged
from raysel.images.sources.source import WALKED_IMAGES, Shard, Walked, walked_faults

_BATCH_ROWS = 64
_BUFFER = 8 << 20
_EMBED = (
    "embed them with datasets: "
    "data.with_format('arrow').map(datasets.table.embed_table_storage, batched=True).to_parquet(FILE)"
)

Content = tuple[bytes | None, str | None]
"""Bytes of an image; where there are none, the path of its file."""


@dataclass(frozen=True)
class ParquetSource:
    """Parquet files below a root, an image in each row.

    Keys: the path beside the image if there is one and no other row of the shard has it, or else the shard's name and
    the row's number. An image's `offset` is its row in the file, its `length` the mean of its row group.

    If a row has a path and no bytes, as in files that `datasets` writes without embedding, the image is the file at
    that path; see `place_of`. Its `length` is the file's. If such a file changes in place, only its size shows it.
    """

    uri: str
    root: str
    """Folder, as absolute path or URI, that shard names are relative to."""
    pattern: str = ""
    """Glob over shard names; empty: every ``.parquet`` below the root."""
    kind: ClassVar[str] = "parquet"

    def shard_names(self) -> list[str]:
        names = [name for name in files_below(self.root, self.pattern) if suffix(name) == "parquet"]
        if not names:
            raise RayselError(f"no .parquet file at {redact_uri(self.uri)}: give a folder, a glob or a file")
        return names

    def walk(self, shard_name: str) -> Walked:
        shard = self.stamp(shard_name)
        with self._open(shard_name) as file:
            columns, count = _columns_of(file, shard_name), file.metadata.num_rows
            wanted = [name for name in (columns.path, columns.label) if name]
            rows = file.read(columns=wanted, use_threads=False) if wanted else None
            nothing = pa.nulls(count, pa.string())
            paths = column(rows, columns.path) if columns.path else nothing
            labels = labels_of(column(rows, columns.label), columns.names) if columns.label else nothing
            lengths = _mean_lengths(file.metadata, columns.content)
            outside = _rows_without_bytes(file, columns.content) if columns.path else np.zeros(0, np.int64)
        keys = keys_of(paths, shard_name)
        images = pa.table([keys, labels, np.arange(count), lengths, nothing], schema=WALKED_IMAGES)
        reasons = self._measure(shard_name, paths.take(pa.array(outside)).to_pylist(), outside, lengths)
        kept = np.ones(count, bool)
        kept[list(reasons)] = False
        faults = [(keys[row].as_py(), reason) for row, reason in reasons.items()]
        return Walked(shard, images.filter(pa.array(kept)), 0, walked_faults(faults))

    def stamp(self, shard_name: str) -> Shard:
        return file_shard(self.root, shard_name)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        require_unchanged(self.root, shard_name, etag)
        offsets, lengths = images["offset"].to_numpy(), images["length"].to_pylist()
        folder = split_uri(join_uri(self.root, shard_name))[0]
        with self._open(shard_name) as file:
            columns, starts = _columns_of(file, shard_name), _group_starts(file.metadata)
            if len(offsets) and offsets.max() >= starts[-1]:
                raise RayselError(f"the source changed while it was read: shard {shard_name} has {starts[-1]:,} rows")
            done = 0
            for start, end in _runs(offsets, starts):
                for batch in _contents(file, shard_name, columns, starts, offsets[start:end]):
                    yield from _completed(batch, lengths[done : done + len(batch)], folder)
                    done += len(batch)

    @contextmanager
    def _open(self, shard_name: str) -> Iterator[pq.ParquetFile]:
        """A file that is read piece by piece; checksums of its pages are verified if it has them."""
        filesystem, path = located(self.root, shard_name)
        with as_raysel_error(f"cannot read shard {shard_name}"), filesystem.open_input_file(path) as raw:
            yield pq.ParquetFile(raw, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True)

    def _measure(
        self, shard_name: str, paths: list[str | None], rows: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> dict[int, str]:
        """Set the `lengths` of images that are files of their own; row -> why there is no such file.

        Raises:
            RayselError: the shard contains no images, and none of its paths leads to one.
        """
        folder = split_uri(join_uri(self.root, shard_name))[0]
        sizes = dict(zip(rows.tolist(), file_sizes(paths, folder), strict=True))
        reasons = {row: size for row, size in sizes.items() if isinstance(size, str)}
        if reasons and len(reasons) == len(lengths):
            first = f"{redact_uri(paths[0])}: {reasons[0]}" if paths[0] else reasons[0]
            raise RayselError(
                f"shard {shard_name} contains paths instead of images, and there are no such files ({first}): {_EMBED}"
            )
        for row, size in sizes.items():
            lengths[row] = 0 if row in reasons else size
        return reasons


def _completed(batch: list[Content], lengths: list[int], folder: str) -> Iterator[bytes]:
    """The images of a batch, those without bytes from their own files; empty if there is no path either."""
    outside = [
        (place_of(path, folder), length)
        for (content, path), length in zip(batch, lengths, strict=True)
        if content is None and path
    ]
    files = read_files([place for place, _ in outside], [length for _, length in outside])
    for content, path in batch:
        yield content if content is not None else next(files) if path else b""


def _contents(
    file: pq.ParquetFile,
    shard_name: str,
    columns: ImageColumns,
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Iterator[list[Content]]:
    """Some ascending rows of one row group, batch by batch: a large group is never held as a whole."""
    group = int(np.searchsorted(starts, rows[0], side="right")) - 1
    first, wanted = int(starts[group]), rows.tolist()
    names = [columns.content]
    if columns.path and _null_count(file.metadata, group, columns.content):
        names.append(columns.path)
    read = 0
    try:
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names, use_threads=False):
            contents, paths = column(batch, names[0]), column(batch, names[-1])
            found: list[Content] = []
            while wanted and wanted[0] < first + read + len(contents):
                row = wanted.pop(0) - first - read
                content = contents[row].as_py()
                found.append((content, paths[row].as_py() if content is None else None))
            yield found
            read += len(contents)
            if not wanted:
                return
    except (OSError, ValueError) as error:
        raise RayselError(
            f"shard {shard_name} is broken in row group {group} after row {first + read:,}, of {starts[-1]:,} rows "
            f"({first_line(error)}); copy it again"
        ) from error
    raise RayselError(f"shard {shard_name} ends within row group {group}, after row {first + read:,}; copy it again")


def _columns_of(file: pq.ParquetFile, shard_name: str) -> ImageColumns:
    columns = image_columns(file.schema_arrow)
    if columns is None:
        names = ", ".join(file.schema_arrow.names)
        raise RayselError(f"shard {shard_name} has no column of images (struct of bytes and path): it has {names}")
    return columns


def _rows_without_bytes(file: pq.ParquetFile, content: str) -> NDArray[np.int64]:
    """int64[k]: rows where `content` is null. Only row groups with both kinds of rows are read."""
    starts = _group_starts(file.metadata)
    rows = []
    for group, (start, end) in enumerate(pairwise(starts.tolist())):
        nulls = _null_count(file.metadata, group, content)
        if nulls == end - start:
            rows.append(np.arange(start, end))
        elif nulls:
            batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[content], use_threads=False)
            null = np.concatenate([pc.is_null(column(batch, content)).to_numpy(False) for batch in batches])
            rows.append(start + np.flatnonzero(null))
    return np.concatenate([np.zeros(0, np.int64), *rows])


def _chunk(metadata: pq.FileMetaData, group: int, name: str) -> pq.ColumnChunkMetaData:
    row_group = metadata.row_group(group)
    chunks = (row_group.column(number) for number in range(row_group.num_columns))
    return next(chunk for chunk in chunks if chunk.path_in_schema == name)


def _null_count(metadata: pq.FileMetaData, group: int, name: str) -> int:
    """Nulls in a column of a row group; 0 if the file does not say it."""
    statistics = _chunk(metadata, group, name).statistics
    return int(statistics.null_count) if statistics is not None and statistics.has_null_count else 0


def _mean_lengths(metadata: pq.FileMetaData, name: str) -> NDArray[np.int64]:
    """int64[rows]: bytes of the row group's column divided by its rows."""
    lengths = [np.zeros(0, np.int64)]
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        lengths.append(np.full(rows, _chunk(metadata, group, name).total_uncompressed_size // max(1, rows), np.int64))
    return np.concatenate(lengths)


def _group_starts(metadata: pq.FileMetaData) -> NDArray[np.int64]:
    """int64[groups + 1]: first row of each row group, and the number of rows."""
    counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _runs(offsets: NDArray[np.int64], starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(start, end) of stretches of rows that ascend within one row group."""
    groups = np.searchsorted(starts, offsets, side="right")
    breaks = np.flatnonzero((groups[1:] != groups[:-1]) | (offsets[1:] <= offsets[:-1])) + 1
    return ((start, end) for start, end in pairwise([0, *breaks.tolist(), len(offsets)]) if end > start)
