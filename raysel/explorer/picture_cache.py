"""Pictures of an index, read by row group and kept in bounded memory."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from PIL import Image

from raysel.store import Index
from raysel.store.table_writer import layer_file


class BoundedCache:
    """Values by key, the least recently used removed first. Threads that miss the same key compute it once.

    A value may be made of other values of the cache, but not of itself.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        """Size of everything that is kept."""
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """The value of a key. `make` returns it with its size in bytes; larger than the whole cache, it is not kept."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
            made = self._making.get(key)
            mine = made is None
            if made is None:
                made = self._making[key] = Future()
        if mine:
            self._make(key, make, made)
        return made.result()

    def _make(self, key: Hashable, make: Callable[[], tuple[Any, int]], made: Future[Any]) -> None:
        try:
            value, size = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            made.set_exception(error)
            return
        with self._lock:
            del self._making[key]
            if size <= self.most_bytes:
                self._entries[key] = value, size
                self.bytes += size
            while self.bytes > self.most_bytes:
                _, (_, freed) = self._entries.popitem(last=False)
                self.bytes -= freed
        made.set_result(value)


@dataclass(frozen=True)
class Sheet:
    """A contact sheet as stored, with the grid of its crops."""

    picture: bytes
    """JPEG."""
    size: tuple[int, int]
    """(width, height) of the picture, pixels."""
    crops: int
    columns: int
    height: int
    """Of a crop, pixels of the picture, as is `width`."""
    width: int
    cell_height: int
    """Of a cell of the grid, pixels of the picture, as is `cell_width`; the crop is in its upper left corner."""
    cell_width: int

    def corner(self, rank: int) -> tuple[int, int]:
        """(x, y) of the upper left corner of a crop, pixels."""
        line, column = divmod(rank, self.columns)
        return column * self.cell_width, line * self.cell_height


@dataclass(frozen=True)
class Pictures:
    """Features and sheets of one index."""

    index: Index
    cache: BoundedCache

    def feature(self, layer: str, channel: int) -> bytes | None:
        """The neuron feature as WebP; None if the neuron is dead or has no feature.

        A row group holds the features of neighboring channels, which a gallery asks for as well: all are kept.
        """
        table = self.index.table(layer_file("features", layer))
        for group in table.groups_with(channel=channel):
            pictures = self.cache.get(
                (*self._of_index, "feature", layer, group),
                lambda group=group: _sized(table.group(group, ["channel", "picture"]).to_pydict()),  # type: ignore[misc]
            )
            if channel in pictures:
                return pictures[channel]
        return None

    def sheet(self, layer: str, channel: int) -> Sheet | None:
        """The contact sheet; None if the neuron is dead."""
        key = (*self._of_index, "sheet", layer, channel)
        return self.cache.get(key, lambda: self._read_sheet(layer, channel))

    @property
    def _of_index(self) -> tuple[str, str]:
        return self.index.folder.shown, self.index.manifest.index_fingerprint

    def _read_sheet(self, layer: str, channel: int) -> tuple[Sheet | None, int]:
        rows = self.index.table(layer_file("sheets", layer)).where(channel=channel).to_pylist()
        if not rows:
            return None, 1
        (row,) = rows
        size = Image.open(io.BytesIO(row["picture"])).size
        grid = (row[name] for name in ("crops", "columns", "crop_height", "crop_width", "cell_height", "cell_width"))
        sheet = Sheet(row["picture"], size, *grid)
        return sheet, len(sheet.picture)


def _sized(columns: dict[str, list[Any]]) -> tuple[dict[int, bytes], int]:
    pictures = dict(zip(columns["channel"], columns["picture"], strict=True))
    return pictures, sum(map(len, pictures.values())) + 1
