"""Image folders: the class of an image is the name of the folder that holds it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error, filesystem_of, list_folder_with_faults
from raysel.files.paths import redact_uri
from raysel.images.file_names import is_hidden, is_image, suffix
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images

CONNECTIONS = 16
"""Files of a remote folder that are fetched at the same time: each costs a round trip."""


@dataclass(frozen=True)
class FolderSource:
    """A tree of image files.

    Its shards are the first-level sub-folders, each with all below it, and ``""``: the files of the root itself.
    Keys are paths below the root with their suffix. Labels: name of the folder that holds the file; null for the files
    of the root itself, which nobody has sorted into classes. Which links are followed: `list_local_folder`.
    """

    uri: str
    kind: ClassVar[str] = "folder"

    def shard_names(self) -> list[str]:
        filesystem, root = filesystem_of(self.uri)
        found, faults = list_folder_with_faults(filesystem, root, recursive=False)
        entries = [(self._key(root, info.path), info) for info in found]
        folders = [key for key, info in entries if info.type == fs.FileType.Directory and not is_hidden(key)]
        own = faults or any(info.type != fs.FileType.Directory for _, info in entries)
        return sorted([*folders, ""] if own or not folders else folders)

    def walk(self, shard_name: str) -> Walked:
        images, faults, skipped = self._images(shard_name)
        keys = [key for key, _ in images]
        table = walked_images(
            keys, [_label(key) for key in keys], [0] * len(keys), [int(info.size) for _, info in images]
        )
        return Walked(_shard(shard_name, images), table, skipped, walked_faults(faults))

    def stamp(self, shard_name: str) -> Shard:
        images, _, _ = self._images(shard_name)
        return _shard(shard_name, images)

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        filesystem, root = filesystem_of(self.uri)
        keys, lengths = images.column("key").to_pylist(), images.column("length").to_pylist()
        paths = [f"{root.rstrip('/')}/{key}" for key in keys]
        if isinstance(filesystem, fs.LocalFileSystem):
            for path, length in zip(paths, lengths, strict=True):
                yield whole_file(filesystem, path, length)
            return
        window = 4 * CONNECTIONS  # bounds what is held in memory
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for first in range(0, len(paths), window):
                some = slice(first, first + window)
                count = len(paths[some])
                yield from pool.map(whole_file, [filesystem] * count, paths[some], lengths[some])

    def _images(self, shard_name: str) -> tuple[list[tuple[str, fs.FileInfo]], list[tuple[str, str]], int]:
        """A shard's images by key, sorted; (key, reason) of those that cannot be read; how many files are no images.

        Raises:
            RayselError: the folder is gone.
        """
        filesystem, root = filesystem_of(self.uri)
        folder = f"{root.rstrip('/')}/{shard_name}" if shard_name else root
        with as_raysel_error(f"cannot read {folder}"):
            here = filesystem.get_file_info(folder).type
        if here != fs.FileType.Directory:
            raise RayselError(f"folder {shard_name or '.'} of {redact_uri(self.uri)} is gone: plan again")
        found, unreached = list_folder_with_faults(filesystem, folder, recursive=bool(shard_name))
        files = [(self._key(root, info.path), info) for info in found if info.type != fs.FileType.Directory]
        named = [(key, info) for key, info in files if is_image(key) and not is_hidden(key)]
        reasons = [_unreadable(filesystem, info) for _, info in named]
        images = [each for each, reason in zip(named, reasons, strict=True) if reason is None]
        faults = [(key, reason) for (key, _), reason in zip(named, reasons, strict=True) if reason is not None]
        lost = [(key, reason) for path, reason in unreached if _may_be_images(key := self._key(root, path))]
        return images, sorted([*faults, *lost]), len(files) - len(named) + len(unreached) - len(lost)

    @staticmethod
    def _key(root: str, path: str) -> str:
        return path[len(root.rstrip("/")) + 1 :]


def _unreadable(filesystem: fs.FileSystem, info: fs.FileInfo) -> str | None:
    """Why there is no image in what is named like one; None: it is for the decoder to find out."""
    if info.type != fs.FileType.File:
        return "not a plain file"  # a pipe, a socket
    if isinstance(filesystem, fs.LocalFileSystem) and not os.access(info.path, os.R_OK):
        return "no permission to read it"
    return None


def _may_be_images(key: str) -> bool:
    """True for the name of an image, and of what may be a folder of them: a broken link does not tell."""
    return (is_image(key) or not suffix(key)) and not is_hidden(key)


def _label(key: str) -> str | None:
    parts = key.split("/")
    return parts[-2] if len(parts) > 1 else None


def _shard(name: str, images: list[tuple[str, fs.FileInfo]]) -> Shard:
    """The group's stamp. Other files may come and go without any effect on it."""
    stamp = hashlib.sha256()
    for key, info in images:
        stamp.update(f"{key}\0{info.size}\0{info.mtime_ns}\0".encode())
    return Shard(name, sum(info.size for _, info in images), stamp.hexdigest()[:32])


def whole_file(filesystem: fs.FileSystem, path: str, length: int) -> bytes:
    """The bytes of a file; none of a local file that is there but cannot be read, as it is a bad image to `decode`.

    Raises:
        RayselError: it is gone, has another length than when it was walked, or its store gives no answer.
    """
    with as_raysel_error(f"the source changed while it was read: {path}"):
        try:
            with filesystem.open_input_stream(path) as file:
                data: bytes = file.read()
        except OSError as error:
            # Of a store such faults concern all its files: that ends the run.
            if isinstance(filesystem, fs.LocalFileSystem) and error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
                return b""
            raise
    if len(data) != length:
        raise RayselError(
            f"the source changed while it was read: {path} had {length} bytes and has {len(data)}; run again"
        )
    return data
