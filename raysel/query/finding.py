"""Finding neurons: by words, by layer, by a condition on columns."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.errors import RayselError, did_you_mean
from raysel.query.columns import column_values, is_number
from raysel.query.question import Direction, Found, Question
from raysel.query.words import match
from raysel.store import Index, neuron_address

MATCH = "match"
_DEFAULT_SORT = "color_selectivity"


def find(index: Index, question: Question) -> Found:
    """The neurons that meet every condition of a question, in its order.

    Raises:
        RayselError: an unknown word, layer, column or neuron; a condition that cannot be read; a column without order;
            a limit below 1 or a negative offset. The message is one line and names similar names.
    """
    if question.limit is not None and question.limit < 1:
        raise RayselError(f"a limit of {question.limit} shows nothing: give 1 or more")
    if question.offset < 0:
        raise RayselError(f"an offset of {question.offset} is negative: give 0 or more")
    neurons, understood, sort = index.neurons, "", question.sort
    asked: list[str] = [sort] if sort else []
    chosen = np.ones(len(neurons), bool)
    if question.layer is not None:
        chosen &= _in_layers(index, question.layer)
    if question.neurons:
        chosen &= _addressed(index, question.neurons)
    if question.where.strip():
        meeting, mentioned = _meeting(neurons, question.where)
        chosen &= meeting
        asked += mentioned
        if not question.words.strip():
            sort = sort or next((name for name, kind in mentioned.items() if pa.types.is_floating(kind)), None)
    if question.words.strip():
        matches, understood = match(index, question.words)
        chosen &= matches > 0
        neurons = neurons.append_column(pa.field(MATCH, pa.float64(), nullable=False), pa.array(matches))
        sort = sort or MATCH
    rows = _sorted(neurons, np.flatnonzero(chosen), sort or _DEFAULT_SORT, question.direction)
    end = None if question.limit is None else question.offset + question.limit
    return Found(neurons.take(rows[question.offset : end]), index, len(rows), understood, tuple(dict.fromkeys(asked)))


def layers_matching(index: Index, glob: str) -> list[str]:
    """The layers that a glob matches, in the order of the network.

    Raises:
        RayselError: it matches none.
    """
    matching = [layer for layer in index.layers if fnmatchcase(layer, glob)]
    if not matching and index.layers:
        raise RayselError(f"no layer {glob!r} in this index; {did_you_mean(glob, index.layers)}")
    return matching


def _in_layers(index: Index, glob: str) -> NDArray[np.bool_]:
    names = index.neurons["layer"].cast(pa.string())
    return pc.is_in(names, pa.array(layers_matching(index, glob), pa.string())).to_numpy()


def _addressed(index: Index, addresses: tuple[str, ...]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(index.neurons), bool)
    chosen[[index.row_of(*neuron_address(address)) for address in addresses]] = True
    return chosen


def _meeting(neurons: pa.Table, where: str) -> tuple[NDArray[np.bool_], dict[str, pa.DataType]]:
    """Which neurons meet a condition, and the columns in it with their types."""
    from raysel.query.condition import parse_condition  # its parser takes a while to load, and is often not needed

    condition = parse_condition(where, neurons.schema)
    chosen = np.zeros(len(neurons), bool)
    chosen[condition.rows(neurons)] = True
    return chosen, condition.columns


def _sorted(neurons: pa.Table, rows: NDArray[np.int64], sort: str, direction: Direction | None) -> NDArray[np.int64]:
    """The rows in the order of a column; ties in the order of the network, null last."""
    values = _sortable(neurons, sort)
    if direction is None:
        direction = "ascending" if pa.types.is_string(values.type) else "descending"
    if sort == "layer":
        values = neurons["layer_depth"]
    keys = pa.table({"value": values, "depth": neurons["layer_depth"], "channel": neurons["channel"]}).take(rows)
    order = [("value", direction), ("depth", "ascending"), ("channel", "ascending")]
    return rows[pc.sort_indices(keys, sort_keys=order).to_numpy()]


def _sortable(table: pa.Table, column: str) -> pa.ChunkedArray:
    """The values of a column in a type that Arrow can sort."""
    values = column_values(table, column)
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8())
    if not (is_number(values.type) or pa.types.is_string(values.type)):
        raise RayselError(f"column {column} holds {values.type}: it has no order to sort by")
    return values
