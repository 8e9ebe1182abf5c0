"""Reading a table of an index: only the row groups that can hold the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysel.errors import RayselError
from raysel.files import Folder


@dataclass(frozen=True)
class TableReader:
    """One Parquet file of an index. Its footer is read once.

    Raises:
        RayselError: the file is missing or damaged.
    """

    folder: Folder
    name: str

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The whole table, or some of its columns."""
        with self._opened() as parquet:
            return parquet.read(columns=columns)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of the whole table, a bounded number of rows at a time."""
        with self._opened() as parquet:
            yield from parquet.iter_batches(columns=columns)

    def where(self, columns: list[str] | None = None, /, **wanted: Any) -> pa.Table:
        """The rows in which each of the given columns has the given value, or one of a list of values.

        Args:
            columns: the columns to read, which include those given; all by default.
            wanted: column -> value or list of values.
        """
        values = {column: value if isinstance(value, list) else [value] for column, value in wanted.items()}
        with self._opened() as parquet:
            table = parquet.read_row_groups(self.groups_with(**values), columns=columns)
        for column, choices in values.items():
            present = table[column]
            if pa.types.is_dictionary(present.type):
                present = present.cast(present.type.value_type)
            table = table.filter(pc.is_in(present, pa.array(choices, present.type)))
        return table

    def groups_with(self, **wanted: Any) -> list[int]:
        """The row groups that may hold such rows, by their statistics; see `where`."""
        groups: Iterable[int] = range(self._footer.num_row_groups)
        for column, value in wanted.items():
            choices, bounds = value if isinstance(value, list) else [value], self._bounds(column)
            groups = [group for group in groups if _may_hold(bounds[group], choices)]
        return list(groups)

    def group(self, number: int, columns: list[str]) -> pa.Table:
        """Some columns of one row group."""
        with self._opened() as parquet:
            return parquet.read_row_group(number, columns=columns)

    def _bounds(self, column: str) -> list[tuple[Any, Any] | None]:
        """(minimum, maximum) of a column in each row group, None where it is unknown. Kept: a footer answers slowly."""
        if column not in self._known_bounds:
            chunks = (
                self._footer.row_group(group).column(self._positions[column]).statistics
                for group in range(self._footer.num_row_groups)
            )
            self._known_bounds[column] = [
                (each.min, each.max) if each and each.has_min_max else None for each in chunks
            ]
        return self._known_bounds[column]

    @cached_property
    def _known_bounds(self) -> dict[str, list[tuple[Any, Any] | None]]:
        return {}

    @cached_property
    def _footer(self) -> pq.FileMetaData:
        with self._one_line_errors(), self.folder.open(self.name) as stream:
            return pq.read_metadata(stream)

    @cached_property
    def _positions(self) -> dict[str, int]:
        schema = self._footer.schema
        return {schema.column(position).path: position for position in range(len(schema))}

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        footer = self._footer
        with self._one_line_errors(), self.folder.open(self.name) as stream:
            yield pq.ParquetFile(stream, metadata=footer, pre_buffer=True)

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        where = f"{self.folder.shown}/{self.name}"
        try:
            yield
        except FileNotFoundError:
            raise RayselError(f"{where} is missing: if the index was replaced meanwhile, open it again") from None
        except (OSError, pa.ArrowException) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise RayselError(f"{where} is damaged ({first}): `raysel verify` lists all damaged files") from None


def _may_hold(bounds: tuple[Any, Any] | None, choices: list[Any]) -> bool:
    return bounds is None or any(bounds[0] <= choice <= bounds[1] for choice in choices)
