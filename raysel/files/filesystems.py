"""Where a URI leads: pyarrow file systems, single files, and their errors in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError, first_line
from raysel.files.paths import absolute_uri, redact_uri, secrets_of
from raysel.files.s3_client import check_bucket, client, parse_s3
from raysel.files.s3_filesystem import S3Files

SCHEMES = ("s3", "gs", "abfs", "abfss", "hdfs", "hf", "file")
"""Schemes of the URIs that raysel reads. S3 goes through raysel's own client, the others through pyarrow."""
_COPY_BYTES = 8 << 20


@lru_cache(maxsize=64)
def filesystem_of(uri: str) -> tuple[fs.FileSystem, str]:
    """(file system, path in it) of a URI or an absolute local path, one connection pool per process and store.

    Raises:
        RayselError: no file system reads such a URI.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    scheme, shown = uri.partition("://")[0].lower(), redact_uri(uri)
    if scheme not in SCHEMES:
        schemes = ", ".join(f"{each}://" for each in SCHEMES)
        raise RayselError(f"cannot reach {shown}: raysel reads local paths and {schemes}; download the file first")
    with as_raysel_error(f"cannot reach {shown}", secrets_of(uri)):
        if scheme == "s3":
            settings, path = parse_s3(uri)
            return fs.PyFileSystem(S3Files(settings)), path
        return fs.FileSystem.from_uri(uri)


def check_access(filesystem: fs.FileSystem, path: str) -> None:
    """Find out within seconds if an S3 store cannot be reached or denies access; other file systems are not asked.

    Later requests are patient: if a store goes away during a run, the run waits for it.

    Raises:
        OSError: wrong endpoint, credentials, permission or bucket.
    """
    if (s3 := _s3(filesystem)) is not None:
        check_bucket(s3.settings, path)


@contextmanager
def open_file(uri: str, what: str) -> Iterator[pa.NativeFile]:
    """A file, by path or URI, open for reading at any offset. Errors that the block raises are also reported as below.

    Args:
        uri: local path, may be relative and may begin with ``~``; or URI.
        what: what the file is to the user, for messages, such as "class list".

    Raises:
        RayselError: there is no such file, it cannot be read, or the block cannot use its content; within seconds if
            its store cannot be reached.
    """
    shown = redact_uri(uri)
    with as_raysel_error(f"cannot read the {what} {shown}", secrets_of(uri)):
        filesystem, path = filesystem_of(absolute_uri(uri))
        with suppress(PermissionError):  # a file may be readable where its folder cannot be listed
            check_access(filesystem, path)
        try:
            file = filesystem.open_input_file(path)
        except FileNotFoundError:
            raise RayselError(f"no {what} at {shown}") from None
        with file:
            yield file


def read_bytes(uri: str, what: str) -> bytes:
    """The content of a file, by path or URI. Arguments and errors as for `open_file`."""
    with open_file(uri, what) as file:
        return bytes(file.read())


def stat(filesystem: fs.FileSystem, path: str) -> tuple[int, str]:
    """(bytes, etag) of a file; the etag changes when the content does: the store's own, else size and mtime.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if (s3 := _s3(filesystem)) is not None:
        return s3.stat(path)
    info = filesystem.get_file_info(path)
    if info.type != fs.FileType.File:
        raise FileNotFoundError(f"no such file: {path}")
    return int(info.size), f"{info.size}-{info.mtime_ns}"


def s3_client(filesystem: fs.FileSystem) -> Any | None:
    """The boto3 client behind an S3 file system, for what `pyarrow.fs` cannot do (conditional puts), or None."""
    return client(s3.settings) if (s3 := _s3(filesystem)) is not None else None


def put_file(filesystem: fs.FileSystem, local: Path, path: str) -> None:
    """Send a local file to a file system that is not local: afterwards the whole file is there, or none.

    Raises:
        OSError: it could not be sent, even after retries (`raysel.files.s3_client`).
    """
    if (s3 := _s3(filesystem)) is not None:
        s3.put_file(local, path)
        return
    with local.open("rb") as source, filesystem.open_output_stream(path) as stream:
        shutil.copyfileobj(source, stream, _COPY_BYTES)


@contextmanager
def as_raysel_error(what: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Report what a file system raises in one line: `what`, then the error's first line without the `secrets`."""
    try:
        yield
    except (OSError, ValueError, ImportError, pa.ArrowException) as error:
        raise RayselError(f"{what}: {first_line(error, secrets)}") from error


def _s3(filesystem: fs.FileSystem) -> S3Files | None:
    handler = filesystem.handler if isinstance(filesystem, fs.PyFileSystem) else None
    return handler if isinstance(handler, S3Files) else None
