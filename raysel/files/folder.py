"""A folder of files, on this machine or in an object store. A write either succeeds as a whole or leaves no trace."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError, first_line
from raysel.files.filesystems import check_access, filesystem_of, put_file
from raysel.files.paths import absolute_uri, redact_uri, secrets_of

UNFINISHED = ".unfinished-"
"""Start of the name of a file that is being written."""


@dataclass(frozen=True)
class StoredFile:
    """One file of a folder."""

    name: str
    """Relative to the folder, with ``/`` between its parts."""
    size: int
    """Bytes."""
    modified: datetime
    """Time of the last write, UTC, by the store's clock."""


@dataclass(frozen=True)
class Folder:
    """A folder in a `pyarrow.fs` file system. Names are relative to it, with ``/`` between their parts.

    Raises:
        RayselError: for a name outside of the folder, and for every error of the file system (no permission, no such
            bucket, no connection), except `FileNotFoundError`: only the caller knows what that means.
    """

    filesystem: Any
    """A `pyarrow.fs.FileSystem`."""
    path: str
    """Path of the folder in `filesystem`."""
    shown: str
    """The folder's URI or path without secrets."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Parts of the URI that are removed from the file system's own messages."""

    @classmethod
    def at(cls, uri: str | os.PathLike[str]) -> Folder:
        """The folder at a local path or a URI. It need not exist, and the store is not contacted yet.

        Credentials, region and endpoint of S3 come from the URI or from the usual AWS chain.
        """
        text = os.fspath(uri)
        if not text:
            raise RayselError("the path is empty: give a path or a URI such as s3://bucket/index")
        filesystem, path = filesystem_of(absolute_uri(text))
        return cls(filesystem, path.rstrip("/"), redact_uri(text).rstrip("/"), secrets_of(text))

    @property
    def local(self) -> bool:
        """True for a folder on this machine's own disks."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def below(self, name: str) -> Folder:
        """The folder `name` in this folder. It need not exist."""
        return replace(self, path=self._target(name), shown=f"{self.shown}/{name}")

    def require_readable(self) -> Folder:
        """This folder. Fails within seconds if the store cannot be reached or denies access.

        Other calls wait for minutes if a store does not answer: during a run it may come back.
        """
        with self._reporting("reach", ""):
            check_access(self.filesystem, self.path)
        return self

    def require_writable(self) -> Folder:
        """This folder. Fails if nothing can be written to it: now, not at the end of a long run."""
        self.require_readable()
        name = f"{UNFINISHED}{uuid.uuid4().hex}"
        self.put(name, b"")
        self.delete(name)
        return self

    def put(self, name: str, data: bytes) -> None:
        """Write a file: a reader sees the former content or `data`, never a part of it."""
        with self.writing(name) as path:
            path.write_bytes(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A local path to write a file to, which becomes `name` when the block ends without an exception.

        On a local file system it is in the same directory, flushed to the disk and renamed; for an object store it is
        in the temporary directory and sent as one object.
        """
        target = self._target(name)
        directory = Path(target).parent if self.local else None
        with self._reporting("write", name):
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
        draft = (directory or Path(tempfile.gettempdir())) / f"{UNFINISHED}{uuid.uuid4().hex}"
        try:
            yield draft
            with self._reporting("write", name):
                self._publish(draft, target)
        except OSError as error:  # of the block itself: a full disk
            if not self.local:
                advice = "set TMPDIR to a larger disk"
                raise RayselError(f"cannot write to {draft.parent}, {advice}: {first_line(error)}") from None
            raise self._fault("write", name, error) from None
        finally:
            draft.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        with self._reporting("read", name), self.filesystem.open_input_stream(self._target(name)) as stream:
            return bytes(stream.read())

    def open(self, name: str) -> Any:
        """A file for reading at any offset: a `pyarrow.NativeFile`, to be closed by the caller."""
        with self._reporting("read", name):
            return self.filesystem.open_input_file(self._target(name))

    def exists(self, name: str) -> bool:
        """True if there is a file of this name."""
        with self._reporting("read", name):
            return bool(self.filesystem.get_file_info(self._target(name)).type == fs.FileType.File)

    def list(self, prefix: str = "") -> list[StoredFile]:
        """All files below the folder `prefix`, sorted by name; none if it does not exist."""
        return [file for file in self._files(prefix) if not _is_draft(file)]

    def drafts(self) -> Sequence[StoredFile]:
        """Files that are being written, or were when their process was killed; only on local file systems."""
        return [file for file in self._files("") if _is_draft(file)]

    def _files(self, prefix: str) -> Sequence[StoredFile]:
        base = self._target(prefix) if prefix else self.path
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        with self._reporting("list", prefix):
            infos = self.filesystem.get_file_info(selector)
        files = [
            StoredFile(info.path[len(self.path) :].lstrip("/"), info.size, info.mtime)
            for info in infos
            if info.type == fs.FileType.File
        ]
        return sorted(files, key=lambda file: file.name)

    def delete(self, name: str) -> None:
        """Remove a file, if it exists."""
        with self._reporting("remove", name):
            try:
                self.filesystem.delete_file(self._target(name))
            except FileNotFoundError:
                return

    def delete_below(self, prefix: str) -> None:
        """Remove the folder `prefix` with its content, if it exists."""
        with self._reporting("remove", prefix):
            self.filesystem.delete_dir_contents(self._target(prefix), missing_dir_ok=True)
            if self.local:
                shutil.rmtree(self._target(prefix), ignore_errors=True)

    def _target(self, name: str) -> str:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise RayselError(f"{name!r} is not a name of a file inside {self.shown}")
        return "/".join((self.path, *parts))

    def _publish(self, draft: Path, target: str) -> None:
        if not self.local:
            put_file(self.filesystem, draft, target)
            return
        flush(draft)
        os.replace(draft, target)
        flush(Path(target).parent)

    @contextmanager
    def _reporting(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            if action == "read" and isinstance(error, FileNotFoundError):
                raise
            raise self._fault(action, name, error) from None

    def _fault(self, action: str, name: str, error: BaseException) -> RayselError:
        where = f"{self.shown}/{name}".rstrip("/")
        return RayselError(f"cannot {action} {where}: {first_line(error, self.secrets)}")


def _is_draft(file: StoredFile) -> bool:
    return file.name.rpartition("/")[2].startswith(UNFINISHED)


def flush(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
