"""Writing the tables of an index: sorted, in row groups that hold whole neurons of one layer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raysel.files.folder import Folder
from raysel.store.manifest import DATA_PREFIX, FileEntry
from raysel.store.schema import CLASSES, FEATURES, IMAGES, QUARANTINE, RANKINGS, SHARDS, SHEETS, neurons_schema

NEURONS_PER_GROUP = 64
"""Neurons in one row group of the rankings: about 25,600 rows at the default depth."""
PICTURES_PER_GROUP = 16
"""Neurons in one row group of features and sheets."""
IMAGES_PER_GROUP = 4_096
"""Few enough that the images of one ranking are looked up without reading most of a long list."""

# Statistics of a picture would be a copy of it in the file's footer.
_PICTURES = ("png", "picture", "feature", "count")


def layer_file(table: str, layer: str) -> str:
    """Name of a layer's file in the folder of the tables, such as ``features/features.3.parquet``."""
    return f"{table}/{quote(layer, safe='')}.parquet"


@dataclass(frozen=True)
class TableWriter:
    """Writes the tables of one index. Each call writes one whole file and returns its entry for the manifest.

    Rows come as Arrow tables that have exactly the columns of `raysel.store.schema`, in any order of columns; types are
    cast where nothing is lost. A `ValueError` is a mistake of the caller: other columns, or rows out of order.
    """

    folder: Folder
    """The index."""
    fingerprint: str
    """Of the index; names the folder ``data/<fingerprint>/``."""

    def neurons(self, table: pa.Table) -> FileEntry:
        """``neurons.parquet`` from rows in any order: sorted by place in the network, a row group per layer.

        Layers that are equally deep (two without a convolution between them) keep the order in which they first come.
        """
        table = conform(table, neurons_schema())
        layers = table["layer"].combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.lexsort((table["channel"].to_numpy(), layers, table["layer_depth"].to_numpy()))
        table = table.take(order)
        return self._write("neurons.parquet", neurons_schema(), neuron_groups([table], len(table) or 1))

    def rankings(self, tables: Iterable[pa.Table]) -> FileEntry:
        """``rankings.parquet`` from a stream of tables whose rows are in order: layer by layer, channel, rank."""
        conformed = (conform(table, RANKINGS) for table in tables)
        return self._write("rankings.parquet", RANKINGS, neuron_groups(conformed, NEURONS_PER_GROUP))

    def images(self, tables: Iterable[pa.Table]) -> FileEntry:
        """``images.parquet`` from a stream of tables whose rows are in order of the image ids."""
        return self._write("images.parquet", IMAGES, (conform(table, IMAGES) for table in tables), IMAGES_PER_GROUP)

    def shards(self, table: pa.Table) -> FileEntry:
        """``shards.parquet``."""
        return self._write("shards.parquet", SHARDS, [conform(table, SHARDS)])

    def classes(self, table: pa.Table) -> FileEntry:
        """``classes.parquet``, sorted by label; without rows where the images have no labels."""
        return self._write("classes.parquet", CLASSES, [conform(table, CLASSES).sort_by("label")])

    def quarantine(self, table: pa.Table) -> FileEntry:
        """``quarantine.parquet``, sorted by key."""
        return self._write("quarantine.parquet", QUARANTINE, [conform(table, QUARANTINE).sort_by("key")])

    def features(self, layer: str, tables: Iterable[pa.Table]) -> FileEntry:
        """``features/<layer>.parquet`` from a stream of tables in order of the channels; dead neurons have no row."""
        groups = neuron_groups((conform(table, FEATURES) for table in tables), PICTURES_PER_GROUP)
        return self._write(layer_file("features", layer), FEATURES, groups)

    def sheets(self, layer: str, tables: Iterable[pa.Table]) -> FileEntry:
        """``sheets/<layer>.parquet`` from a stream of tables in order of the channels; dead neurons have no row."""
        groups = neuron_groups((conform(table, SHEETS) for table in tables), PICTURES_PER_GROUP)
        return self._write(layer_file("sheets", layer), SHEETS, groups)

    def _write(
        self, name: str, schema: pa.Schema, groups: Iterable[pa.Table], group_rows: int | None = None
    ) -> FileEntry:
        full_name = f"{DATA_PREFIX}/{self.fingerprint}/{name}"
        with self.folder.writing(full_name) as path:
            write_parquet(path, schema, groups, group_rows)
            return FileEntry(name=full_name, size=path.stat().st_size, sha256=sha256_of(path))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with the columns of `schema`, in its order and types."""
    if set(table.column_names) != set(schema.names):
        wrong = sorted(set(table.column_names) ^ set(schema.names))
        raise ValueError(f"columns missing or unknown: {', '.join(wrong)}")
    return table.select(schema.names).cast(schema)


def neuron_groups(tables: Iterable[pa.Table], neurons: int) -> Iterator[pa.Table]:
    """Cut a sorted stream into tables of at most `neurons` whole neurons of one layer: the row groups.

    A neuron may not be spread over two tables of the stream. Without a ``layer`` column all is one layer.
    """
    order = _Order()
    pending: list[pa.Table] = []
    for table in tables:
        for piece in order.neurons(table):
            if pending and (len(pending) == neurons or order.new_layer):
                yield pa.concat_tables(pending)
                pending = []
            pending.append(piece)
    if pending:
        yield pa.concat_tables(pending)


class _Order:
    """Walks a stream neuron by neuron and holds it to its order."""

    def __init__(self) -> None:
        self.new_layer = False
        self._layer: str | None = None
        self._channel = -1
        self._finished: set[str | None] = set()

    def neurons(self, table: pa.Table) -> Iterator[pa.Table]:
        if not len(table):
            return
        layers = _texts(table["layer"]) if "layer" in table.column_names else np.full(len(table), "", dtype=object)
        channels = table["channel"].to_numpy()
        changes = np.flatnonzero((layers[1:] != layers[:-1]) | (channels[1:] != channels[:-1])) + 1
        for start, end in zip((0, *changes), (*changes, len(table)), strict=True):
            self._step(layers[start], int(channels[start]))
            yield table.slice(start, end - start)

    def _step(self, layer: str, channel: int) -> None:
        self.new_layer = layer != self._layer
        if self.new_layer:
            self._finished.add(self._layer)
            self._layer, self._channel = layer, -1
        if layer in self._finished or channel <= self._channel:
            raise ValueError(f"rows are not sorted: {layer}:{channel} comes again, or after channel {self._channel}")
        self._channel = channel


def write_parquet(path: Path, schema: pa.Schema, groups: Iterable[pa.Table], group_rows: int | None = None) -> None:
    """One Parquet file, zstd: a row group per table of `groups`, or of at most `group_rows` rows."""
    plain = [field.name for field in schema if field.name not in _PICTURES]
    texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=texts, write_statistics=plain) as writer:
        for table in groups:
            if len(table):
                writer.write_table(_as_one(table), row_group_size=group_rows or len(table))


def _as_one(table: pa.Table) -> pa.Table:
    """The table in one chunk, its dictionaries in order of appearance: equal rows become equal bytes."""
    columns = []
    for column in table.combine_chunks().columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type).combine_chunks().dictionary_encode().cast(column.type)
        columns.append(column)
    return pa.table(columns, schema=table.schema)


def sha256_of(path: Path) -> str:
    """Of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)
