"""Reading a table of an index by the row groups that are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysel.errors import RayselError
from raysel.files.folder import Folder


@dataclass(frozen=True)
class TableReader:
    """One Parquet file of an index. The footer is read once; then only the row groups that a question needs.

    Raises:
        RayselError: the file is missing or damaged.
    """

    folder: Folder
    name: str

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The whole table, or some of its columns."""
        with self._parquet() as parquet:
            return parquet.read(columns=columns)

    def where(self, **wanted: Any) -> pa.Table:
        """The rows whose columns have the wanted values: one value, or a list of them, per column."""
        values = {column: value if isinstance(value, list) else [value] for column, value in wanted.items()}
        groups = [group for group in range(self._footer.num_row_groups) if self._may_hold(group, values)]
        with self._parquet() as parquet:
            table = parquet.read_row_groups(groups)
        for column, choices in values.items():
            known = table[column]
            if pa.types.is_dictionary(known.type):
                known = known.cast(known.type.value_type)
            table = table.filter(pc.is_in(known, pa.array(choices, known.type)))
        return table

    def _may_hold(self, group: int, wanted: dict[str, list[Any]]) -> bool:
        columns = self._footer.row_group(group)
        for name, choices in wanted.items():
            statistics = columns.column(self._places[name]).statistics
            if statistics is None or not statistics.has_min_max:
                continue
            if not any(statistics.min <= choice <= statistics.max for choice in choices):
                return False
        return True

    @cached_property
    def _footer(self) -> pq.FileMetaData:
        with self._told(), self.folder.open(self.name) as stream:
            return pq.read_metadata(stream)

    @cached_property
    def _places(self) -> dict[str, int]:
        schema = self._footer.schema
        return {schema.column(place).path: place for place in range(len(schema))}

    @contextmanager
    def _parquet(self) -> Iterator[pq.ParquetFile]:
        footer = self._footer
        with self._told(), self.folder.open(self.name) as stream:
            yield pq.ParquetFile(stream, metadata=footer, pre_buffer=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        where = f"{self.folder.shown}/{self.name}"
        try:
            yield
        except FileNotFoundError:
            raise RayselError(f"{where} is missing: if the index was replaced meanwhile, open it again") from None
        except (OSError, pa.ArrowException) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise RayselError(f"{where} is damaged ({first}): `raysel verify` says what else is") from None
