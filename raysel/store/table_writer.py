"""Writing the tables of an index: sorted, in row groups that hold whole neurons of one layer."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raysel.files import Folder
from raysel.store.manifest import DATA_PREFIX, FileEntry
from raysel.store.schema import CLASSES, FEATURES, IMAGES, QUARANTINE, RANKINGS, SHARDS, SHEETS, neurons_schema

NEURONS_PER_GROUP = 64
"""Neurons in a row group of the rankings: about 25,600 rows at the default depth."""
PICTURES_PER_GROUP = 16
"""Neurons in a row group of features and sheets."""
IMAGES_PER_GROUP = 4_096
"""Images in a row group: looking up the images of one ranking reads a small part of a long list."""

_PICTURES = ("picture", "feature", "count")
"""Columns without statistics, which would copy a picture into the file's footer."""
_RANKINGS: dict[str, Any] = {
    "compression_level": 9,
    "use_dictionary": ["layer", "label", "image", "row", "column", "x0", "y0", "x1", "y1"],
    "column_encoding": {
        "channel": "DELTA_BINARY_PACKED",
        "rank": "DELTA_BINARY_PACKED",
        "activation": "BYTE_STREAM_SPLIT",
        "w": "BYTE_STREAM_SPLIT",
    },
}
"""How rankings are stored. Columns with few distinct values in a row group are dictionary-encoded. Activations and w,
which fall slowly, are split into byte streams, which compress well."""
_PICTURES_LEVEL = {"compression_level": 9}
"""How features and sheets are compressed: the counts of features take a fifth of what they do at the usual level."""


def layer_file(table: str, layer: str) -> str:
    """Name of a layer's file in the folder of the tables, such as ``features/features.3.parquet``."""
    return f"{table}/{quote(layer, safe='')}.parquet"


