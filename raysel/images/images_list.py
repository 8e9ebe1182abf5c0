"""The images list: every image of a source, numbered by sorted key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.files import redact_uri
from raysel.images.labels.matching import match_labels, repeated
from raysel.images.sources.source import WALKED_FAULTS, WALKED_IMAGES, Source, Walked

SHARDS = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in [("name", pa.string()), ("size", pa.int64()), ("etag", pa.string())]
    ]
)
FAULTS = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("key", "shard", "reason")])


@dataclass(frozen=True, eq=False)
class ImagesList:
    """Every image of a source. Row numbers are image ids; ids number the keys in bytewise order."""

    images: pa.Table
    """id int64 (= row number), key string, label string (nullable), shard int32 (row of `shards`), offset int64,
    length int64."""
    shards: pa.Table
    """name string, size int64, etag string; sorted by name."""
    faults: pa.Table
    """key string, shard string (its name), reason string: what looks like an image but is not in the list."""
    skipped: int
    """Files that are hidden, by suffix neither image nor label, or further links to a listed image."""

    @classmethod
    def build(cls, source: Source, walked: Iterable[Walked]) -> ImagesList:
        """Join the walks of all shards of a source; their order does not matter.

        A file that several links lead to, in whatever shards, is listed once: under its own key, or if that is not in
        the source, under the first key of a link. Other links to it count as skipped.

        Keys do not depend on how images are divided into shards, unless several shards contain one key: then its
        images, and no others, get the shard's name as a prefix, ``train-3.tar/0001``. If a key is still not unique, its
        first image by shard and offset is listed; the others are faults.

        Raises:
            RayselError: there are no images.
        """
        parts = sorted(walked, key=lambda part: part.shard.name)
        names = [part.shard.name for part in parts]
        shards = pa.Table.from_pylist(
            [{"name": part.shard.name, "size": part.shard.size, "etag": part.shard.etag} for part in parts],
            schema=SHARDS,
        )
        skipped = sum(part.skipped for part in parts)
        rows = _with_shard(parts, "images", WALKED_IMAGES)
        faults = _with_shard(parts, "faults", WALKED_FAULTS)
        if not rows.num_rows:
            raise RayselError(
                f"no image in {redact_uri(source.uri)}: {len(parts):,} shards contain {skipped:,} other files"
                + (f" and {faults.num_rows:,} faults, the first: {faults['reason'][0]}" if faults.num_rows else "")
            )
        files = _each_file_once(rows)
        skipped += rows.num_rows - files.num_rows
        keys = _with_unique_keys(files["key"].combine_chunks(), files["shard"].to_numpy(), names)
        rows = files.set_column(files.schema.get_field_index("key"), WALKED_IMAGES.field("key"), keys)
        rows = rows.sort_by([("key", "ascending"), ("shard", "ascending"), ("offset", "ascending")])
        again = _repeats_previous(rows["key"])
        second = rows.filter(pa.array(again)).select(["key", "shard"])
        second = second.append_column(
            WALKED_FAULTS.field("reason"), pa.array(["duplicate key"] * second.num_rows, pa.string())
        )
        rows = rows.filter(pa.array(~again))
        faults = pa.concat_tables([faults, second.select(faults.column_names)])
        return cls(_numbered(rows), shards, _named(faults, names), skipped)

    @cached_property
    def digest(self) -> str:
        """sha256, hex, of the keys in order of id and of every shard's name, size and etag; not of the labels."""
        digest = hashlib.sha256()
        for shard in self.shards.to_pylist():
            digest.update(f"{shard['name']}\0{shard['size']}\0{shard['etag']}\0".encode())
        for batch in self.images.select(["key"]).to_batches(max_chunksize=65_536):
            digest.update(
                b"".join(len(key := text.encode()).to_bytes(8, "little") + key for text in batch["key"].to_pylist())
            )
        return digest.hexdigest()

    @cached_property
    def classes(self) -> list[str]:
        """The distinct labels, sorted."""
        return sorted(label for label in pc.unique(self.images["label"]).to_pylist() if label is not None)

    @property
    def labeled(self) -> int:
        """Number of images with a label."""
        return self.images.num_rows - int(self.images["label"].null_count)

    @cached_property
    def class_numbers(self) -> NDArray[np.int32]:
        """int32[n]: index of each image's label in `classes`; -1 if it has none."""
        numbers = pc.index_in(self.images["label"], value_set=pa.array(self.classes, pa.string()))
        return np.asarray(pc.fill_null(numbers, -1).to_numpy(), dtype=np.int32)

    def with_labels(self, labels: pa.Table) -> ImagesList:
        """The list with the labels of a table (columns key, label; see `read_labels`) instead of its own.

        An image matches by its key, or else by its key without an image suffix, or else by its base name without
        suffix if that is unique on both sides: the table's key may be a bare name, or begin with more or fewer folders,
        but not with different ones. Images without a row get a null label; `labeled` counts the others.

        Raises:
            RayselError: no image matches.
        """
        column = match_labels(self.images["key"].combine_chunks(), labels)
        place = self.images.schema.get_field_index("label")
        return replace(self, images=self.images.set_column(place, pa.field("label", pa.string()), column))


