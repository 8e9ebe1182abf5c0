"""Indexes of other packages, which an installed package offers as entry points."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pyarrow as pa

from raysel.errors import RayselError, type_and_first_line
from raysel.selectivity.evidence import Evidence, SelectivityIndex, Value

GROUP = "raysel.selectivity"
"""Group of the entry points. Each is the name of a `SelectivityIndex`, such as ``brightness:INDEX``."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Plugin:
    """An index of another package."""

    entry: str
    """Name of the entry point."""
    package: str
    version: str
    index: SelectivityIndex

    def __str__(self) -> str:
        return f"selectivity index {self.entry!r} of package {self.package} {self.version}"

    def measure(self, evidence: Evidence) -> dict[str, Value]:
        """A value for each column of the index.

        Raises:
            RayselError: the index fails, or returns other values than it declares.
        """
        columns = self.index.columns
        try:
            measured = self.index.measure(evidence)
            row = {column.name: measured[column.name] for column in columns}
            pa.Table.from_pylist([row], schema=pa.schema(columns))
        except Exception as error:
            neuron, why = f"{evidence.layer}:{evidence.channel}", type_and_first_line(error)
            raise RayselError(f"the {self} fails for neuron {neuron} ({why}): repair or uninstall it") from error
        return row


def installed() -> tuple[Plugin, ...]:
    """The indexes of all installed packages, in order of package and entry point.

    Raises:
        RayselError: an entry point cannot be loaded, or names something else. The message names its package.
    """
    loaded = [_loaded(entry) for entry in entry_points(group=GROUP)]
    return tuple(sorted(loaded, key=lambda plugin: (plugin.package, plugin.entry)))


def check_columns(plugins: Iterable[Plugin], taken: Collection[str]) -> None:
    """Fail if a column of an index of another package cannot be asked for, is taken, or is repeated in another one.

    Raises:
        RayselError: which one, and which package it is from.
    """
    owners: dict[str, str] = dict.fromkeys(taken, "raysel itself")
    for plugin in plugins:
        for column in plugin.index.columns:
            if not _NAME.fullmatch(column.name):
                raise RayselError(
                    f"the {plugin} has a column {column.name!r}, which a condition cannot name: uninstall the package, "
                    "or rename the column to letters, digits and underscores"
                )
            if column.name in owners:
                raise RayselError(
                    f"the {plugin} has a column {column.name!r}, as has {owners[column.name]}: uninstall the package, "
                    "or rename the column"
                )
            owners[column.name] = f"the {plugin}"


def check_same(here: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Fail if a machine has other packages with indexes than the one where the run was started.

    Raises:
        RayselError: what is missing or differs.
    """
    if here != expected:
        names = sorted({name for name, _ in here.items() ^ expected.items()})
        found = ", ".join(f"{name} {here.get(name, 'not installed')}" for name in names)
        wanted = ", ".join(f"{name} {expected.get(name, 'not installed')}" for name in names)
        raise RayselError(
            f"a machine of the cluster has other selectivity indexes ({found}) than the one where the run was started "
            f"({wanted}): install the same packages on all machines"
        )


def _loaded(entry: EntryPoint) -> Plugin:
    package, version = (entry.dist.name, entry.dist.version) if entry.dist else (entry.module, "")
    shown = f"the selectivity index {entry.name!r} of package {package} {version}"
    try:
        index = entry.load()
    except Exception as error:
        why = type_and_first_line(error)
        raise RayselError(f"{shown} cannot be loaded ({why}): repair or uninstall the package") from error
    if not isinstance(index, SelectivityIndex):
        raise RayselError(
            f"{shown} is not a SelectivityIndex: let its entry point {entry.value!r} name one, or uninstall the package"
        )
    return Plugin(entry.name, package, version, index)
