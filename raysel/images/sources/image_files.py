"""Image files that are read one by one: where a reference leads, how long the file is, what it contains."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pyarrow import fs

from raysel.errors import RayselError
from raysel.files import as_raysel_error, filesystem_of, stat

CONNECTIONS = 16
"""Files that are asked for at the same time: in an object store each costs a round trip."""
WEB = ("http://", "https://")
NO_DOWNLOAD = "raysel does not download from the web"

Place = tuple[fs.FileSystem, str]
"""A file system, and the path of a file in it."""


def place_of(reference: str, folder: str) -> Place:
    """The file that a table refers to by URI, by absolute path, or by a path relative to the table's folder.

    Relative paths, and ``s3://`` URIs if the folder is in S3 too, use the settings and credentials of the folder's URI.
    """
    if reference.startswith("s3://") and folder.startswith("s3://"):
        return filesystem_of(folder)[0], reference.removeprefix("s3://")
    if "://" in reference or posixpath.isabs(reference):
        return filesystem_of(reference)
    filesystem, path = filesystem_of(folder)
    return filesystem, posixpath.normpath(f"{path}/{reference}")


def file_sizes(references: Sequence[str | None], folder: str) -> list[int | str]:
    """Bytes of each file that a table in `folder` refers to, or the reason why it cannot be used."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(lambda reference: _size(reference, folder), references))


def _size(reference: str | None, folder: str) -> int | str:
    if reference is None:
        return "no path"
    if reference.startswith(WEB):
        return NO_DOWNLOAD
    try:
        with as_raysel_error("cannot be read"):
            try:
                return stat(*place_of(reference, folder))[0]
            except (FileNotFoundError, NotADirectoryError):
                return "no such file"
    except RayselError as error:
        return str(error)


def read_files(places: Sequence[Place], lengths: Sequence[int]) -> Iterator[bytes]:
    """The content of each file. A local file that exists but cannot be read is empty: a bad image to `decode`.

    Raises:
        RayselError: a file is gone, its length is not the one given, or its store does not answer.
    """
    if all(isinstance(filesystem, fs.LocalFileSystem) for filesystem, _ in places):
        yield from map(_read_file, places, lengths)
        return
    window = 4 * CONNECTIONS  # bounds the memory
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for first in range(0, len(places), window):
            yield from pool.map(_read_file, places[first : first + window], lengths[first : first + window])


def _read_file(place: Place, length: int) -> bytes:
    filesystem, path = place
    with as_raysel_error(f"the source changed while it was read: {path}"):
        try:
            with filesystem.open_input_stream(path) as file:
                data: bytes = file.read()
        except OSError as error:
            # In a store such an error concerns all files and ends the run.
            if isinstance(filesystem, fs.LocalFileSystem) and error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
                return b""
            raise
    if len(data) != length:
        raise RayselError(
            f"the source changed while it was read: {path} had {length} bytes and has {len(data)}; run again"
        )
    return data
