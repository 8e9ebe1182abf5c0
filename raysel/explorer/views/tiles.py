"""Neurons as tiles, which every page shows them as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raysel.store import Index

_READ = ("layer", "channel", "color_selectivity", "class_selectivity", "label", "color_name", "dead", "rf_size")
_COARSE = 48
"""Features of fewer pixels are enlarged: their pixels stay squares."""


@dataclass(frozen=True)
class Tile:
    """One neuron as a gallery shows it."""

    address: str
    """``layer:channel``."""
    color: float | None
    """Color selectivity."""
    class_: float | None
    """Class selectivity."""
    words: str
    """Color name and leading class, as far as they are known."""
    dead: bool
    coarse: bool
    """The feature has few pixels."""
    note: str = ""
    """What the page says about it beside the rest, such as a similarity."""


def tiles(index: Index, found: pa.Table, notes: Iterable[str] | None = None) -> list[Tile]:
    """The rows of a part of the neurons table as tiles."""
    rows = found.select([name for name in _READ if name in found.column_names]).to_pylist()
    given = list(notes) if notes is not None else [""] * len(rows)
    return [tile(row, index.class_names, note) for row, note in zip(rows, given, strict=True)]


def tile(row: Mapping[str, Any], class_names: Mapping[str, str], note: str = "") -> Tile:
    """A row of the neurons table as a tile."""
    label = row.get("label")
    words = [row.get("color_name"), class_names.get(label, label) if label is not None else None]
    return Tile(
        f"{row['layer']}:{row['channel']}",
        row.get("color_selectivity"),
        row.get("class_selectivity"),
        " · ".join(word for word in words if word),
        bool(row.get("dead")),
        row.get("rf_size", 0) < _COARSE,
        note,
    )
