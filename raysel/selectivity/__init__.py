"""What a neuron is selective to: one file per index, all alike.

An index is a module of this package that holds ``INDEX``, a `SelectivityIndex`. Nothing else knows of it: its columns
appear in the index at rest, and its measure is taken, because the file is there.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pyarrow as pa

from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value

__all__ = ["INDEXES", "Evidence", "SelectivityIndex", "columns", "measure", "null_values"]


def _discover() -> tuple[SelectivityIndex, ...]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    indexes = tuple(module.INDEX for module in modules if hasattr(module, "INDEX"))
    names = [column.name for index in indexes for column in index.columns]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise TypeError(f"columns of more than one selectivity index: {', '.join(twice)}; rename them in one file")
    return indexes


INDEXES: tuple[SelectivityIndex, ...] = _discover()
"""Every index of this package, by name of its file."""


def columns() -> tuple[pa.Field, ...]:
    """The columns of all indexes, in the order of `INDEXES`."""
    return tuple(column for index in INDEXES for column in index.columns)


def measure(evidence: Evidence) -> dict[str, Value]:
    """Every index of one living neuron: a value for each of `columns`."""
    values: dict[str, Value] = {}
    for index in INDEXES:
        measured = index.measure(evidence)
        values.update((column.name, measured[column.name]) for column in index.columns)
    return values


def null_values() -> dict[str, Value]:
    """The values of a dead neuron: null in each of `columns`."""
    return dict.fromkeys(column.name for column in columns())
