"""Choosing neurons from the neurons table: by layer, by ranges of an index, in order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError

Range = tuple[float | None, float | None]
"""(least, most), both inclusive; None is no bound. A null is in no range."""

Direction = Literal["ascending", "descending"]

COLOR = "color_selectivity"
CLASS = "class_selectivity"

_NAMED = 12
_SORT_KEYS = ("value", "layer_depth", "channel")


def find_neurons(
    neurons: pa.Table,
    *,
    layer: str | None = None,
    ranges: Mapping[str, Range] | None = None,
    sort: str = COLOR,
    direction: Direction | None = None,
    limit: int | None = None,
) -> pa.Table:
    """The rows of `neurons` that meet every condition, sorted.

    Args:
        neurons: the neurons table.
        layer: glob over layer names (``*`` also matches dots); it must match at least one.
        ranges: column -> range of its values.
        sort: a column of numbers or text; nulls come last, equal values in the order of the network.
        direction: by default numbers descend and text ascends.
        limit: at most so many rows.

    Raises:
        RayselError: an unknown column or layer, a column that has no order, a range or limit that holds nothing.
    """
    if limit is not None and limit < 1:
        raise RayselError(f"a limit of {limit} shows nothing: give 1 or more")
    kind = _ordered_type(neurons, sort)
    chosen = neurons if layer is None else neurons.filter(_layer_mask(neurons, layer))
    for column, bounds in (ranges or {}).items():
        chosen = chosen.filter(_range_mask(chosen, column, bounds))
    if sort == "layer":
        kind, sort = pa.int32(), "layer_depth"
        direction = direction or "ascending"
    if direction is None:
        direction = "ascending" if pa.types.is_string(kind) else "descending"
    return chosen.take(_order(chosen, sort, kind, direction)[:limit])


def _order(table: pa.Table, sort: str, kind: pa.DataType, direction: Direction) -> pa.Array:
    values = table[sort].cast(kind)
    missing = pc.is_null(values, nan_is_null=True)
    keys = pa.table([missing.cast(pa.int8()), values, table["layer_depth"], table["channel"]], ["missing", *_SORT_KEYS])
    order = [("missing", "ascending"), (_SORT_KEYS[0], direction), *((key, "ascending") for key in _SORT_KEYS[1:])]
    return pc.sort_indices(keys, sort_keys=order)


def _ordered_type(table: pa.Table, column: str) -> pa.DataType:
    kind = _field(table, column).type
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_boolean(kind):
        return pa.int8()
    if not (_is_number(kind) or pa.types.is_string(kind)):
        raise RayselError(f"column {column} holds {kind}: it has no order to sort by")
    return kind


def _layer_mask(table: pa.Table, glob: str) -> pa.Array:
    names = table["layer"].cast(pa.string())
    matching = [name for name in names.unique().to_pylist() if fnmatchcase(name, glob)]
    if not matching:
        raise RayselError(unknown("layer", glob, names.unique().to_pylist()))
    return pc.is_in(names, pa.array(matching))


def _range_mask(table: pa.Table, column: str, bounds: Range) -> pa.Array:
    if not _is_number(_field(table, column).type):
        raise RayselError(f"column {column} holds no numbers: it has no range")
    least, most = bounds
    if least is not None and most is not None and least > most:
        raise RayselError(f"the range {least:g}..{most:g} of {column} is empty: the smaller number comes first")
    values = table[column]
    # Bounds in the column's own precision: 0.3 then is the number that a float32 column shows as 0.3.
    kind = values.type if pa.types.is_floating(values.type) else pa.float64()
    mask = pc.is_valid(values)
    if least is not None:
        mask = pc.and_(mask, pc.greater_equal(values, pa.scalar(least, kind)))
    if most is not None:
        mask = pc.and_(mask, pc.less_equal(values, pa.scalar(most, kind)))
    return pc.fill_null(mask, False)


def _field(table: pa.Table, column: str) -> pa.Field:
    if column not in table.column_names:
        raise RayselError(unknown("column", column, table.column_names))
    return table.schema.field(column)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """One line: there is no such `what`, and which names come near."""
    names = list(known)
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    if near:
        return f"no {what} {given!r} in this index; near: {', '.join(near)}"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"no {what} {given!r} in this index; it has {', '.join(names[:_NAMED])}{more}"
