"""A table of image files by URI, with their labels."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error, filesystem_of, stat
from raysel.files.paths import absolute_uri, as_utf8, redact_uri
from raysel.images.sources.image_folder import CONNECTIONS, whole_file
from raysel.images.sources.shard_files import file_shard, require_unchanged
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images
from raysel.images.text_tables import column_names, text_columns

URI_COLUMNS = ("uri", "url", "path", "image", "file", "filename", "file_name", "key")
"""Columns that hold the URIs unless another is named: the first of these that is there, else the first of all."""
SHARD_ROWS = 16_384
"""Rows that are walked together: each file's size is asked for."""


@dataclass(frozen=True)
class UriTableSource:
    """A CSV or Parquet table with a row per image file: its URI, or its path from the table's folder; its label.

    Keys are the URIs as they are written. Its shards are `SHARD_ROWS` rows each, named ``table.csv:FIRST``; an image's
    `offset` is its row. Their etag is the table's: a file that changes in place is noticed by its size only. Relative
    paths, and ``s3://`` URIs where the table lies in S3 too, are reached with the table's own settings and credentials.
    """

    uri: str
    """Of the table."""
    uri_column: str
    label_column: str | None
    kind: ClassVar[str] = "table"

    def shard_names(self) -> list[str]:
        uris, _ = self._rows()
        if not len(uris):
            raise RayselError(f"no rows in {redact_uri(self.uri)}")
        return [self._shard_name(first) for first in range(0, len(uris), SHARD_ROWS)]

    def walk(self, shard_name: str) -> Walked:
        """The files of some rows: each is asked for its size; one that is not there is a fault."""
        uris, labels = self._rows()
        first = int(shard_name.rpartition(":")[2])
        rows = range(first, min(first + SHARD_ROWS, len(uris)))
        texts = uris.slice(first, SHARD_ROWS).to_pylist()
        # A row counts where its URI stands first in the whole table, so that no image comes twice.
        firsts = pc.index_in(uris.slice(first, SHARD_ROWS), value_set=uris).to_pylist()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            sizes = list(pool.map(self._size, texts))
        kept: list[tuple[str, str | None, int, int]] = []
        faults: list[tuple[str, str]] = []
        for row, text, original, size in zip(rows, texts, firsts, sizes, strict=True):
            if text is None:
                faults.append((f"row {row + 1}", "no URI"))
            elif original != row:
                faults.append((as_utf8(text), f"duplicate key: row {row + 1} names it after row {original + 1}"))
            elif isinstance(size, str):
                faults.append((as_utf8(text), size))
            else:
                kept.append((as_utf8(text), labels[row].as_py(), row, size))
        keys, kept_labels, offsets, lengths = (
            (list(column) for column in zip(*kept, strict=True)) if kept else ([],) * 4
        )
        return Walked(
            self.stamp(shard_name), walked_images(keys, kept_labels, offsets, lengths), 0, walked_faults(faults)
        )

    def stamp(self, shard_name: str) -> Shard:
        folder, name = self._place()
        whole = file_shard(folder, name)
        return Shard(shard_name, whole.size, whole.etag)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        folder, name = self._place()
        require_unchanged(folder, name, etag)
        uris, _ = self._rows()
        texts = uris.take(images["offset"].combine_chunks()).to_pylist()
        lengths = images["length"].to_pylist()
        window = 4 * CONNECTIONS  # bounds what is held in memory
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for start in range(0, len(texts), window):
                some = slice(start, start + window)
                yield from pool.map(
                    lambda text, length: whole_file(*self._at(text), length), texts[some], lengths[some]
                )

    def _rows(self) -> tuple[pa.Array, pa.Array]:
        return _rows(self.uri, self.uri_column, self.label_column, self.stamp("").etag)

    def _shard_name(self, first: int) -> str:
        return f"{self._place()[1]}:{first:09d}"

    def _place(self) -> tuple[str, str]:
        """(folder, name) of the table."""
        location, question, query = self.uri.partition("?") if "://" in self.uri else (self.uri, "", "")
        folder, name = posixpath.split(location)
        return folder + question + query, name

    def _at(self, text: str) -> tuple[fs.FileSystem, str]:
        folder, _ = self._place()
        if "://" not in text:
            filesystem, path = filesystem_of(folder)
            return filesystem, text if posixpath.isabs(text) else posixpath.normpath(f"{path}/{text}")
        if text.startswith("s3://") and folder.startswith("s3://"):
            return filesystem_of(folder)[0], text.removeprefix("s3://")
        return filesystem_of(text)

    def _size(self, text: str | None) -> int | str:
        """Bytes of a file, or why it cannot be had."""
        if text is None:
            return "no URI"
        try:
            with as_raysel_error("cannot be read"):
                try:
                    return stat(*self._at(text))[0]
                except (FileNotFoundError, NotADirectoryError):
                    return "no such file"
        except RayselError as error:
            return str(error)


def open_table(uri: str, uri_column: str | None, label_column: str | None) -> UriTableSource:
    """The source that a table of URIs is.

    Args:
        uri: of the table, CSV (``.csv``, ``.tsv``) or Parquet.
        uri_column: None: see `URI_COLUMNS`.
        label_column: None or ``label``: the column of this name if there is one, else there are no labels.

    Raises:
        RayselError: the table is missing or unreadable, or has no such column.
    """
    uri = absolute_uri(uri)
    names = column_names(uri)
    chosen = uri_column or next((name for name in URI_COLUMNS if name in names), names[0])
    label = label_column if label_column not in (None, "label") else "label" if "label" in names else None
    for column in (chosen, label):
        if column is not None and column not in names:
            raise RayselError(f"no column {column!r} in {redact_uri(uri)}: it has {', '.join(names)}")
    return UriTableSource(uri, chosen, label)


@lru_cache(maxsize=2)
def _rows(uri: str, uri_column: str, label_column: str | None, etag: str) -> tuple[pa.Array, pa.Array]:
    """(URIs, labels), string[rows] each; kept while the table is the same."""
    if label_column is None:
        (uris,) = text_columns(uri, [uri_column])
        return uris, pa.nulls(len(uris), pa.string())
    uris, labels = text_columns(uri, [uri_column, label_column])
    return uris, labels
