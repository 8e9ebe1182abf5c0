"""Rows of a table of neurons: by layer, by a condition, and in the order of a column."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.errors import RayselError, did_you_mean
from raysel.query.columns import column_values, is_number, without_values
from raysel.query.question import Direction


def layers_matching(layers: Sequence[str], glob: str) -> list[str]:
    """The layers that a glob matches, in their order.

    Raises:
        RayselError: it matches none.
    """
    matching = [layer for layer in layers if fnmatchcase(layer, glob)]
    if not matching and layers:
        raise RayselError(f"no layer {glob!r} in this index; {did_you_mean(glob, layers)}")
    return matching


def in_layers(table: pa.Table, layers: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows are of one of the layers: bool[rows]."""
    return pc.is_in(table["layer"].cast(pa.string()), pa.array(list(layers), pa.string())).to_numpy()


def meeting(table: pa.Table, where: str) -> tuple[NDArray[np.bool_], dict[str, pa.DataType]]:
    """Which rows meet a condition, bool[rows], and the columns in it with their types; see `parse_condition`."""
    from raysel.query.condition import parse_condition  # its parser takes a while to load, and is often not needed

    condition = parse_condition(where, table.schema)
    chosen = np.zeros(len(table), bool)
    chosen[condition.rows(table)] = True
    return chosen, condition.columns


def ordered(table: pa.Table, chosen: NDArray[np.bool_], sort: str, direction: Direction | None) -> NDArray[np.int64]:
    """The chosen rows in the order of a column; ties in the order of the table, null last.

    `direction`: by default numbers descend and text ascends. Layers are in the order of the table.

    Raises:
        RayselError: there is no such column, or it has no order.
    """
    values = _sortable(table, sort)
    if direction is None:
        direction = "ascending" if pa.types.is_string(values.type) else "descending"
    if sort == "layer":
        values = pa.chunked_array([values.combine_chunks().dictionary_encode().indices])
    rows = np.flatnonzero(chosen)
    keys = pa.table({"value": values.take(pa.array(rows)), "row": pa.array(rows)})
    return rows[pc.sort_indices(keys, sort_keys=[("value", direction), ("row", "ascending")]).to_numpy()]


def window(rows: NDArray[np.int64], limit: int | None, offset: int = 0) -> NDArray[np.int64]:
    """At most `limit` rows after the first `offset`.

    Raises:
        RayselError: the limit is below 1, or the offset is negative.
    """
    if limit is not None and limit < 1:
        raise RayselError(f"a limit of {limit} shows nothing: give 1 or more")
    if offset < 0:
        raise RayselError(f"an offset of {offset} is negative: give 0 or more")
    return rows[offset : None if limit is None else offset + limit]


def _sortable(table: pa.Table, column: str) -> pa.ChunkedArray:
    """The values of a column in a type that Arrow can sort."""
    values = column_values(table, column)
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8())
    if not (is_number(values.type) or pa.types.is_string(values.type)):
        raise RayselError(without_values(column, values.type))
    return values
