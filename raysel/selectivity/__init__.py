"""What a neuron is selective to: one module per index.

A module that defines ``INDEX``, a `SelectivityIndex`, is an index: it is found by its file, and no other code names it.
An installed package adds its own by an entry point of the group ``raysel.selectivity`` (`plugins`). The columns of all
appear in the neurons table, and their measures are taken for every neuron.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import pyarrow as pa

from raysel.selectivity.evidence import Concepts, Evidence, SelectivityIndex, Value, column
from raysel.selectivity.plugins import check_columns, check_same, installed

__all__ = [
    "INDEXES",
    "Concepts",
    "Evidence",
    "SelectivityIndex",
    "check_plugins",
    "column",
    "columns",
    "measure",
    "null_values",
    "plugin_versions",
]


def _discover() -> tuple[SelectivityIndex, ...]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    indexes = tuple(module.INDEX for module in modules if hasattr(module, "INDEX"))
    names = [column.name for index in indexes for column in index.columns]
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise TypeError(f"columns of more than one selectivity index: {', '.join(repeated)}; rename them in one file")
    return indexes


INDEXES: tuple[SelectivityIndex, ...] = _discover()
"""Every index of raysel itself, by the name of its module."""


_plugins = cache(installed)


def columns(taken: Collection[str] = ()) -> tuple[pa.Field, ...]:
    """The columns of all indexes, in the order of `INDEXES`, and then those of other packages.

    Raises:
        RayselError: the index of another package cannot be loaded, or has a column that is `taken` or repeated.
    """
    own = [column.name for index in INDEXES for column in index.columns]
    check_columns(_plugins(), [*own, *taken])
    return tuple(column for index in (*INDEXES, *(plugin.index for plugin in _plugins())) for column in index.columns)


def measure(evidence: Evidence) -> dict[str, Value]:
    """All indexes of one neuron that is not dead: a value for each of `columns`."""
    values: dict[str, Value] = {}
    for index in INDEXES:
        measured = index.measure(evidence)
        values.update((column.name, measured[column.name]) for column in index.columns)
    for plugin in _plugins():
        values.update(plugin.measure(evidence))
    return values


def null_values() -> dict[str, Value]:
    """The values of a dead neuron: None for each of `columns`."""
    return dict.fromkeys(column.name for column in columns())


def plugin_versions() -> dict[str, str]:
    """Name -> version of each installed package that adds indexes."""
    return {plugin.package: plugin.version for plugin in _plugins()}


def check_plugins(expected: dict[str, str]) -> None:
    """Fail if this machine has other packages with indexes than `expected`, the `plugin_versions` of another machine.

    Raises:
        RayselError: what is missing or differs.
    """
    check_same(plugin_versions(), expected)
