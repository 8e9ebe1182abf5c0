"""Parquet shards as Hugging Face writes them: an image's file in a column, its label beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error
from raysel.files.paths import as_utf8, redact_uri
from raysel.images.file_names import suffix
from raysel.images.sources.shard_files import file_shard, files_below, located, require_unchanged
from raysel.images.sources.source import WALKED_IMAGES, Shard, Walked, walked_faults

LABEL_COLUMNS = ("label", "labels", "class", "cls", "wnid")
"""Columns that hold the label where no ClassLabel is declared: the first of these that is there."""
_BATCH_ROWS = 64
_BUFFER = 8 << 20


@dataclass(frozen=True)
class ImageColumns:
    """Where a Parquet file keeps its images and labels."""

    content: str
    """Dotted name of the column with the files' bytes: ``image.bytes``, or ``image`` where that is binary itself."""
    path: str | None
    """Dotted name of the column with their names, if there is one."""
    label: str | None
    names: tuple[str, ...] | None
    """Label of each class number, where the schema declares them; numbers without a name stay without a label."""


def image_columns(schema: pa.Schema) -> ImageColumns | None:
    """The columns of a schema that hold images; None if none does.

    What the metadata ``huggingface`` declares (features of type Image and ClassLabel) goes before names and types: the
    first column that is a struct with binary ``bytes``, or that is binary and called image, img, jpg, jpeg, png, webp
    or bytes.
    """
    features = _features(schema)
    declared = [name for name, feature in features.items() if feature.get("_type") == "Image"]
    holders = [field for field in schema if field.name in declared] or list(schema)
    found = next((columns for field in holders if (columns := _content(field, bool(declared)))), None)
    if found is None:
        return None
    classes = [
        name for name, feature in features.items() if feature.get("_type") == "ClassLabel" and name in schema.names
    ]
    label = next((name for name in (*LABEL_COLUMNS, *classes) if name in classes), None)
    names = tuple(str(name) for name in features[label].get("names", ())) if label else None
    if label is None:
        label = next((name for name in LABEL_COLUMNS if name in schema.names and _is_plain(schema.field(name))), None)
    return ImageColumns(*found, label, names or None)


@dataclass(frozen=True)
class ParquetSource:
    """Parquet files below a root, an image in each row.

    Keys: the path that stands beside the image where it is there and no other row of the shard has it, else the
    shard's name and the row's number. An image's `offset` is its row in the file (the footer tells the row group), its
    `length` the mean over its row group.
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
        with as_raysel_error(f"cannot read shard {shard_name}"), self._open(shard_name) as file:
            columns = _columns_of(file, shard_name)
            wanted = [name for name in (columns.path, columns.label) if name]
            rows = file.read(columns=wanted, use_threads=False) if wanted else None
            images = pa.table(
                {
                    "key": _keys(rows, columns, shard_name, file.metadata.num_rows),
                    "label": _labels(rows, columns, file.metadata.num_rows),
                    "offset": np.arange(file.metadata.num_rows),
                    "length": _mean_lengths(file.metadata, columns.content),
                }
            )
        return Walked(shard, images.cast(WALKED_IMAGES), 0, walked_faults([]))

    def stamp(self, shard_name: str) -> Shard:
        return file_shard(self.root, shard_name)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        require_unchanged(self.root, shard_name, etag)
        offsets = images["offset"].to_numpy()
        with as_raysel_error(f"cannot read shard {shard_name}"), self._open(shard_name) as file:
            columns = _columns_of(file, shard_name)
            starts = _group_starts(file.metadata)
            if len(offsets) and offsets.max() >= starts[-1]:
                raise RayselError(f"the source changed while it was read: shard {shard_name} has {starts[-1]:,} rows")
            for start, end in _runs(offsets, starts):
                group = int(np.searchsorted(starts, offsets[start], side="right")) - 1
                yield from _contents(file, shard_name, columns.content, group, starts, offsets[start:end])

    def _open(self, shard_name: str) -> AbstractContextManager[pq.ParquetFile]:
        return open_parquet(*located(self.root, shard_name))


@contextmanager
def open_parquet(filesystem: fs.FileSystem, path: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file that is read piece by piece, its pages' checksums compared where it has them."""
    with filesystem.open_input_file(path) as raw:
        yield pq.ParquetFile(raw, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True)


