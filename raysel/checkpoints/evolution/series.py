"""The indexes of one network's checkpoints, in the order of their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyarrow import fs

from raysel.checkpoints.checkpoint import step_of
from raysel.errors import RayselError
from raysel.files import Folder, absolute_uri, filesystem_of, join_uri, list_folder, matches, redact_uri, split_glob
from raysel.store import MANIFEST_NAME, Index, open_index


@dataclass(frozen=True)
class Member:
    """One index of a series."""

    index: Index
    name: str
    """Name of its folder."""
    step: int | None
    """The step in its name."""


@dataclass(frozen=True)
class Series:
    """Two or more indexes with the same neurons over the same images."""

    members: tuple[Member, ...]

    @property
    def indexes(self) -> tuple[Index, ...]:
        return tuple(member.index for member in self.members)

    @property
    def labels(self) -> tuple[str, ...]:
        """What to write beside each member: its step if every member has one of its own, else its name."""
        return tuple(f"{member.step:,}" if self._by_step else member.name for member in self.members)

    @property
    def axis(self) -> str:
        """What the labels are."""
        return "step" if self._by_step else "checkpoint"

    @property
    def _by_step(self) -> bool:
        return len({member.step for member in self.members} - {None}) == len(self.members)

    @property
    def last(self) -> Index:
        return self.members[-1].index


def open_series(places: Sequence[str]) -> Series:
    """The indexes at some places, by step. Those without a step in their name come last, by the time they were made.

    Args:
        places: paths or URIs: of an index, of a folder of indexes, or a glob of indexes.

    Raises:
        RayselError: fewer than two indexes, or indexes of other neurons or other images.
    """
    uris = list(dict.fromkeys(uri for place in places for uri in _indexes_at(absolute_uri(place))))
    if len(uris) < 2:
        raise RayselError("an evolution needs at least two indexes: give a folder of indexes, or several indexes")
    opened = [open_index(uri) for uri in uris]
    names = [index.folder.path.rpartition("/")[2] for index in opened]
    members = [Member(index, name, step_of(name)) for index, name in zip(opened, names, strict=True)]
    members.sort(key=lambda each: (each.step is None, each.step or 0, each.index.manifest.created, each.name))
    for member in members[1:]:
        _require_same(members[0].index, member.index)
    return Series(tuple(members))


def _indexes_at(uri: str) -> list[str]:
    root, glob = split_glob(uri)
    if "/" in glob:
        raise RayselError(f"{redact_uri(uri)}: only the last part of a glob of indexes may have wildcards")
    folder = Folder.at(root).require_readable()
    if not glob and folder.exists(MANIFEST_NAME):
        return [uri]
    entries = list_folder(*filesystem_of(root), recursive=False).entries
    names = [info.base_name for info in entries if info.type == fs.FileType.Directory]
    found = [
        join_uri(root, name)
        for name in names
        if matches([name], [glob or "[!.]*"]) and folder.exists(f"{name}/{MANIFEST_NAME}")
    ]
    if not found:
        raise RayselError(f"no index at {redact_uri(uri)}, and none in a folder below it")
    return found


def _require_same(first: Index, other: Index) -> None:
    mine, theirs = _channels(first), _channels(other)
    between = f"{first.folder.shown} and {other.folder.shown} cannot be compared"
    if mine != theirs:
        layer = next((name for name in (*mine, *theirs) if mine.get(name) != theirs.get(name)), None)
        what = "their layers have another order" if layer is None else f"layer {layer}: {_counted(mine, theirs, layer)}"
        raise RayselError(f"{between}, because their networks differ: {what}")
    if first.manifest.source.digest != other.manifest.source.digest:
        raise RayselError(f"{between}, because their images differ: index both over the same images")


def _channels(index: Index) -> dict[str, int]:
    """Layer -> number of its neurons."""
    layers = index.neurons["layer"].cast("string").to_pylist()
    return {layer: layers.count(layer) for layer in index.layers}


def _counted(mine: dict[str, int], theirs: dict[str, int], layer: str) -> str:
    return " and ".join(f"{each[layer]:,} neurons" if layer in each else "missing" for each in (mine, theirs))
