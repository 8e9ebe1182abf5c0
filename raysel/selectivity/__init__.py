"""What a neuron is selective to: one module per index.

A module that defines ``INDEX``, a `SelectivityIndex`, is an index: it is found by its file, and no other code names it.
Its columns appear in the neurons table, and its measure is taken for every neuron.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pyarrow as pa

from raysel.selectivity.evidence import Concepts, Evidence, SelectivityIndex, Value

__all__ = ["INDEXES", "Concepts", "Evidence", "SelectivityIndex", "columns", "measure", "null_values"]


def _discover() -> tuple[SelectivityIndex, ...]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    indexes = tuple(module.INDEX for module in modules if hasattr(module, "INDEX"))
    names = [column.name for index in indexes for column in index.columns]
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise TypeError(f"columns of more than one selectivity index: {', '.join(repeated)}; rename them in one file")
    return indexes


INDEXES: tuple[SelectivityIndex, ...] = _discover()
"""Every index of this package, by the name of its module."""


def columns() -> tuple[pa.Field, ...]:
    """The columns of all indexes, in the order of `INDEXES`."""
    return tuple(column for index in INDEXES for column in index.columns)


def measure(evidence: Evidence) -> dict[str, Value]:
    """All indexes of one neuron that is not dead: a value for each of `columns`."""
    values: dict[str, Value] = {}
    for index in INDEXES:
        measured = index.measure(evidence)
        values.update((column.name, measured[column.name]) for column in index.columns)
    return values


def null_values() -> dict[str, Value]:
    """The values of a dead neuron: None for each of `columns`."""
    return dict.fromkeys(column.name for column in columns())