def _contents(
    file: pq.ParquetFile, shard_name: str, column: str, group: int, starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[bytes]:
    """Files in some ascending rows of one row group. Pages are read as they come: a large group is never held whole."""
    first, wanted = int(starts[group]), rows.tolist()
    read = 0
    try:
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[column], use_threads=False):
            here = batch.column(0)
            for name in column.split(".")[1:]:
                here = pc.struct_field(here, name)
            while wanted and wanted[0] < first + read + len(here):
                yield here[wanted.pop(0) - first - read].as_py() or b""  # null: the decoder says it is empty
            read += len(here)
            if not wanted:
                return
    except (OSError, ValueError) as error:
        raise RayselError(
            f"shard {shard_name} is broken in row group {group} after row {first + read:,}, of {starts[-1]:,} rows "
            f"({str(error).partition(chr(10))[0][:200]}); copy it again"
        ) from error
    raise RayselError(f"shard {shard_name} ends within row group {group}, after row {first + read:,}; copy it again")


def _features(schema: pa.Schema) -> dict[str, Any]:
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: each for name, each in features.items() if isinstance(each, dict)}


def _content(field: pa.Field, declared: bool) -> tuple[str, str | None] | None:
    """(column of bytes, column of paths) of a field that holds images."""
    kind = field.type
    if pa.types.is_struct(kind):
        inside = {kind.field(number).name: kind.field(number) for number in range(kind.num_fields)}
        if "bytes" in inside and _is_binary(inside["bytes"].type):
            return f"{field.name}.bytes", f"{field.name}.path" if "path" in inside else None
    elif _is_binary(kind) and (declared or field.name in ("image", "img", "jpg", "jpeg", "png", "webp", "bytes")):
        return field.name, None
    return None


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_plain(field: pa.Field) -> bool:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _columns_of(file: pq.ParquetFile, shard_name: str) -> ImageColumns:
    columns = image_columns(file.schema_arrow)
    if columns is None:
        names = ", ".join(file.schema_arrow.names)
        raise RayselError(f"shard {shard_name} has no column of images (struct of bytes and path): it has {names}")
    return columns


def _keys(rows: pa.Table | None, columns: ImageColumns, shard_name: str, count: int) -> pa.Array:
    numbers = [f"{shard_name}/{row:08d}" for row in range(count)]
    if rows is None or columns.path is None:
        return pa.array(numbers, pa.string())
    paths = rows[columns.path.partition(".")[0]].combine_chunks()
    for name in columns.path.split(".")[1:]:
        paths = pc.struct_field(paths, name)
    cleaned = [as_utf8(path) if path else None for path in paths.to_pylist()]
    several = pc.value_counts(pa.array(cleaned, pa.string()))
    repeated = set(several.field("values").filter(pc.greater(several.field("counts"), 1)).to_pylist())
    keys = [path if path and path not in repeated else number for path, number in zip(cleaned, numbers, strict=True)]
    return pa.array(keys, pa.string())


def _labels(rows: pa.Table | None, columns: ImageColumns, count: int) -> pa.Array:
    if rows is None or columns.label is None:
        return pa.nulls(count, pa.string())
    labels = rows[columns.label].combine_chunks()
    if columns.names is None or not pa.types.is_integer(labels.type):
        texts = labels.cast(pa.string())
        return pc.if_else(pc.equal(texts, ""), None, texts)
    known = pc.and_(pc.greater_equal(labels, 0), pc.less(labels, len(columns.names)))
    return pa.array(columns.names, pa.string()).take(pc.if_else(known, labels, None))


def _mean_lengths(metadata: pq.FileMetaData, column: str) -> NDArray[np.int64]:
    """int64[rows]: bytes of the row group's column by its rows."""
    lengths = []
    for group in (metadata.row_group(number) for number in range(metadata.num_row_groups)):
        chunks = (group.column(number) for number in range(group.num_columns))
        size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == column)
        lengths.append(np.full(group.num_rows, size // max(1, group.num_rows), np.int64))
    return np.concatenate(lengths) if lengths else np.zeros(0, np.int64)


def _group_starts(metadata: pq.FileMetaData) -> NDArray[np.int64]:
    """int64[groups + 1]: first row of each row group, and the number of rows."""
    counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _runs(offsets: NDArray[np.int64], starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(start, end) of stretches of rows that ascend within one row group."""
    groups = np.searchsorted(starts, offsets, side="right")
    breaks = np.flatnonzero((groups[1:] != groups[:-1]) | (offsets[1:] <= offsets[:-1])) + 1
    return ((start, end) for start, end in pairwise([0, *breaks.tolist(), len(offsets)]) if end > start)
