"""A table of image files by URI, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError
from raysel.files import absolute_uri, as_utf8, redact_uri, split_uri
from raysel.images.sources.image_files import NO_DOWNLOAD, WEB, file_sizes, place_of, read_files
from raysel.images.sources.shard_files import file_shard, require_unchanged
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images
from raysel.images.text_tables import column_names, text_columns

URI_COLUMNS = ("uri", "url", "path", "image", "file", "filename", "file_name", "key")
"""Columns with the URIs unless another is named, in any case: the first of these in the table, or else its first."""
SHARD_ROWS = 16_384
"""Rows of a shard: a walk asks for the size of each file."""


@dataclass(frozen=True)
class UriTableSource:
    """A CSV or Parquet table with a row per image file: its URI, or its path from the table's folder; its label.

    Keys are the URIs as they are written. Its shards have `SHARD_ROWS` rows each and are named ``table.csv:FIRST``; an
    image's `offset` is its row. A shard's etag is the table's: if a file changes in place, only its size shows it.
    """

    uri: str
    """URI of the table."""
    uri_column: str
    label_column: str | None
    kind: ClassVar[str] = "table"

    def shard_names(self) -> list[str]:
        uris, _ = self._rows()
        if not len(uris):
            raise RayselError(f"no rows in {redact_uri(self.uri)}")
        _refuse_web(uris, self.uri)
        name = split_uri(self.uri)[1]
        return [f"{name}:{first:09d}" for first in range(0, len(uris), SHARD_ROWS)]

    def walk(self, shard_name: str) -> Walked:
        """The files of some rows, with their sizes; a missing one is a fault."""
        uris, labels = self._rows()
        first = int(shard_name.rpartition(":")[2])
        some = uris.slice(first, SHARD_ROWS)
        # A row counts if its URI appears there first in the whole table, so that no image is listed twice.
        firsts = pc.index_in(some, value_set=uris).to_pylist()
        sizes = file_sizes(some.to_pylist(), split_uri(self.uri)[0])
        kept: list[tuple[str, str | None, int, int]] = []
        faults: list[tuple[str, str]] = []
        for row, (text, original, size) in enumerate(zip(some.to_pylist(), firsts, sizes, strict=True), first):
            if text is None:
                faults.append((f"row {row + 1}", "no URI"))
            elif original != row:
                faults.append((as_utf8(text), f"duplicate key: row {row + 1} repeats row {original + 1}"))
            elif isinstance(size, str):
                faults.append((as_utf8(text), size))
            else:
                kept.append((as_utf8(text), labels[row].as_py(), row, size))
        columns = [list(column) for column in zip(*kept, strict=True)] if kept else [[]] * 4
        return Walked(self.stamp(shard_name), walked_images(*columns), 0, walked_faults(faults))

    def stamp(self, shard_name: str) -> Shard:
        whole = file_shard(*split_uri(self.uri))
        return Shard(shard_name, whole.size, whole.etag)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        folder, name = split_uri(self.uri)
        require_unchanged(folder, name, etag)
        texts = self._rows()[0].take(images["offset"].combine_chunks()).to_pylist()
        return read_files([place_of(text, folder) for text in texts], images["length"].to_pylist())

    def _rows(self) -> tuple[pa.Array, pa.Array]:
        return _rows(self.uri, self.uri_column, self.label_column, self.stamp("").etag)


def open_table(uri: str, uri_column: str | None, label_column: str | None) -> UriTableSource:
    """The source for a table of URIs.

    Args:
        uri: path or URI of the table, CSV (``.csv``, ``.tsv``) or Parquet.
        uri_column: None: see `URI_COLUMNS`.
        label_column: None or ``label``: the column of this name if there is one, or else there are no labels.

    Raises:
        RayselError: the table is missing or unreadable, or has no such column.
    """
    uri = absolute_uri(uri)
    names = column_names(uri)
    by_lower_case = {name.lower(): name for name in reversed(names)}
    chosen = uri_column or next((by_lower_case[name] for name in URI_COLUMNS if name in by_lower_case), names[0])
    label = label_column if label_column not in (None, "label") else "label" if "label" in names else None
    for column in (chosen, label):
        if column is not None and column not in names:
            raise RayselError(f"no column {column!r} in {redact_uri(uri)}: it has {', '.join(names)}")
    return UriTableSource(uri, chosen, label)


def _refuse_web(uris: pa.Array, table: str) -> None:
    """RayselError if every URI is a web address."""
    given = uris.drop_null()
    if len(given) and pc.all(pc.match_substring_regex(given, f"^({'|'.join(WEB)})")).as_py():
        raise RayselError(
            f"{redact_uri(table)} lists web addresses, and {NO_DOWNLOAD}: make WebDataset shards of it first, for "
            "example with img2dataset --output_format webdataset, and give their folder"
        )


@lru_cache(maxsize=2)
def _rows(uri: str, uri_column: str, label_column: str | None, etag: str) -> tuple[pa.Array, pa.Array]:
    """(URIs, labels), string[rows] each; cached until the table changes."""
    if label_column is None:
        (uris,) = text_columns(uri, [uri_column])
        return uris, pa.nulls(len(uris), pa.string())
    uris, labels = text_columns(uri, [uri_column, label_column])
    return uris, labels