def _with_shard(parts: list[Walked], table: str, schema: pa.Schema) -> pa.Table:
    """The parts' tables joined, with the number of the part in a column ``shard``."""
    tables: list[pa.Table] = [getattr(part, table) for part in parts]
    shard = np.repeat(np.arange(len(parts), dtype=np.int32), [part.num_rows for part in tables])
    together = pa.concat_tables([schema.empty_table(), *tables])
    return together.append_column(pa.field("shard", pa.int32(), nullable=False), pa.array(shard, pa.int32()))


def _each_file_once(rows: pa.Table) -> pa.Table:
    """The rows without the links to files that another row lists: a row without a link, or else with a smaller key."""
    if rows["linked_to"].null_count == rows.num_rows:
        return rows
    rows = rows.append_column("file", pc.coalesce(rows["linked_to"], rows["key"]))
    rows = rows.append_column("is_link", pc.is_valid(rows["linked_to"]).cast(pa.int8()))
    rows = rows.sort_by([("file", "ascending"), ("is_link", "ascending"), ("key", "ascending")])
    return rows.filter(pa.array(~_repeats_previous(rows["file"])))


def _with_unique_keys(keys: pa.Array, shard: NDArray[np.int32], names: list[str]) -> pa.Array:
    """The keys; those that several shards contain get the shard's name as a prefix."""
    shared = repeated(keys)
    if not len(shared):
        return keys
    prefixes = pa.array(names, pa.string()).take(pa.array(shard))
    prefixed = pc.binary_join_element_wise(prefixes, keys, "/")
    return pc.if_else(pc.is_in(keys, value_set=shared), prefixed, keys)


def _repeats_previous(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    """bool[n]: True where a sorted value equals the one before it."""
    again = np.zeros(len(values), dtype=bool)
    again[1:] = pc.equal(values.slice(1), values.slice(0, len(values) - 1)).to_numpy()
    return again


def _numbered(rows: pa.Table) -> pa.Table:
    rows = rows.select(["key", "label", "shard", "offset", "length"]).combine_chunks()
    return rows.add_column(0, pa.field("id", pa.int64(), nullable=False), pa.array(np.arange(rows.num_rows)))


def _named(faults: pa.Table, names: list[str]) -> pa.Table:
    """The faults with their shard's name instead of its number, sorted."""
    shard = pa.array(names, pa.string()).take(faults["shard"].combine_chunks())
    named = pa.table([faults["key"], shard, faults["reason"]], schema=FAULTS)
    return named.sort_by([("key", "ascending"), ("shard", "ascending"), ("reason", "ascending")])
