"""Derived chunks at rest, one file each, so that a run that resumes derives only the missing ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from raysel.errors import RayselError
from raysel.pipeline.derive.chunk import FEATURE, SHEET, Chunk, chunk_schema
from raysel.store import RUNS_PREFIX, FileEntry, TableWriter


@dataclass(frozen=True)
class ChunkFiles:
    """The chunks of one index, below ``runs/`` in its folder: Parquet files, whose checksums find what is damaged."""

    writer: TableWriter

    def name(self, chunk: Chunk) -> str:
        """Name of a chunk's file."""
        return f"{self._prefix}/{quote(chunk.tap.layer, safe='')}/{chunk.first_channel}.parquet"

    def present(self) -> set[str]:
        """Names of the chunks that are there."""
        return {file.name for file in self.writer.folder.list(self._prefix)}

    def put(self, name: str, rows: pa.Table) -> None:
        """Write a chunk, rows of `chunk_schema`."""
        with self.writer.folder.writing(name) as path:
            pq.write_table(
                rows, path, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
            )

    def write_layer(self, layer: str, names: Sequence[str]) -> tuple[pa.Table, list[FileEntry]]:
        """Write a layer's features and sheets from its chunks, one of them in memory at a time.

        Returns:
            (the layer's rows of the neurons table, the files written)

        Raises:
            RayselError: a chunk is damaged. It is removed, so that the next run derives it again.
        """
        neurons = []

        def features() -> Iterator[pa.Table]:
            for chunk in map(self._read, names):
                neurons.append(chunk.drop_columns([FEATURE, SHEET]))
                yield _table(chunk[FEATURE])

        files = [
            self.writer.features(layer, features()),
            self.writer.sheets(layer, (_table(self._read(name)[SHEET]) for name in names)),
        ]
        return pa.concat_tables(neurons), files

    @property
    def _prefix(self) -> str:
        return f"{RUNS_PREFIX}/{self.writer.fingerprint}"

    def _read(self, name: str) -> pa.Table:
        folder = self.writer.folder
        content = pa.BufferReader(folder.read(name))
        with suppress(pa.ArrowException, OSError):
            chunk = pq.read_table(content, page_checksum_verification=True)
            if chunk.schema == chunk_schema():
                return chunk
        folder.delete(name)
        raise RayselError(f"{folder.shown}/{name} is damaged and has been removed: run again to resume")


def _table(structs: pa.ChunkedArray) -> pa.Table:
    """The structs that are not null as rows of a table of their own."""
    return pa.Table.from_struct_array(structs.combine_chunks().drop_null())
