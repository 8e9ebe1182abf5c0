"""Tables of text, CSV or Parquet, by path or URI."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from raysel.errors import RayselError
from raysel.files import open_file, redact_uri, suffix

TABLE_SUFFIXES = ("csv", "tsv", "parquet")


def column_names(path: str) -> list[str]:
    """Names of a table's columns.

    Raises:
        RayselError: the table is missing or unreadable.
    """
    with open_file(path, "table") as file:
        if suffix(path) == "parquet":
            return list(pq.read_schema(file).names)
        return list(csv.open_csv(file, parse_options=_dialect(path)).schema.names)


def text_columns(path: str, columns: Sequence[str]) -> list[pa.Array]:
    """Some columns as text, string[n] each; an empty text is null.

    Raises:
        RayselError: the table is missing or unreadable, or has no such column (the message lists those it has).
    """
    names = column_names(path)
    for column in columns:
        if column not in names:
            raise RayselError(f"no column {column!r} in {redact_uri(path)}: it has {', '.join(names)}")
    wanted = list(dict.fromkeys(columns))
    with open_file(path, "table") as file:
        if suffix(path) == "parquet":
            table = pq.read_table(file, columns=wanted)
        else:
            text = csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()))
            table = csv.read_csv(io.BytesIO(file.read()), parse_options=_dialect(path), convert_options=text)
        texts = [table[column].cast(pa.string()).combine_chunks() for column in columns]
    return [pc.if_else(pc.equal(column, ""), None, column) for column in texts]


def _dialect(path: str) -> csv.ParseOptions:
    return csv.ParseOptions(delimiter="\t" if suffix(path) == "tsv" else ",", newlines_in_values=True)
