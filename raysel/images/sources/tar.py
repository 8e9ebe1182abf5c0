"""WebDataset tar shards: headers are walked once, images are then read by byte range."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, NamedTuple, cast

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error
from raysel.files.paths import as_utf8, redact_uri
from raysel.images.file_names import IMAGE_SUFFIXES, is_hidden, split_member, suffix
from raysel.images.sources.member_labels import LABEL_EXTENSIONS, MAX_LABEL_BYTES, member_label
from raysel.images.sources.shard_files import file_shard, files_below, located, require_unchanged
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images

LOCAL_BUFFER = 8 * 1024
"""Read-ahead of a walk over a local tar: headers are reached by seeking, which costs nothing."""
REMOTE_BUFFER = 4 * 1024 * 1024
"""Read-ahead over a network: a round trip costs as much as some megabytes, so small images are read through."""
MERGED_GAP = 64 * 1024
"""Ranges no further apart than this are fetched as one."""
MERGED_BYTES = 8 * 1024 * 1024
"""A merged range is no longer than this, or is a single image."""
CONNECTIONS = 8
"""Inner tars of a remote tar that are walked at the same time."""
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class TarSource:
    """Tar files below a root. Keys and labels as WebDataset has them, see `walk`."""

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

        Members that share a key (name up to the first dot of the base name) are one sample. Its image is the member
        with an image's extension; one with a longer extension (``a.seg.png``) only where there is none such. Its
        label is the text of ``.cls``, else the ``label``, ``class`` or ``cls`` of ``.json``, else the one line of
        ``.txt``, else null. A second image of one key, a link or a sparse member is a fault. A truncated or broken
        tar is a RayselError that names it.

        Members that are tars themselves, as in ``ILSVRC2012_img_train.tar``, are walked as well: ``n01440764.tar``
        becomes the folder ``n01440764`` of its images' keys, and their label where they have none of their own.
        """
        shard = self.stamp(shard_name)
        filesystem, path = located(self.root, shard_name)
        local = isinstance(filesystem, fs.LocalFileSystem)
        buffer = LOCAL_BUFFER if local else REMOTE_BUFFER

        def walk_inner(inner: _InnerTar) -> _Members:
            members = _Members(inner.offset, posixpath.splitext(inner.name)[0])
            with as_raysel_error(f"cannot read shard {shard_name}"), filesystem.open_input_file(path) as raw:
                stream = io.BufferedReader(_Window(raw, inner.offset, inner.size), buffer)
                _walk_headers(cast(BinaryIO, stream), Shard(f"{shard_name} ({inner.name})", inner.size, ""), members)
            return members

        members = _Members()
        with as_raysel_error(f"cannot read shard {shard_name}"), filesystem.open_input_file(path) as raw:
            _walk_headers(cast(BinaryIO, io.BufferedReader(raw, buffer)), shard, members)
        with ThreadPoolExecutor(1 if local else CONNECTIONS) as pool:
            for inner in pool.map(walk_inner, members.tars):
                members.take(inner)
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


class _InnerTar(NamedTuple):
    """A tar that is a member of a tar."""

    name: str
    offset: int
    size: int


class _Window(io.RawIOBase):
    """Some bytes of a file as a file of their own."""

    def __init__(self, file: pa.NativeFile, start: int, size: int) -> None:
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._position))
        data = self._file.read_at(length, self._start + self._position) if length else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@dataclass
