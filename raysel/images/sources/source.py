"""What every kind of source provides: its shards, the images in each, and the bytes of any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

WALKED_IMAGES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("linked_to", pa.string()),
    ]
)
"""Images of one shard.

`offset` and `length`: bytes in the shard's file (tar); 0 and the file's bytes (folder); a row of the shard and its
approximate bytes (Parquet); a row of the table and the bytes of its file (table of URIs). `linked_to`: the file that a
link leads to, as its key or, outside of the source, its absolute path; null if there is no link."""

WALKED_FAULTS = pa.schema(
    [pa.field("key", pa.string(), nullable=False), pa.field("reason", pa.string(), nullable=False)]
)
"""What cannot be an image of the list: second images of a key, broken links, missing files."""


@dataclass(frozen=True)
class Shard:
    """The unit in which a source is walked and checked for changes: a file of images, a first-level folder with
    everything below it, or some rows of a table of URIs."""

    name: str
    """Path below the source's root; empty for the files of the root itself."""
    size: int
    """Bytes: of the shard's file, or of the folder's image files together."""
    etag: str
    """Changes with the content. S3: its ETag; local file: size and mtime; folder: hash of its files' names, sizes and
    mtimes."""


@dataclass(frozen=True)
class Walked:
    """The content of one shard, found without reading any image."""

    shard: Shard
    images: pa.Table
    """Schema `WALKED_IMAGES`, in the shard's reading order; keys are distinct."""
    skipped: int
    """Files that are hidden, or by suffix neither image nor label."""
    faults: pa.Table
    """Schema `WALKED_FAULTS`."""


@runtime_checkable
class Source(Protocol):
    """A collection of images. Small and picklable; each process opens its own connections."""

    @property
    def uri(self) -> str:
        """Absolute path or URI. It may contain credentials: print it through `redact_uri` only."""

    @property
    def kind(self) -> str:
        """``folder``, ``tar``, ``parquet`` or ``table``."""

    def shard_names(self) -> list[str]:
        """Names of all shards, sorted. Lists the source; raises RayselError if that fails or nothing is there."""

    def walk(self, shard_name: str) -> Walked:
        """All images of one shard. Reads headers and listings only.

        Raises:
            RayselError: the shard is gone, unreadable or broken (a truncated tar).
        """

    def stamp(self, shard_name: str) -> Shard:
        """The shard's current size and etag, cheaper than a walk. Raises RayselError if it is gone."""

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        """Bytes of some images of one shard, in the order of the table's rows (columns key, offset, length).

        Fastest for rows in reading order, as in a slice: adjacent byte ranges are fetched together.

        Args:
            shard_name: as listed.
            images: rows of the images list.
            etag: the shard's when it was listed; None: not compared. A folder compares only its files' sizes.

        Raises:
            RayselError: a file is gone or has changed since the walk. The index promises to cover what was listed, so
                a source that changes during a run stops it. An unreadable image does not (`decode`).
        """


@dataclass(frozen=True)
class MovedSource:
    """A source whose images are elsewhere now: it keeps its URI, and its shards' etags are not compared."""

    uri: str
    """Where the images were when they were listed."""
    now: Source

    @property
    def kind(self) -> str:
        """See `Source`."""
        return self.now.kind

    def shard_names(self) -> list[str]:
        """See `Source`."""
        return self.now.shard_names()

    def walk(self, shard_name: str) -> Walked:
        """See `Source`."""
        return self.now.walk(shard_name)

    def stamp(self, shard_name: str) -> Shard:
        """See `Source`."""
        return self.now.stamp(shard_name)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        """See `Source`; `etag` was that of another place."""
        return self.now.read(shard_name, images)


def walked_images(
    keys: list[str],
    labels: list[str | None],
    offsets: list[int],
    lengths: list[int],
    linked_to: list[str | None] | None = None,
) -> pa.Table:
    """The columns as a table of schema `WALKED_IMAGES`."""
    return pa.table([keys, labels, offsets, lengths, linked_to or [None] * len(keys)], schema=WALKED_IMAGES)


def walked_faults(faults: list[tuple[str, str]]) -> pa.Table:
    """(key, reason) pairs as a table of schema `WALKED_FAULTS`."""
    return pa.table([[key for key, _ in faults], [reason for _, reason in faults]], schema=WALKED_FAULTS)
