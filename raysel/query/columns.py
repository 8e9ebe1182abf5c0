"""Columns of a table of neurons by name, parts of columns (``color_names.red``), and the columns that people see."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError, did_you_mean
from raysel.store import Index

NEURON, NAME = "neuron", "name"
"""Columns for people that the table does not have: ``layer:channel``, and the readable name of the label."""

_PRINTED = {
    NEURON: "use layer and channel",
    NAME: "use label, or words as in raysel find INDEX dog",
    "match": "it needs words, as in raysel find INDEX dog",
}
"""Column that people see, but that may not be there -> what to do instead."""

_FOR_PEOPLE = (
    *(NEURON, "match", "similarity", "relative", "image_overlap"),
    *("color_selectivity", "color_name", "class_selectivity", "class_excess"),
    *("color_selectivity_a", "color_selectivity_change", "class_selectivity_a", "class_selectivity_change"),
)


def columns_for_people(index: Index, table: pa.Table, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns of a table of neurons to show by default: they fit a terminal of 80 columns. `asked`: more of them,
    such as those of a condition."""
    last = NAME if index.class_names and "label" in table.column_names else "label"
    known = {NEURON, NAME, *table.column_names}
    ends = [last] if last in known else []
    return tuple(dict.fromkeys([*(name for name in _FOR_PEOPLE if name in known), *asked, *ends]))


def selected(index: Index, table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with exactly these columns, each a column, a part of one, ``neuron`` or ``name``.

    Raises:
        RayselError: one of them is unknown.
    """
    return pa.table({name: _derived(index, table, name) for name in columns})


def _derived(index: Index, table: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    if name == NEURON:
        channels = table["channel"].cast(pa.string())
        return pc.binary_join_element_wise(table["layer"].cast(pa.string()), channels, ":")
    if name == NAME and NAME not in table.column_names:
        return pa.array([index.class_names.get(label, label) for label in table["label"].to_pylist()], pa.string())
    return column_values(table, name)


def column_values(table: pa.Table, name: str) -> pa.ChunkedArray:
    """The values of a column, or of a part of one.

    Raises:
        RayselError: there is no such column; the message names similar ones.
    """
    column_type(name, table.schema)
    if name in table.column_names:
        return table[name]
    return pc.struct_field(table[name.split(".", 1)[0]], name.split(".", 1)[1])


def column_type(name: str, schema: pa.Schema) -> pa.DataType:
    """The type of a column, or of a part of one.

    Raises:
        RayselError: there is no such column; the message names similar ones.
    """
    parts = {
        f"{column.name}.{part.name}": part.type
        for column in schema
        if pa.types.is_struct(column.type)
        for part in column.type
    }
    types = {column.name: column.type for column in schema} | parts
    if name in _PRINTED and name not in types:
        raise RayselError(f"column {name!r} is printed, but not stored in the index: {_PRINTED[name]}")
    if name not in types:
        raise RayselError(f"no column {name!r} in this index; {did_you_mean(name, types)}")
    return types[name]


def without_values(name: str, kind: pa.DataType) -> str:
    """Why a column has no single values to sort or compare, and what to do."""
    if pa.types.is_struct(kind):
        return f"column {name} has parts: write one of them, such as {name}.{kind[0].name}"
    return f"column {name} is a list: take one of numbers or text"


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds integers or floats."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
