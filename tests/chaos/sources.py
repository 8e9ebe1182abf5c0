"""Sources with faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from raysel.images import Source
from tests.chaos.faults import pass_by


@dataclass(frozen=True)
class Through:
    """A source that passes everything on."""

    source: Source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)


@dataclass(frozen=True)
class FragileSource(Through):
    """A source that calls `pass_by` at every image that it reads."""

    faults: str

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        for content in self.source.read(shard_name, images, etag):
            pass_by(Path(self.faults), "read")
            yield content


@dataclass(frozen=True)
class LossySource(Through):
    """A source that silently leaves out one image when it reads."""

    lost: str

    def read(self, shard_name: str, images: pa.Table, etag: str | None = None) -> Iterator[bytes]:
        keys = images["key"].to_pylist()
        for key, content in zip(keys, self.source.read(shard_name, images, etag), strict=True):
            if key != self.lost:
                yield content
