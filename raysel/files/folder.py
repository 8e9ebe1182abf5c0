"""A folder of files, on this machine or in an object store, with writes that are whole or not there at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.filesystems import check_access, filesystem_of, put_file
from raysel.files.paths import redact_uri

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
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
    """Time of the last write, UTC, by the clock of the store."""


@dataclass(frozen=True)
class Folder:
    """A folder in a `pyarrow.fs` file system. Names are relative to it, ``/`` between their parts.

    Raises:
        RayselError: for a name that leaves the folder, and for every fault of the file system (no permission, no such
            bucket, no connection). `FileNotFoundError` is left as it is: only the caller knows what it means.
    """

    filesystem: Any
    """A `pyarrow.fs.FileSystem`."""
    path: str
    """Of the folder, as `filesystem` writes it."""
    shown: str
    """The folder's URI or path without secrets."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Parts of the URI that are cut out of the file system's own messages."""

    @classmethod
    def at(cls, uri: str | os.PathLike[str]) -> Folder:
        """The folder at a local path or at a URI (``s3://``, or what `pyarrow.fs.FileSystem.from_uri` knows).

        It need not exist, and nothing is asked of the store yet. Credentials, region and endpoint come by the usual
        AWS chain.
        """
        text = os.fspath(uri)
        if not text:
            raise RayselError("an empty path is no folder: give a path or a URI such as s3://bucket/index")
        if not _SCHEME.match(text):
            return cls(fs.LocalFileSystem(), Path(text).expanduser().absolute().as_posix(), text)
        shown, secrets = redact_uri(text).rstrip("/"), _secrets(text)
        try:
            filesystem, path = filesystem_of(text)
        except RayselError as error:
            raise RayselError(f"cannot use {shown}: {_first_line(error, secrets)}") from None
        return cls(filesystem, path.rstrip("/"), shown, secrets)

    @property
    def local(self) -> bool:
        """True for a folder on this machine's own disks."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def require_readable(self) -> Folder:
        """This folder; a store that cannot be reached, or lets nobody in, is told within seconds.

        Other calls are patient with a store that does not answer, for minutes: it may come back in mid-run.
        """
        with self._told("reach", ""):
            check_access(self.filesystem, self.path)
        return self

    def require_writable(self) -> Folder:
        """This folder; that nothing can be written to it is told now, and not at the end of a long run."""
        self.require_readable()
        name = f"{UNFINISHED}{uuid.uuid4().hex}"
        self.put(name, b"")
        self.delete(name)
        return self

    def put(self, name: str, data: bytes) -> None:
        """Write a file at once: a reader sees what was there before, or `data`, never a part of it."""
        with self.writing(name) as path:
            path.write_bytes(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path on this machine to write a file to, which becomes `name` when the block ends without an exception.

        On a local file system it lies in the same directory, is flushed to the disk and renamed; for an object store it
        lies in the temporary directory and is sent as one object.
        """
        target = self._target(name)
        directory = Path(target).parent if self.local else None
        with self._told("write", name):
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
        draft = (directory or Path(tempfile.gettempdir())) / f"{UNFINISHED}{uuid.uuid4().hex}"
        try:
            yield draft
            with self._told("write", name):
                self._publish(draft, target)
        except FileNotFoundError:
            raise
        except OSError as error:  # of the block itself: a full disk
            raise self._fault("write", name, error) from None
        finally:
            draft.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        with self._told("read", name), self.filesystem.open_input_stream(self._target(name)) as stream:
            return bytes(stream.read())

    def open(self, name: str) -> Any:
        """A file for reading at any offset: a `pyarrow.NativeFile`, to be closed by the caller."""
        with self._told("read", name):
            return self.filesystem.open_input_file(self._target(name))

    def exists(self, name: str) -> bool:
        """True if there is a file of this name."""
        with self._told("read", name):
            return bool(self.filesystem.get_file_info(self._target(name)).type == fs.FileType.File)

    def list(self, prefix: str = "") -> list[StoredFile]:
        """All files below the folder `prefix`, sorted by name; none where there is no such folder."""
        return [file for file in self._files(prefix) if not _is_draft(file)]

    def drafts(self) -> Sequence[StoredFile]:
        """Files that were being written when their process was killed, or still are; only on local file systems."""
        return [file for file in self._files("") if _is_draft(file)]

    def _files(self, prefix: str) -> Sequence[StoredFile]:
        base = self._target(prefix) if prefix else self.path
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        with self._told("list", prefix):
            infos = self.filesystem.get_file_info(selector)
        files = [
            StoredFile(info.path[len(self.path) :].lstrip("/"), info.size, info.mtime)
            for info in infos
            if info.type == fs.FileType.File
        ]
        return sorted(files, key=lambda file: file.name)

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""
        with self._told("remove", name):
            try:
                self.filesystem.delete_file(self._target(name))
            except FileNotFoundError:
                return

    def delete_below(self, prefix: str) -> None:
        """Remove the folder `prefix` with all that is in it; nothing happens where there is none."""
        with self._told("remove", prefix):
            self.filesystem.delete_dir_contents(self._target(prefix), missing_dir_ok=True)
            if self.local:
                shutil.rmtree(self._target(prefix), ignore_errors=True)

    def _target(self, name: str) -> str:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise RayselError(f"{name!r} is no name of a file inside {self.shown}")
        return "/".join((self.path, *parts))

    def _publish(self, draft: Path, target: str) -> None:
        if not self.local:
            put_file(self.filesystem, draft, target)
            return
        flush(draft)
        os.replace(draft, target)
        flush(Path(target).parent)

    @contextmanager
    def _told(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise self._fault(action, name, error) from None

    def _fault(self, action: str, name: str, error: BaseException) -> RayselError:
        where = f"{self.shown}/{name}".rstrip("/")
        return RayselError(f"cannot {action} {where}: {_first_line(error, self.secrets)}")


def _is_draft(file: StoredFile) -> bool:
    return file.name.rpartition("/")[2].startswith(UNFINISHED)


def _secrets(uri: str) -> tuple[str, ...]:
    parts = urlsplit(uri)
    user = parts.netloc.rpartition("@")[0]
    return tuple(text for text in (uri, parts.query, user, *user.split(":")) if text)


def _first_line(error: BaseException, secrets: tuple[str, ...]) -> str:
    text = str(error)
    for secret in secrets:
        text = text.replace(secret, "***")
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


def flush(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
