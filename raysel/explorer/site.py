"""The explorer of one index as a static site: the same pages, written once, for a bucket or any web server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from raysel.errors import RayselError
from raysel.explorer.catalog import named
from raysel.explorer.column_data import column_json, described, table_json
from raysel.explorer.links import SiteLinks, assets, site_name
from raysel.explorer.picture_cache import BoundedCache, Pictures
from raysel.explorer.rendering import render
from raysel.explorer.views.gallery_view import GalleryState, choices, results
from raysel.explorer.views.network_view import network_view
from raysel.explorer.views.neuron_view import neuron_view
from raysel.explorer.views.tiles import Tile, tiles
from raysel.query import similar
from raysel.query.neuron_data import neuron_data
from raysel.store import Index, Neuron

MARK = "raysel-site.json"
"""A folder with this file may be written again."""
_FOLDERS = ("assets", "columns", "data", "feature", "neuron", "sheet")
_CACHE_BYTES = 64 << 20
_SIMILAR = 12


def write_site(
    index: Index, out: Path, name: str | None = None, advance: Callable[[int], None] = lambda _: None
) -> int:
    """Write the site into the folder `out`. A site that is there already is replaced.

    Args:
        index: an open index.
        out: a new or empty folder, or one with an earlier site.
        name: the name of the index on its pages; by default that of its folder.
        advance: called with the number of neurons that were written since the last call.

    Returns:
        number of files.

    Raises:
        RayselError: `out` has other content, or cannot be written.
    """
    try:
        _clear(out)
        return _Site(index, out, name or next(iter(named([index.folder.shown])))).write(advance)
    except OSError as error:
        raise RayselError(f"cannot write {error.filename or out}: {error.strerror or error}") from None


def _clear(out: Path) -> None:
    """Make the folder, and remove an earlier site."""
    if out.exists() and not out.is_dir():
        raise RayselError(f"--out {out} is a file: give a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise RayselError(f"--out {out} has other files in it: give an empty or a new folder")
    out.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    (out / MARK).write_text("{}\n")
    for name in _FOLDERS:
        (out / name).mkdir()


class _Site:
    def __init__(self, index: Index, out: Path, name: str) -> None:
        self.index, self.out, self.name = index, out, name
        self.pictures = Pictures(index, BoundedCache(_CACHE_BYTES))
        self.files = 0

    def write(self, advance: Callable[[int], None]) -> int:
        """Write every file, the mark last. Returns their number."""
        for name, content in assets().items():
            self._put(f"assets/{name}", content)
        self._write_columns()
        self._write_pages()
        keys = self.index.images["key"]
        places = self.index.neurons.select(["layer", "channel"]).to_pylist()
        for place in places:
            self._write_neuron(self.index.neuron(place["layer"], place["channel"]), keys)
            advance(1)
        mark = {"fingerprint": self.index.manifest.index_fingerprint, "neurons": len(places)}
        self._put(MARK, json.dumps(mark) + "\n")
        return self.files

    def _write_columns(self) -> None:
        self._put("columns/neurons.json", table_json(self.index, SiteLinks(self.name)))
        for name, _, _ in described(self.index):
            self._put(f"{SiteLinks(self.name).columns(name)}", column_json(self.index, name))

    def _write_pages(self) -> None:
        state, offered = GalleryState(), choices(self.index)
        self._page("network", view=network_view(self.index))
        self._page("plane", choices=offered)
        self._page("gallery", choices=offered, state=state, results=results(self.index, state), problem="")
        self._page("list", view=None)

    def _write_neuron(self, neuron: Neuron, keys: pa.ChunkedArray) -> None:
        links, name = SiteLinks(self.name, "../"), site_name(neuron.address)
        view = neuron_view(self.pictures, neuron)
        more: dict[str, Any] = {"view": view, "similar": self._similar(neuron), "by": ()}
        self._put(f"neuron/{name}.html", render("neuron", links, indexes=(), **more))
        self._put(f"data/{name}.json", json.dumps(neuron_data(self.index, neuron, keys), ensure_ascii=False))
        feature = self.pictures.feature(neuron.layer, neuron.channel)
        if feature is not None:
            self._put(f"feature/{name}.webp", feature)
        if view.sheet is not None:
            self._put(f"sheet/{name}.jpg", view.sheet.picture)

    def _similar(self, neuron: Neuron) -> list[Tile]:
        if neuron.row["dead"]:
            return []
        table = similar(self.index, neuron.layer, neuron.channel, "images", _SIMILAR)
        return tiles(self.index, table, [f"{value:.0%} similar" for value in table["similarity"].to_pylist()])

    def _page(self, name: str, **shown: Any) -> None:
        file = "index.html" if name == "network" else f"{name}.html"
        self._put(file, render(name, SiteLinks(self.name), indexes=(), **shown))

    def _put(self, name: str, content: str | bytes) -> None:
        path = self.out / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.files += 1
