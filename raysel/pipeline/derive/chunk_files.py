"""Derived chunks at rest: each is put once, whole; a run that was killed derives only those that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.files import Folder
from raysel.pipeline.derive.chunk import Pictures
from raysel.store import RUNS_PREFIX, FileEntry, TableWriter, get_snapshot, put_snapshot

_TABLES = ("neurons", "features", "sheets")


@dataclass(frozen=True)
class ChunkFiles:
    """The chunks of one index, below ``runs/`` in its folder."""

    writer: TableWriter

    @property
    def _prefix(self) -> str:
        return f"{RUNS_PREFIX}/{self.writer.fingerprint}"

    def name(self, layer: str, first_channel: int) -> str:
        """Of a chunk's file."""
        return f"{self._prefix}/{quote(layer, safe='')}/{first_channel}.npz"

    def present(self) -> set[str]:
        """Names of the chunks that are there."""
        return {file.name for file in self._folder.list(self._prefix)}

    def put(self, name: str, neurons: pa.Table, pictures: Pictures) -> None:
        """Write a chunk."""
        tables = zip(_TABLES, (neurons, *pictures), strict=True)
        put_snapshot(self._folder, name, {key: _to_bytes(table) for key, table in tables})

    def write_layer(self, layer: str, names: Sequence[str]) -> tuple[pa.Table, list[FileEntry]]:
        """A layer's features and sheets from its chunks, one in memory at a time.

        Returns:
            (the layer's rows of the neurons table, the files written)
        """
        files = [
            self.writer.features(layer, self._read(names, "features")),
            self.writer.sheets(layer, self._read(names, "sheets")),
        ]
        return pa.concat_tables(self._read(names, "neurons")), files

    @property
    def _folder(self) -> Folder:
        return self.writer.folder

    def _read(self, names: Sequence[str], table: str) -> Iterator[pa.Table]:
        for name in names:
            arrays = get_snapshot(self._folder, name)
            if arrays is None:
                self._folder.delete(name)
                raise RayselError(f"{self._folder.shown}/{name} was damaged, and is removed: run again")
            yield pa.ipc.open_stream(pa.py_buffer(arrays[table])).read_all()


def _to_bytes(table: pa.Table) -> NDArray[np.uint8]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return np.frombuffer(sink.getvalue(), np.uint8)