@dataclass(frozen=True)
class TableWriter:
    """Writes the tables of one index. Each call writes one whole file and returns its entry for the manifest.

    Rows come as Arrow tables with exactly the columns of `raysel.store.schema`, in any order of columns; types are cast
    if nothing is lost. Raises `ValueError`, a programming error, for other columns and for rows out of order.
    """

    folder: Folder
    """Folder of the index."""
    fingerprint: str
    """Fingerprint of the index; names the folder ``data/<fingerprint>/``."""

    def neurons(self, table: pa.Table) -> FileEntry:
        """``neurons.parquet`` from rows in any order, sorted in the order of the network, one row group per layer.

        Layers of equal depth (no convolution between them) keep the order in which they first appear.
        """
        table = _conform(table, neurons_schema())
        layers = table["layer"].combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.lexsort((table["channel"].to_numpy(), layers, table["layer_depth"].to_numpy()))
        return self._write("neurons.parquet", neurons_schema(), _neuron_groups([table.take(order)], len(table)))

    def rankings(self, tables: Iterable[pa.Table]) -> FileEntry:
        """``rankings.parquet`` from a stream of tables, sorted by layer, channel and rank."""
        return self._write_neurons("rankings.parquet", RANKINGS, tables, NEURONS_PER_GROUP, **_RANKINGS)

    def images(self, tables: Iterable[pa.Table]) -> FileEntry:
        """``images.parquet`` from a stream of tables, sorted by image id."""
        return self._write("images.parquet", IMAGES, (_conform(table, IMAGES) for table in tables), IMAGES_PER_GROUP)

    def shards(self, table: pa.Table) -> FileEntry:
        """``shards.parquet``."""
        return self._write("shards.parquet", SHARDS, [_conform(table, SHARDS)])

    def classes(self, table: pa.Table) -> FileEntry:
        """``classes.parquet``, sorted by label; empty if the images have no labels."""
        return self._write("classes.parquet", CLASSES, [_conform(table, CLASSES).sort_by("label")])

    def quarantine(self, table: pa.Table) -> FileEntry:
        """``quarantine.parquet``, sorted by key."""
        return self._write("quarantine.parquet", QUARANTINE, [_conform(table, QUARANTINE).sort_by("key")])

    def features(self, layer: str, tables: Iterable[pa.Table]) -> FileEntry:
        """``features/<layer>.parquet`` from a stream of tables, sorted by channel; dead neurons have no row."""
        return self._write_neurons(
            layer_file("features", layer), FEATURES, tables, PICTURES_PER_GROUP, **_PICTURES_LEVEL
        )

    def sheets(self, layer: str, tables: Iterable[pa.Table]) -> FileEntry:
        """``sheets/<layer>.parquet`` from a stream of tables, sorted by channel; dead neurons have no row."""
        return self._write_neurons(layer_file("sheets", layer), SHEETS, tables, PICTURES_PER_GROUP, **_PICTURES_LEVEL)

    def _write_neurons(
        self, name: str, schema: pa.Schema, tables: Iterable[pa.Table], neurons: int, **stored: Any
    ) -> FileEntry:
        groups = _neuron_groups((_conform(table, schema) for table in tables), neurons)
        return self._write(name, schema, groups, **stored)

    def _write(
        self, name: str, schema: pa.Schema, groups: Iterable[pa.Table], group_rows: int | None = None, **stored: Any
    ) -> FileEntry:
        full_name = f"{DATA_PREFIX}/{self.fingerprint}/{name}"
        with self.folder.writing(full_name) as path:
            _write_parquet(path, schema, groups, group_rows, **stored)
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return FileEntry(name=full_name, size=path.stat().st_size, sha256=digest)


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with the columns of `schema`, in its order and types."""
    if set(table.column_names) != set(schema.names):
        wrong = sorted(set(table.column_names) ^ set(schema.names))
        raise ValueError(f"columns missing or unknown: {', '.join(wrong)}")
    return table.select(schema.names).cast(schema)


def _neuron_groups(tables: Iterable[pa.Table], neurons: int) -> Iterator[pa.Table]:
    """Cut a sorted stream into tables of at most `neurons` whole neurons of one layer: the row groups.

    The rows of one neuron must be in one table of the stream. A table without a ``layer`` column is of one layer.
    """
    group: list[pa.Table] = []
    finished: set[str | None] = set()
    layer, last = None, -1
    for name, channel, rows in (neuron for table in tables for neuron in _split(table)):
        if group and (name != layer or len(group) == neurons):
            yield pa.concat_tables(group)
            group = []
        if name != layer:
            finished.add(layer)
            layer, last = name, -1
        if name in finished or channel <= last:
            raise ValueError(f"rows are not sorted: {name}:{channel} is repeated, or comes after channel {last}")
        last = channel
        group.append(rows)
    if group:
        yield pa.concat_tables(group)


def _split(table: pa.Table) -> Iterator[tuple[str, int, pa.Table]]:
    """(layer, channel, rows) of each neuron of a table."""
    if not len(table):
        return
    names = table["layer"].cast(pa.string()) if "layer" in table.column_names else pa.repeat("", len(table))
    layers, channels = np.asarray(names.to_pylist(), dtype=object), table["channel"].to_numpy()
    starts = [0, *(np.flatnonzero((layers[1:] != layers[:-1]) | (channels[1:] != channels[:-1])) + 1), len(table)]
    for start, end in itertools.pairwise(starts):
        yield layers[start], int(channels[start]), table.slice(start, end - start)


def _write_parquet(
    path: Path, schema: pa.Schema, groups: Iterable[pa.Table], group_rows: int | None = None, **stored: Any
) -> None:
    """Write one Parquet file, zstd: a row group per table of `groups`, or per `group_rows` rows.

    `stored`: options of `ParquetWriter`. By default, only dictionary columns are dictionary-encoded.
    """
    plain = [field.name for field in schema if field.name not in _PICTURES]
    texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    options = {"compression": "zstd", "use_dictionary": texts, "write_statistics": plain} | stored
    with pq.ParquetWriter(path, schema, **options) as writer:
        for table in groups:
            if len(table):
                writer.write_table(_in_one_chunk(table), row_group_size=group_rows or len(table))


def _in_one_chunk(table: pa.Table) -> pa.Table:
    """The table in one chunk, its dictionaries in order of appearance: equal rows then give equal bytes."""
    columns = []
    for column in table.combine_chunks().columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type).combine_chunks().dictionary_encode().cast(column.type)
        columns.append(column)
    return pa.table(columns, schema=table.schema)
