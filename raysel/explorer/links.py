"""The addresses of pages, pictures and data: on a server, and on a static site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, ClassVar, Protocol
from urllib.parse import quote, urlencode

from raysel.store import neuron_address

ASSETS = files("raysel.explorer") / "assets"


class Links(Protocol):
    """The addresses that the pages of one index link to. A neuron is named by its address, ``layer:channel``."""

    live: ClassVar[bool]
    """True on a server, which answers questions; a static site answers them in the browser."""

    @property
    def index(self) -> str:
        """Name of the index."""

    def asset(self, name: str) -> str:
        """A style sheet, script or icon."""

    def page(self, name: str, state: Mapping[str, Any] | None = None) -> str:
        """``network``, ``plane``, ``gallery`` or ``list``, with its state in the query string."""

    def neuron(self, address: str) -> str:
        """The page of a neuron."""

    def feature(self, address: str) -> str:
        """The neuron feature, a WebP."""

    def sheet(self, address: str) -> str:
        """The contact sheet of the crops, a JPEG."""

    def portrait(self, address: str) -> str:
        """Feature and crops on one picture to keep."""

    def data(self, address: str) -> str:
        """Everything about a neuron as JSON."""

    def columns(self, name: str) -> str:
        """The values of one column of the neurons table, or ``neurons``, which describes all columns."""


@dataclass(frozen=True)
class ServerLinks:
    """Addresses on a server that may be mounted below a path."""

    live: ClassVar[bool] = True
    root: str
    """Path at which the application is mounted, without a slash at its end."""
    index: str
    version: str
    """Changes with the index: a browser keeps pictures of one version."""

    @property
    def here(self) -> str:
        """Address of the index, without a slash at its end."""
        return f"{self.root}/i/{quote(self.index)}"

    def asset(self, name: str) -> str:
        """See `Links`."""
        return f"{self.root}/assets/{name}"

    def page(self, name: str, state: Mapping[str, Any] | None = None) -> str:
        """See `Links`."""
        return f"{self.here}/{'' if name == 'network' else name}{_query(state)}"

    def neuron(self, address: str) -> str:
        """See `Links`."""
        return self._of("neuron", address)

    def feature(self, address: str) -> str:
        """See `Links`."""
        return self._of("feature", address) + f"?v={self.version}"

    def sheet(self, address: str) -> str:
        """See `Links`."""
        return self._of("sheet", address) + f"?v={self.version}"

    def portrait(self, address: str) -> str:
        """See `Links`."""
        return self._of("portrait", address)

    def data(self, address: str) -> str:
        """See `Links`."""
        return f"{self.root}/api/i/{quote(self.index)}/neurons/{slug(address)}"

    def columns(self, name: str) -> str:
        """See `Links`."""
        return f"{self.here}/columns/{name}?v={self.version}"

    def rows(self, state: Mapping[str, Any]) -> str:
        """Rows of the neurons table from the API."""
        return f"{self.root}/api/i/{quote(self.index)}/neurons{_query(state)}"

    def similar(self, address: str, by: str) -> str:
        """The fragment with the neurons that are similar to one."""
        return self._of("similar", address) + _query({"by": by})

    def crop(self, address: str, rank: int) -> str:
        """The page of one crop in its image."""
        return self._of(f"crop/{rank}", address)

    def source(self, address: str, rank: int) -> str:
        """The image of a crop, a JPEG."""
        return self._of(f"source/{rank}", address)

    def random(self) -> str:
        """Leads to a neuron chosen at random."""
        return f"{self.here}/random"

    def compare(self, state: Mapping[str, Any] | None = None) -> str:
        """The page that compares this index with another one."""
        return f"{self.root}/compare{_query({'a': self.index, **(state or {})})}"

    def _of(self, kind: str, address: str) -> str:
        return f"{self.here}/{kind}/{slug(address)}"


@dataclass(frozen=True)
class SiteLinks:
    """Addresses on a static site, relative to the page that holds them: the site may be anywhere in a bucket."""

    live: ClassVar[bool] = False
    index: str
    up: str = ""
    """From the page to the top of the site: empty or ``../``."""

    def asset(self, name: str) -> str:
        """See `Links`."""
        return f"{self.up}assets/{name}"

    def page(self, name: str, state: Mapping[str, Any] | None = None) -> str:
        """See `Links`."""
        return f"{self.up}{'index' if name == 'network' else name}.html{_query(state)}"

    def neuron(self, address: str) -> str:
        """See `Links`."""
        return self._of("neuron", address, "html")

    def feature(self, address: str) -> str:
        """See `Links`."""
        return self._of("feature", address, "webp")

    def sheet(self, address: str) -> str:
        """See `Links`."""
        return self._of("sheet", address, "jpg")

    def portrait(self, address: str) -> str:
        """See `Links`: the feature alone."""
        return self.feature(address)

    def data(self, address: str) -> str:
        """See `Links`."""
        return self._of("data", address, "json")

    def columns(self, name: str) -> str:
        """See `Links`."""
        return f"{self.up}columns/{name}.json"

    def _of(self, kind: str, address: str, suffix: str) -> str:
        return f"{self.up}{kind}/{quote(site_name(address))}.{suffix}"


@lru_cache(maxsize=4096)
def slug(address: str) -> str:
    """A neuron's address for the path of a URL."""
    layer, channel = neuron_address(address)
    return f"{quote(layer, safe='')}:{channel}"


def site_name(address: str) -> str:
    """A neuron's address as the name of a file, without its suffix."""
    layer, channel = neuron_address(address)
    return f"{quote(layer, safe='')}-{channel}"


def patterns(links: Links) -> dict[str, str]:
    """What the scripts fill in: addresses in which ``__layer__`` stands for the layer, as `layer_slugs` spells it,
    999999999 for the channel, and ``__name__`` for a column."""
    anyone = "__layer__:999999999"
    return {
        "neuron": links.neuron(anyone),
        "feature": links.feature(anyone),
        "columns": links.columns("__name__"),
        "gallery": links.page("gallery"),
        "list": links.page("list"),
    }


def layer_slugs(links: Links, layers: Iterable[str]) -> list[str]:
    """Each layer as the addresses of `links` spell it."""
    once = [quote(layer, safe="") for layer in layers]
    return once if links.live else [quote(each) for each in once]


def _query(state: Mapping[str, Any] | None) -> str:
    known = {name: value for name, value in (state or {}).items() if value not in (None, "")}
    return f"?{urlencode(known)}" if known else ""


@cache
def assets() -> dict[str, bytes]:
    """Name -> content of everything that a browser loads beside the pages."""
    found: dict[str, bytes] = {}
    for entry in ASSETS.iterdir():
        inner = [(f"{entry.name}/", each) for each in entry.iterdir()] if entry.is_dir() else [("", entry)]
        found |= {f"{folder}{each.name}": each.read_bytes() for folder, each in inner if each.is_file()}
    return found
