"""WebDataset tar shards: headers are walked once, images are then read by byte range."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, cast

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files import as_raysel_error, redact_uri, suffix
from raysel.images.sources.shard_files import file_shard, files_below, located, require_unchanged
from raysel.images.sources.source import Shard, Walked
from raysel.images.sources.tar_members import Members, TarRange, read_headers

LOCAL_BUFFER = 8 * 1024
"""Read-ahead of a walk over a local tar: seeking to the next header costs nothing."""
REMOTE_BUFFER = 4 * 1024 * 1024
"""Read-ahead over a network: a round trip costs as much as some megabytes, so small images are read through."""
MERGED_GAP = 64 * 1024
"""Ranges no further apart than this are fetched as one."""
MERGED_BYTES = 8 * 1024 * 1024
"""Longest merged range, unless it is a single image."""
CONNECTIONS = 8
"""Inner tars of a remote tar that are walked at the same time."""
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class TarSource:
    """Tar files below a root. Keys and labels follow WebDataset, see `walk`."""

    uri: str
    root: str
    """Folder, as absolute path or URI, that shard names are relative to."""
    pattern: str = ""
    """Glob over shard names; empty: every ``.tar`` below the root."""
    kind: ClassVar[str] = "tar"

    def shard_names(self) -> list[str]:
        names = files_below(self.root, self.pattern)
        for name in names:
            refuse_compressed(name)
        tars = [name for name in names if suffix(name) == "tar"]
        if not tars:
            raise RayselError(f"no .tar file at {redact_uri(self.uri)}: give a folder, a glob or a file of tar shards")
        return tars

    def walk(self, shard_name: str) -> Walked:
        """All images of one tar, from its headers.

        Members with the same key (name up to the first dot of the base name) are one sample. Its image is the member
        with an image extension; one with a longer extension (``a.seg.png``) only if there is no other. Its label is the
        text of ``.cls``, or else the ``label``, ``class`` or ``cls`` of ``.json``, or else the only line of ``.txt``,
        or else null. A second image of one key, a link or a sparse member is a fault. A truncated or broken tar raises
        a RayselError that names it.

        Members that are tars themselves, as in ``ILSVRC2012_img_train.tar``, are walked as well: ``n01440764.tar``
        becomes the folder ``n01440764`` of its images' keys, and their label if they have none of their own.
        """
        shard = self.stamp(shard_name)
        filesystem, path = located(self.root, shard_name)
        local = isinstance(filesystem, fs.LocalFileSystem)

        def walk_one(tar: TarRange) -> Members:
            with as_raysel_error(f"cannot read shard {shard_name}"), filesystem.open_input_file(path) as raw:
                stream = io.BufferedReader(raw, LOCAL_BUFFER if local else REMOTE_BUFFER)
                return read_headers(cast(BinaryIO, stream), shard_name, tar)

        members = walk_one(TarRange("", 0, shard.size))
        with ThreadPoolExecutor(1 if local else CONNECTIONS) as pool:
            for inner in pool.map(walk_one, members.tars):
                members.extend(inner)
        return members.walked(shard)

    def stamp(self, shard_name: str) -> Shard:
        return file_shard(self.root, shard_name)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        require_unchanged(self.root, shard_name, etag)
        filesystem, path = located(self.root, shard_name)
        offsets, lengths = images.column("offset").to_pylist(), images.column("length").to_pylist()
        changed = f"the source changed while it was read: shard {shard_name}"
        with as_raysel_error(changed), filesystem.open_input_file(path) as file:
            for first, last in _merged(offsets, lengths):
                start, end = offsets[first], offsets[last] + lengths[last]
                data = file.read_at(end - start, start)
                if len(data) != end - start:
                    raise RayselError(f"{changed} ends before byte {end}; run again")
                for row in range(first, last + 1):
                    yield data[offsets[row] - start : offsets[row] - start + lengths[row]]


def refuse_compressed(name: str) -> None:
    """Raises RayselError for a compressed tar."""
    if name.lower().endswith(COMPRESSED):
        raise RayselError(
            f"{name} is a compressed tar, which has no byte ranges: unpack it to .tar (compression saves nothing here)"
        )


def _merged(offsets: list[int], lengths: list[int]) -> Iterator[tuple[int, int]]:
    """(first, last) rows of runs that are fetched by one read: ascending, close together, not too long."""
    first = 0
    for row in range(1, len(offsets) + 1):
        if row < len(offsets):
            gap = offsets[row] - (offsets[row - 1] + lengths[row - 1])
            if 0 <= gap <= MERGED_GAP and offsets[row] + lengths[row] - offsets[first] <= MERGED_BYTES:
                continue
        yield first, row - 1
        first = row
