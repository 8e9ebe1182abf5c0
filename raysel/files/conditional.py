"""A small file that several processes change: a put fails if another process has changed the file since it was read."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from raysel.errors import RayselError
from raysel.files.filesystems import s3_client
from raysel.files.folder import UNFINISHED, Folder, flush


class ConditionalFile(Protocol):
    """A file with an etag that changes with its content. Two writers must never put the same content."""

    def read(self) -> tuple[bytes, str] | None:
        """(content, etag); None if there is no file."""

    def put(self, content: bytes, expected: str | None) -> str | None:
        """Write the file if its etag is `expected` (None: if it does not exist).

        Returns:
            The new etag; None if the etag was another, and nothing was written.
        """

    def delete(self, expected: str) -> None:
        """Remove the file if its etag is `expected`."""


def conditional_file(folder: Folder, name: str) -> ConditionalFile:
    """The file `name` of a folder, local or on S3.

    Raises:
        RayselError: the store is of another kind, without conditional puts.
    """
    if folder.local:
        return _LocalFile(Path(folder.path, name))
    if s3_client(folder.filesystem) is not None:
        bucket, _, prefix = folder.path.partition("/")
        return _S3Object(folder, bucket, f"{prefix}/{name}".lstrip("/"))
    raise RayselError(f"{folder.shown} cannot be locked: write the index to a local folder or to S3")


@dataclass(frozen=True)
class _LocalFile:
    """Compares and writes under a lock of the operating system, which ends with the process that holds it."""

    path: Path

    def read(self) -> tuple[bytes, str] | None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return content, hashlib.sha256(content).hexdigest()

    def put(self, content: bytes, expected: str | None) -> str | None:
        with self._exclusive():
            present = self.read()
            if (present and present[1]) != expected:
                return None
            draft = self.path.with_name(f"{UNFINISHED}{self.path.name}")
            draft.write_bytes(content)
            flush(draft)
            os.replace(draft, self.path)
            flush(self.path.parent)
        return hashlib.sha256(content).hexdigest()

    def delete(self, expected: str) -> None:
        with self._exclusive():
            present = self.read()
            if present and present[1] == expected:
                self.path.unlink()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Holds a lock on a guard file that exists only meanwhile.

        A lock on the folder itself would leave no file either, but excludes no other machine on NFS.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        guard = self.path.with_name(f".{self.path.name}.guard")
        while True:
            with guard.open("w") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                if not _is_at(stream, guard):
                    continue  # the process that held it has removed it meanwhile: a lock on it excludes nobody
                try:
                    yield
                finally:
                    guard.unlink()
                return


def _is_at(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class _S3Object:
    """Conditional puts of S3: ``If-None-Match: *`` and ``If-Match``."""

    folder: Folder
    bucket: str
    key: str

    @property
    def _client(self) -> Any:
        return s3_client(self.folder.filesystem)

    def read(self) -> tuple[bytes, str] | None:
        with self._told("read"):
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=self.key)
                return answer["Body"].read(), answer["ETag"]
            except self._client.exceptions.NoSuchKey:
                return None

    def put(self, content: bytes, expected: str | None) -> str | None:
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with self._told("write"):
            try:
                answer = self._client.put_object(Bucket=self.bucket, Key=self.key, Body=content, **condition)
            except ClientError as error:
                # 412 the condition failed, 409 two at once, 404 If-Match and no object
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 409, 412):
                    return self._mine(content)
                raise
        return str(answer["ETag"])

    def delete(self, expected: str) -> None:
        present = self.read()
        if present and present[1] == expected:
            with self._told("remove"):
                self._client.delete_object(Bucket=self.bucket, Key=self.key)

    def _mine(self, content: bytes) -> str | None:
        """A put that was answered too late and sent again fails against itself: then the content is there already."""
        present = self.read()
        return present[1] if present and present[0] == content else None

    @contextmanager
    def _told(self, action: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise RayselError(f"cannot {action} {self.folder.shown}: {error}") from None
