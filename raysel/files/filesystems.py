"""Where a URI leads: pyarrow file systems, and their faults in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.local_listing import list_local_folder
from raysel.files.paths import redact_uri
from raysel.files.s3_client import check_bucket, client, parse_s3
from raysel.files.s3_filesystem import S3Files

_COPY_BYTES = 8 << 20


@lru_cache(maxsize=64)
def filesystem_of(uri: str) -> tuple[fs.FileSystem, str]:
    """(file system, path in it) of a URI or an absolute local path, one connection pool per process and store."""
    with as_raysel_error(f"cannot reach {redact_uri(uri)}"):
        if "://" not in uri:
            return fs.LocalFileSystem(), uri
        if uri.startswith("s3://"):
            settings, path = parse_s3(uri)
            return fs.PyFileSystem(S3Files(settings)), path
        return fs.FileSystem.from_uri(uri)


def check_access(filesystem: fs.FileSystem, path: str) -> None:
    """Find out within seconds if a store cannot be reached or lets nobody in; nothing for other file systems.

    Later requests are patient: a store that goes away in mid-run is waited for.

    Raises:
        OSError: wrong endpoint, credentials, permission or bucket.
    """
    if s3 := _s3_files(filesystem):
        check_bucket(s3.settings, path)


def stat(filesystem: fs.FileSystem, path: str) -> tuple[int, str]:
    """(bytes, etag) of a file; the etag changes when the content does: the store's own, else size and mtime.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if s3 := _s3_files(filesystem):
        return s3.stat(path)
    info = filesystem.get_file_info(path)
    if info.type != fs.FileType.File:
        raise FileNotFoundError(f"no such file: {path}")
    return int(info.size), f"{info.size}-{info.mtime_ns}"


def s3_client(filesystem: fs.FileSystem) -> Any | None:
    """The boto3 client behind an S3 file system, for what `pyarrow.fs` cannot ask (conditional puts), or None."""
    s3 = _s3_files(filesystem)
    return client(s3.settings) if s3 else None


def put_file(filesystem: fs.FileSystem, local: Path, path: str) -> None:
    """Send a local file to a file system that is not local: whole, or not there at all.

    Raises:
        OSError: it could not be sent, though it was tried again (`raysel.files.s3_client`).
    """
    if s3 := _s3_files(filesystem):
        s3.put_file(local, path)
        return
    with local.open("rb") as source, filesystem.open_output_stream(path) as stream:
        shutil.copyfileobj(source, stream, _COPY_BYTES)


@contextmanager
def as_raysel_error(what: str) -> Iterator[None]:
    """Turns what a file system raises into one line: `what`, and the store's own words."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise RayselError(f"{what}: the file name {error.object!r} is not UTF-8; rename it") from error
    except (OSError, ValueError) as error:  # pyarrow.ArrowInvalid is a ValueError
        raise RayselError(f"{what}: {_first_line(error)}") from error


def list_folder(filesystem: fs.FileSystem, folder: str, recursive: bool) -> list[fs.FileInfo]:
    """What lies in a folder, sorted by path; empty where it does not exist. Links: `list_local_folder`."""
    return list_folder_with_faults(filesystem, folder, recursive)[0]


def list_folder_with_faults(
    filesystem: fs.FileSystem, folder: str, recursive: bool
) -> tuple[list[fs.FileInfo], list[tuple[str, str]]]:
    """As `list_folder`, and (path, reason) of what cannot be reached: only local file systems have such."""
    with as_raysel_error(f"cannot list {folder}"):
        if isinstance(filesystem, fs.LocalFileSystem):
            return list_local_folder(folder, recursive)
        found = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=recursive))
        return sorted(found, key=lambda info: info.path), []


def _s3_files(filesystem: fs.FileSystem) -> S3Files | None:
    handler = getattr(filesystem, "handler", None)
    return handler if isinstance(handler, S3Files) else None


def _first_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0][:300] or type(error).__name__
