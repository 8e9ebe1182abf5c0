"""Filtering and sorting the neurons table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError, did_you_mean

Range = tuple[float | None, float | None]
"""(minimum, maximum), both inclusive; None is no bound. Null is outside of every range."""

Direction = Literal["ascending", "descending"]

COLOR = "color_selectivity"
CLASS = "class_selectivity"


def find_neurons(
    neurons: pa.Table,
    *,
    layer: str | None = None,
    ranges: Mapping[str, Range] | None = None,
    texts: Mapping[str, str] | None = None,
    sort: str = COLOR,
    direction: Direction | None = None,
    limit: int | None = None,
) -> pa.Table:
    """The rows of the neurons table that meet every condition, sorted; see `Index.find`."""
    if limit is not None and limit < 1:
        raise RayselError(f"a limit of {limit} shows nothing: give 1 or more")
    values = _sortable(neurons, sort)
    if direction is None:
        direction = "ascending" if pa.types.is_string(values.type) else "descending"
    if sort == "layer":
        values = neurons["layer_depth"]
    mask = _layer_mask(neurons, layer or "*")
    for column, bounds in (ranges or {}).items():
        mask = pc.and_(mask, _range_mask(neurons, column, bounds))
    for column, glob in (texts or {}).items():
        mask = pc.and_(mask, _text_mask(neurons, column, glob))
    keys = pa.table({"value": values, "depth": neurons["layer_depth"], "channel": neurons["channel"]}).filter(mask)
    order = [("value", direction), ("depth", "ascending"), ("channel", "ascending")]
    return neurons.filter(mask).take(pc.sort_indices(keys, sort_keys=order)[:limit])


def _sortable(table: pa.Table, column: str) -> pa.ChunkedArray:
    """The values of a column in a type that Arrow can sort."""
    values = _column(table, column)
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8())
    if not (_is_number(values.type) or pa.types.is_string(values.type)):
        raise RayselError(f"column {column} holds {values.type}: it has no order to sort by")
    return values


def _layer_mask(table: pa.Table, glob: str) -> pa.ChunkedArray:
    names = table["layer"].cast(pa.string())
    known = names.unique().to_pylist()
    matching = [name for name in known if fnmatchcase(name, glob)]
    if known and not matching:
        raise RayselError(unknown("layer", glob, known))
    return pc.is_in(names, pa.array(matching, pa.string()))


def _range_mask(table: pa.Table, column: str, bounds: Range) -> pa.ChunkedArray:
    values = _column(table, column)
    if not _is_number(values.type):
        raise RayselError(f"column {column} is not numeric: it has no range")
    least, most = bounds
    if least is not None and most is not None and least > most:
        raise RayselError(f"the range {least:g}..{most:g} of {column} is empty: the smaller number comes first")
    # Bounds get the column's own precision: 0.3 then is the number that a float32 column shows as 0.3.
    kind = values.type if pa.types.is_floating(values.type) else pa.float64()
    mask = pc.is_valid(values)
    if least is not None:
        mask = pc.and_(mask, pc.greater_equal(values, pa.scalar(least, kind)))
    if most is not None:
        mask = pc.and_(mask, pc.less_equal(values, pa.scalar(most, kind)))
    return pc.fill_null(mask, False)


def _text_mask(table: pa.Table, column: str, glob: str) -> pa.ChunkedArray:
    values = _sortable(table, column)
    if not pa.types.is_string(values.type):
        raise RayselError(f"column {column} is not text: give a range, such as 0.5..")
    matching = [text for text in values.unique().to_pylist() if text is not None and fnmatchcase(text, glob)]
    return pc.is_in(values, pa.array(matching, pa.string()))


def _column(table: pa.Table, column: str) -> pa.ChunkedArray:
    """A column, or with a dot a part of one: ``color_names.red``."""
    name, dot, part = column.partition(".")
    if not dot and name in table.column_names:
        return table[name]
    structs = {
        field.name: [part.name for part in field.type] for field in table.schema if pa.types.is_struct(field.type)
    }
    if part in structs.get(name, ()):
        return pc.struct_field(table[name], part)
    known = [*table.column_names, *(f"{struct}.{each}" for struct, parts in structs.items() for each in parts)]
    raise RayselError(unknown("column", column, known))


def _is_struct(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """One line for an unknown name: similar names, or else the names there are."""
    return f"no {kind} {given!r} in this index; {did_you_mean(given, known)}"
