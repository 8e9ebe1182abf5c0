"""Objects of a bucket as Python files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Protocol

BLOCK_BYTES = 8 << 20
"""A stream is read in ranges of this length."""


@dataclass(frozen=True)
class ObjectStat:
    """What a store says of an object."""

    size: int
    """Bytes."""
    etag: str
    """Changes when the content does."""


class Objects(Protocol):
    """What the files need of a store; see `S3Files`."""

    def read_range(self, path: str, start: int, length: int, etag: str | None = None) -> bytes:
        """Exactly these bytes."""


class ObjectReader(io.RawIOBase):
    """An object as a Python file: every read is a range get of the version that was there when it was opened."""

    def __init__(self, files: Objects, path: str, stat: ObjectStat, first: bytes = b"") -> None:
        self._files, self._path, self._stat = files, path, stat
        self._block, self._block_start = first, 0
        self._streamed = bool(first)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def size(self) -> int:
        """Of the object, in bytes."""
        return self._stat.size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stat.size}[whence]
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._stat.size - self._position)
        length = left if size is None or size < 0 else min(size, left)
        parts = []
        while length:
            part = self._some(length)
            self._position += len(part)
            length -= len(part)
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _some(self, length: int) -> bytes:
        """At most `length` bytes from here on; a stream is fetched block by block."""
        if not self._streamed:
            return self._files.read_range(self._path, self._position, length, self._stat.etag)
        at = self._position - self._block_start
        if not 0 <= at < len(self._block):
            block = min(BLOCK_BYTES, self._stat.size - self._position)
            self._block = self._files.read_range(self._path, self._position, block, self._stat.etag)
            self._block_start, at = self._position, 0
        return self._block[at : at + length]