class _Members:
    """What a tar's headers have said so far."""

    base: int = 0
    """Where the tar itself begins in its shard."""
    folder: str = ""
    """Of an inner tar: stands before its keys, and is the label of images that have none."""
    tars: list[_InnerTar] = field(default_factory=list)
    images: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    """key, extension, member name, offset, length"""
    labels: dict[str, tuple[int, str]] = field(default_factory=dict)
    """key -> (precedence of the extension, label)"""
    faults: list[tuple[str, str]] = field(default_factory=list)
    skipped: int = 0

    def add(self, member: tarfile.TarInfo, stream: BinaryIO) -> None:
        name = posixpath.join(self.folder, as_utf8(member.name))
        key, extension = split_member(name)
        if is_hidden(name):
            self.skipped += 1
        elif suffix(name) == "tar" and member.isreg() and not self.folder:
            self.tars.append(_InnerTar(name, member.offset_data, member.size))
        elif suffix(name) in IMAGE_SUFFIXES:
            if not member.isreg() or member.issparse():
                self.faults.append(
                    (key, f"{name} is a {'sparse member' if member.issparse() else 'link'}, not a plain file")
                )
            else:
                self.images.append((key, extension, name, self.base + member.offset_data, member.size))
                if self.folder:
                    self.labels.setdefault(key, (len(LABEL_EXTENSIONS), posixpath.basename(self.folder)))
        elif extension in LABEL_EXTENSIONS and member.isreg():
            self._label(key, extension, member, stream)
        else:
            self.skipped += 1

    def take(self, inner: _Members) -> None:
        """What an inner tar has said, after all that is here."""
        self.images += inner.images
        self.labels |= inner.labels
        self.faults += inner.faults
        self.skipped += inner.skipped

    def _label(self, key: str, extension: str, member: tarfile.TarInfo, stream: BinaryIO) -> None:
        precedence = LABEL_EXTENSIONS.index(extension)
        if member.size > MAX_LABEL_BYTES or self.labels.get(key, (precedence + 1, ""))[0] <= precedence:
            return
        stream.seek(member.offset_data)
        label = member_label(extension, stream.read(member.size))
        if label is not None:
            self.labels[key] = (precedence, label)

    def walked(self, shard: Shard) -> Walked:
        plain = {key for key, extension, *_ in self.images if extension in IMAGE_SUFFIXES}
        kept: dict[str, tuple[str, int, int]] = {}
        skipped, faults = self.skipped, list(self.faults)
        for key, extension, name, offset, length in self.images:
            if key in plain and extension not in IMAGE_SUFFIXES:
                skipped += 1  # another field of the sample: a mask, a depth map
            elif key in kept:
                faults.append((key, f"duplicate key: {name} comes after {kept[key][0]}"))
            else:
                kept[key] = (name, offset, length)
        images = walked_images(
            list(kept),
            [self.labels[key][1] if key in self.labels else None for key in kept],
            [offset for _, offset, _ in kept.values()],
            [length for _, _, length in kept.values()],
        )
        return Walked(shard, images, skipped, walked_faults(faults))


def refuse_compressed(name: str) -> None:
    """RayselError for a compressed tar."""
    if name.lower().endswith(COMPRESSED):
        raise RayselError(
            f"{name} is a compressed tar, of which no byte range can be read: unpack it to .tar (images gain nothing)"
        )


def _walk_headers(stream: BinaryIO, shard: Shard, members: _Members) -> None:
    """Feed every member to `members`; RayselError where the tar does not end as a tar ends."""
    count, last = 0, "none"
    try:
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # else every header of a 138 GB tar stays in memory
                if not member.isdir():
                    members.add(member, stream)
                count, last = count + 1, as_utf8(member.name)
            position = tar.offset
    except tarfile.TarError as error:
        raise _broken(shard, f"is broken or truncated ({error})", count, last) from error
    stream.seek(position)
    tail = stream.read(64 * 1024)
    if len(tail) < tarfile.BLOCKSIZE:
        raise _broken(shard, "ends without a tar's end marker: truncated", count, last)
    if any(tail[: tarfile.BLOCKSIZE]):
        raise _broken(shard, f"has a broken header at byte {position:,}", count, last)
    if any(tail):
        raise RayselError(
            f"shard {shard.name} goes on after its end marker at byte {position:,}: joined tars? split them again"
        )


def _broken(shard: Shard, what: str, count: int, last: str) -> RayselError:
    return RayselError(
        f"shard {shard.name} ({shard.size:,} bytes) {what}: {count:,} members were read, the last is {last}; "
        "copy it again"
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
