"""A question to an index, and the neurons that answer it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from raysel.store import Index, Neuron

Direction = Literal["ascending", "descending"]


@dataclass(frozen=True)
class Question:
    """Which neurons, in which order. Every condition that is given must be met."""

    words: str = ""
    """What the neurons are selective to: ``red mushroom``; see `raysel.query.words.match`."""
    layer: str | None = None
    """Glob over layer names (``*`` also matches dots); it must match at least one."""
    where: str = ""
    """Condition on columns, as in SQL: ``color_selectivity > 0.5 and label = 'n07734744'``; see `parse_condition`."""
    neurons: tuple[str, ...] = ()
    """Only these, by address: ``conv4:17``."""
    sort: str | None = None
    """Column to sort by, or a part of one, such as ``color_names.red``. By default ``match`` if there are words, else
    the first fractional column of the condition, else color selectivity."""
    direction: Direction | None = None
    """By default numbers descend and text ascends. Null is last, ties are in the network's order."""
    limit: int | None = None
    """Maximum number of neurons, at least 1."""
    offset: int = 0
    """Neurons to skip before them."""


@dataclass(frozen=True)
class NeuronTable:
    """Rows about neurons of an index, in order. A notebook shows them with their features."""

    table: pa.Table
    """A row per neuron, with columns ``layer`` and ``channel``."""
    index: Index = field(repr=False)
    """The index that they are from."""

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Neuron]:
        """The neurons themselves, in order."""
        for layer, channel in zip(self.table["layer"].to_pylist(), self.table["channel"].to_pylist(), strict=True):
            yield self.index.neuron(layer, channel)

    def _repr_html_(self) -> str:
        from raysel.query.notebook import table_html

        return table_html(self)


@dataclass(frozen=True)
class Found(NeuronTable):
    """The neurons that answer a question. `table` has the rows of the neurons table, and after them a column ``match``,
    float64 in (0, 1], if the question has words."""

    total: int
    """Neurons that meet the conditions, before offset and limit."""
    understood: str
    """How the words were understood, in one line; empty without words."""
    asked: tuple[str, ...] = ()
    """Columns that the question's order and condition are about."""
