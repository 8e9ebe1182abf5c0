"""Listing local folders: links, and names and files that cannot be reached."""

from __future__ import annotations

import errno
import os
from collections import deque

from pyarrow import fs

from raysel.files.paths import clean_path

Faults = list[tuple[str, str]]
"""(path, reason); the path of a folder ends in ``/``, and bytes that are not UTF-8 are written ``\\xNN``."""


def list_local_folder(folder: str, recursive: bool) -> tuple[list[fs.FileInfo], Faults]:
    """What lies in a local folder, sorted by path, and what cannot be reached; nothing where the folder is not there.

    Links to files count as files. Links to folders are followed, with two exceptions, both by real path: a folder
    above the link or above `folder`, and one that this listing has been through. So no chain of links lists an image
    twice, and none is endless; but a link out of `folder`, as to a sibling, lists what is there under the link's name.
    Folders come before links to them, whatever their names.

    Pyarrow's own listing leaves out broken links without a word, follows links upwards until the system has enough of
    it, and stops at the first name that is not UTF-8.

    Raises:
        OSError: a folder cannot be listed.
    """
    walk = _Walk(os.path.realpath(folder))
    folder = folder.rstrip("/")
    if not os.path.lexists(folder or "/"):
        return [], []
    walk.enter(folder, walk.root, recursive)
    if recursive:
        while walk.links:
            link, real = walk.links.popleft()
            if real not in walk.been:
                walk.enter(link, real, recursive=True)
    return sorted(walk.found, key=lambda info: info.path), sorted(walk.faults)


class _Walk:
    """One listing under way."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.found: list[fs.FileInfo] = []
        self.faults: Faults = []
        self.links: deque[tuple[str, str]] = deque()  # to folders, not followed yet: path, real path
        self.been: set[str] = set()  # real paths of folders

    def enter(self, top: str, real_top: str, recursive: bool) -> None:
        """List a folder; with `recursive` also those below it, all but the links."""
        waiting = [(top, real_top)]
        while waiting:
            folder, real = waiting.pop()
            if real in self.been:
                continue
            self.been.add(real)
            with os.scandir(folder or "/") as entries:
                # Sorted: which of two links to one folder is followed must not depend on the file system.
                for entry in sorted(entries, key=lambda each: each.name):
                    path = f"{folder}/{entry.name}"
                    if self._take(entry, path, real) and recursive:
                        waiting.append((path, f"{real.rstrip('/')}/{entry.name}"))

    def _take(self, entry: os.DirEntry[str], path: str, real_parent: str) -> bool:
        """Notes down an entry; True for a folder that is to be entered."""
        try:
            is_folder, status = entry.is_dir(), entry.stat()
        except OSError as error:
            if not (error.errno == errno.ENOENT and not entry.is_symlink()):  # else it was deleted just now
                self.faults.append((clean_path(path), _reason(error)))
            return False
        if not _is_utf8(path):
            self.faults.append((clean_path(path) + "/" * is_folder, "its name is not UTF-8: rename it"))
            return False
        if not is_folder:
            kind = fs.FileType.File if entry.is_file() else fs.FileType.Unknown
            self.found.append(fs.FileInfo(path, kind, size=status.st_size, mtime_ns=status.st_mtime_ns))
            return False
        if entry.is_symlink():
            real = os.path.realpath(path)
            if _is_above(real, real_parent) or _is_above(real, self.root):
                return False
            self.links.append((path, real))
        self.found.append(fs.FileInfo(path, fs.FileType.Directory, mtime_ns=status.st_mtime_ns))
        return not entry.is_symlink()


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
        return "link to nowhere"
    return "no permission to read it" if error.errno in (errno.EACCES, errno.EPERM) else str(error.strerror)


def _is_above(folder: str, other: str) -> bool:
    """True if a real path is that of the other folder, or of one that holds it."""
    return other == folder or other.startswith(folder.rstrip("/") + "/")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
