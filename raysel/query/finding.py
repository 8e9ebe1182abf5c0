"""Finding neurons: by words, by layer, by a condition on columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.query.question import Found, Question
from raysel.query.selection import in_layers, layers_matching, meeting, ordered, window
from raysel.query.words.match import match
from raysel.store import Index, neuron_address

MATCH = "match"
_DEFAULT_SORT = "color_selectivity"


def find(index: Index, question: Question) -> Found:
    """The neurons that meet every condition of a question, in its order.

    Raises:
        RayselError: an unknown word, layer, column or neuron; a condition that cannot be read; a column without order;
            a limit below 1 or a negative offset. The message is one line and names similar names.
    """
    neurons, understood, sort = index.neurons, "", question.sort
    asked: list[str] = [sort] if sort else []
    chosen = np.ones(len(neurons), bool)
    if question.layer is not None:
        chosen &= in_layers(neurons, layers_matching(index.layers, question.layer))
    if question.neurons:
        chosen &= _addressed(index, question.neurons)
    if question.words.strip():
        matches, understood = match(index, question.words)
        chosen &= matches > 0
        neurons = neurons.append_column(pa.field(MATCH, pa.float64(), nullable=False), pa.array(matches))
        sort = sort or MATCH
    if question.where.strip():
        met, columns = meeting(neurons, question.where)
        chosen &= met
        asked += columns
        sort = sort or next((name for name, kind in columns.items() if pa.types.is_floating(kind)), None)
    rows = ordered(neurons, chosen, sort or _DEFAULT_SORT, question.direction)
    shown = neurons.take(window(rows, question.limit, question.offset))
    return Found(shown, index, len(rows), understood, tuple(dict.fromkeys(asked)))


def _addressed(index: Index, addresses: tuple[str, ...]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(index.neurons), bool)
    chosen[[index.row_of(*neuron_address(address)) for address in addresses]] = True
    return chosen
