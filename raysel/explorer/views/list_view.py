"""Neurons picked by hand, in the order in which they were picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raysel.explorer.views.gallery_view import addresses
from raysel.explorer.views.tiles import Tile, tiles
from raysel.query import Question, find
from raysel.store import Index

MOST = 500


@dataclass(frozen=True)
class ListView:
    """Everything that the page of a list shows."""

    neurons: str
    """The list as its link has it."""
    tiles: list[Tile]
    rows: list[dict[str, Any]]
    """Their rows of the neurons table, in the same order."""


def list_view(index: Index, neurons: str) -> ListView:
    """Collect the page.

    Raises:
        UnknownNeuronError: one of the neurons is not in the index.
        RayselError: one of the addresses is not written as ``layer:channel``.
    """
    wanted = addresses(neurons)[:MOST]
    if not wanted:
        return ListView("", [], [])
    table = find(index, Question(neurons=wanted)).table
    known = {
        f"{row['layer']}:{row['channel']}": place
        for place, row in enumerate(table.select(["layer", "channel"]).to_pylist())
    }
    table = table.take([known[address] for address in wanted if address in known])
    return ListView(",".join(wanted), tiles(index, table), table.to_pylist())
