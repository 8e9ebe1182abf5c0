"""Tables of text, CSV or Parquet, by path or URI."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv, fs

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error, filesystem_of
from raysel.files.paths import absolute_uri, redact_uri
from raysel.images.file_names import suffix

TABLE_SUFFIXES = ("csv", "tsv", "parquet")


def column_names(path: str) -> list[str]:
    """Names of a table's columns.

    Raises:
        RayselError: it is missing or unreadable.
    """
    with as_raysel_error(f"cannot read the table {redact_uri(path)}"):
        filesystem, inside = filesystem_of(absolute_uri(path))
        if suffix(inside) == "parquet":
            return list(pq.read_schema(inside, filesystem=filesystem).names)
        with filesystem.open_input_stream(inside) as stream:
            return list(csv.open_csv(stream, parse_options=_dialect(inside)).schema.names)


def text_columns(path: str, columns: Sequence[str]) -> list[pa.Array]:
    """Some columns as text, string[n] each; an empty text is null.

    Raises:
        RayselError: the table is missing or unreadable, or has no such column (it lists those there are).
    """
    names = column_names(path)
    for column in columns:
        if column not in names:
            raise RayselError(f"no column {column!r} in {redact_uri(path)}: it has {', '.join(names)}")
    with as_raysel_error(f"cannot read the table {redact_uri(path)}"):
        filesystem, inside = filesystem_of(absolute_uri(path))
        table = _read(filesystem, inside, list(dict.fromkeys(columns)))
    texts = [table[column].cast(pa.string()).combine_chunks() for column in columns]
    return [pc.if_else(pc.equal(column, ""), None, column) for column in texts]


def _read(filesystem: fs.FileSystem, path: str, columns: list[str]) -> pa.Table:
    if suffix(path) == "parquet":
        return pq.read_table(path, columns=columns, filesystem=filesystem)
    text = csv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.string()))
    with filesystem.open_input_stream(path) as stream:
        return csv.read_csv(stream, parse_options=_dialect(path), convert_options=text)


def _dialect(path: str) -> csv.ParseOptions:
    return csv.ParseOptions(delimiter="\t" if suffix(path) == "tsv" else ",", newlines_in_values=True)
