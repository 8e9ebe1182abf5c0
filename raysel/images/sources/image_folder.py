"""Image folders: the class of an image is the name of the folder that contains it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files import as_raysel_error, filesystem_of, list_folder, redact_uri, suffix
from raysel.images.file_names import is_hidden, is_image
from raysel.images.sources.image_files import read_files
from raysel.images.sources.source import Shard, Walked, walked_faults, walked_images

Images = list[tuple[str, fs.FileInfo]]
"""Key and file of each image."""


@dataclass(frozen=True)
class FolderSource:
    """A tree of image files.

    Its shards are the first-level subfolders, each with everything below it, and ``""``: the files of the root itself.
    Keys are paths below the root with their suffix. Labels: name of the folder that contains the file; null for the
    files of the root itself, which are not sorted into classes. `list_folder` says which links are followed; a file
    that several of them reach is listed once, see `ImagesList.build`.
    """

    uri: str
    kind: ClassVar[str] = "folder"

    def shard_names(self) -> list[str]:
        filesystem, root = filesystem_of(self.uri)
        found = list_folder(filesystem, root, recursive=False)
        entries = [(_key(root, info.path), info) for info in found.entries]
        folders = [key for key, info in entries if info.type == fs.FileType.Directory and not is_hidden(key)]
        own = found.faults or any(info.type != fs.FileType.Directory for _, info in entries)
        return sorted([*folders, ""] if own or not folders else folders)

    def walk(self, shard_name: str) -> Walked:
        images, linked_to, faults, skipped = self._list(shard_name)
        keys = [key for key, _ in images]
        lengths = [int(info.size) for _, info in images]
        table = walked_images(keys, [_label(key) for key in keys], [0] * len(keys), lengths, linked_to)
        return Walked(_shard(shard_name, images), table, skipped, walked_faults(faults))

    def stamp(self, shard_name: str) -> Shard:
        return _shard(shard_name, self._list(shard_name)[0])

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        filesystem, root = filesystem_of(self.uri)
        places = [(filesystem, f"{root.rstrip('/')}/{key}") for key in images["key"].to_pylist()]
        return read_files(places, images["length"].to_pylist())

    def _list(self, shard_name: str) -> tuple[Images, list[str | None], list[tuple[str, str]], int]:
        """A shard's images, sorted by key; what each is a link to; (key, reason) of unreadable ones; other files.

        Raises:
            RayselError: the folder is gone.
        """
        filesystem, root = filesystem_of(self.uri)
        folder = f"{root.rstrip('/')}/{shard_name}" if shard_name else root
        with as_raysel_error(f"cannot read {folder}"):
            kind = filesystem.get_file_info(folder).type
        if kind != fs.FileType.Directory:
            raise RayselError(f"folder {shard_name or '.'} of {redact_uri(self.uri)} is gone: run again")
        found = list_folder(filesystem, folder, recursive=bool(shard_name))
        files = [(_key(root, info.path), info) for info in found.entries if info.type != fs.FileType.Directory]
        images: Images = []
        faults, skipped = [], 0
        for key, info in files:
            if not is_image(key) or is_hidden(key):
                skipped += 1
            elif (reason := _unreadable(filesystem, info)) is not None:
                faults.append((key, reason))
            else:
                images.append((key, info))
        for path, reason in found.faults:
            key = _key(root, path)
            if (is_image(key) or not suffix(key)) and not is_hidden(key):  # a broken link may be to a folder of images
                faults.append((key, reason))
            else:
                skipped += 1
        real_root = os.path.realpath(root) if found.real_paths else ""
        linked_to = [_linked_to(key, found.real_paths.get(info.path), real_root) for key, info in images]
        return images, linked_to, sorted(faults), skipped


def _key(root: str, path: str) -> str:
    return path[len(root.rstrip("/")) + 1 :]


def _linked_to(key: str, real_path: str | None, real_root: str) -> str | None:
    """The key of the file that a link leads to, its path if it is outside of the root, or None if there is no link."""
    if real_path is None:
        return None
    inside = real_path.startswith(real_root.rstrip("/") + "/")
    target = _key(real_root, real_path) if inside else real_path
    return None if target == key else target


def _unreadable(filesystem: fs.FileSystem, info: fs.FileInfo) -> str | None:
    """Why a file that is named like an image cannot be read; None: only decoding can show it."""
    if info.type != fs.FileType.File:
        return "not a plain file"  # a pipe, a socket
    if isinstance(filesystem, fs.LocalFileSystem) and not os.access(info.path, os.R_OK):
        return "no permission to read it"
    return None


def _label(key: str) -> str | None:
    parts = key.split("/")
    return parts[-2] if len(parts) > 1 else None


def _shard(name: str, images: Images) -> Shard:
    """The shard with its stamp, which other files do not affect."""
    stamp = hashlib.sha256()
    for key, info in images:
        stamp.update(f"{key}\0{info.size}\0{info.mtime_ns}\0".encode())
    return Shard(name, sum(info.size for _, info in images), stamp.hexdigest()[:32])
