"""Listing folders: which links are followed on local disks, and what is reported as not reachable."""

from __future__ import annotations

import errno
import os
from collections import deque
from dataclasses import dataclass, field

from pyarrow import fs

from raysel.files.filesystems import as_raysel_error
from raysel.files.paths import clean_path


@dataclass(frozen=True)
class Listing:
    """The content of a folder."""

    entries: list[fs.FileInfo]
    """Files and folders, sorted by path."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """(path, reason) of what cannot be reached, sorted; only on local disks. The path of a folder ends in ``/``, and
    bytes that are not UTF-8 are written ``\\xNN``."""
    real_paths: dict[str, str] = field(default_factory=dict)
    """Path -> real path, of the files that were reached through a link; only on local disks."""


def list_folder(filesystem: fs.FileSystem, folder: str, recursive: bool) -> Listing:
    """The content of a folder; empty if the folder does not exist.

    On local disks a link to a file counts as a file. A link to a folder is followed unless its real path is (a) above
    the link or above `folder`, or (b) a folder that this listing has already visited. So a listing always ends, and
    visits no folder twice. Folders are visited before links to them, and of several links the first by name is
    followed. Pyarrow's own listing omits broken links silently, follows links upward until the system refuses, and
    stops at the first name that is not UTF-8.

    Raises:
        RayselError: a folder cannot be listed.
    """
    with as_raysel_error(f"cannot list {folder}"):
        if isinstance(filesystem, fs.LocalFileSystem):
            return _list_local_folder(folder, recursive)
        found = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=recursive))
        return Listing(sorted(found, key=lambda info: info.path))


def _list_local_folder(folder: str, recursive: bool) -> Listing:
    walk = _Walk(os.path.realpath(folder))
    folder = folder.rstrip("/")
    if not os.path.lexists(folder or "/"):
        return Listing([])
    walk.enter(folder, walk.root, recursive)
    while recursive and walk.links:
        link, real = walk.links.popleft()
        walk.enter(link, real, recursive)
    return Listing(sorted(walk.entries, key=lambda info: info.path), sorted(walk.faults), walk.real_paths)


class _Walk:
    """One listing in progress."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.entries: list[fs.FileInfo] = []
        self.faults: list[tuple[str, str]] = []
        self.real_paths: dict[str, str] = {}
        self.links: deque[tuple[str, str]] = deque()  # to folders, not followed yet: path, real path
        self.visited: set[str] = set()  # real paths of folders

    def enter(self, top: str, real_top: str, recursive: bool) -> None:
        """List a folder; with `recursive` also the folders below it, but not the links to folders."""
        waiting = [(top, real_top)]
        while waiting:
            folder, real = waiting.pop()
            if real in self.visited:
                continue
            self.visited.add(real)
            with os.scandir(folder or "/") as entries:
                # Sorted: which of two links to one folder is followed must not depend on the file system.
                for entry in sorted(entries, key=lambda each: each.name):
                    path, real_path = f"{folder}/{entry.name}", f"{real.rstrip('/')}/{entry.name}"
                    if self._take(entry, path, real_path) and recursive:
                        waiting.append((path, real_path))

    def _take(self, entry: os.DirEntry[str], path: str, real_path: str) -> bool:
        """Record an entry; True if it is a folder to be entered."""
        try:
            is_folder, status, is_link = entry.is_dir(), entry.stat(), entry.is_symlink()
        except OSError as error:
            if not (error.errno == errno.ENOENT and not entry.is_symlink()):  # else it was deleted just now
                self.faults.append((clean_path(path), _reason(error)))
            return False
        if not _is_utf8(path):
            self.faults.append((clean_path(path) + "/" * is_folder, "its name is not UTF-8: rename it"))
            return False
        parent = os.path.dirname(real_path)
        if is_link:
            real_path = os.path.realpath(path)
        if not is_folder:
            kind = fs.FileType.File if entry.is_file() else fs.FileType.Unknown
            self.entries.append(fs.FileInfo(path, kind, size=status.st_size, mtime_ns=status.st_mtime_ns))
            if real_path != path:
                self.real_paths[path] = clean_path(real_path)
            return False
        if is_link:
            if _is_above(real_path, parent) or _is_above(real_path, self.root):
                return False
            self.links.append((path, real_path))
        self.entries.append(fs.FileInfo(path, fs.FileType.Directory, mtime_ns=status.st_mtime_ns))
        return not is_link


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return "broken link"
    return "no permission to read it" if error.errno in (errno.EACCES, errno.EPERM) else str(error.strerror)


def _is_above(folder: str, other: str) -> bool:
    """True if a real path is that of the other folder, or of a folder that contains it."""
    return other == folder or other.startswith(folder.rstrip("/") + "/")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
