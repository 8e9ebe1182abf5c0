"""An object of a bucket as a Python file."""

from __future__ import annotations

import io
from collections.abc import Callable

BLOCK_BYTES = 8 << 20
"""A stream is read in ranges of this length."""


class ObjectReader(io.RawIOBase):
    """An object as a Python file.

    Args:
        read_range: returns the bytes at (start, length).
        size: the object's size in bytes.
        first: its first bytes, if they are here already: then what follows is read in blocks of `BLOCK_BYTES`, for
            reading from the front. Without them every read is a request of its own.
    """

    def __init__(self, read_range: Callable[[int, int], bytes], size: int, first: bytes = b"") -> None:
        self._read_range, self._size, self._position = read_range, size, 0
        self._block, self._block_start, self._streamed = first, 0, bool(first)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        parts = []
        while self._position < end:
            parts.append(self._some(end - self._position))
            self._position += len(parts[-1])
        return b"".join(parts)

    def _some(self, length: int) -> bytes:
        """At most `length` bytes from here on."""
        if not self._streamed:
            return self._read_range(self._position, length)
        at = self._position - self._block_start
        if not 0 <= at < len(self._block):
            self._block = self._read_range(self._position, min(BLOCK_BYTES, self._size - self._position))
            self._block_start, at = self._position, 0
        return self._block[at : at + length]
