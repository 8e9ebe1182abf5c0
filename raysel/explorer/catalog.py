"""The indexes that the explorer serves, each under a name."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from raysel.errors import RayselError, did_you_mean
from raysel.explorer.picture_cache import BoundedCache, Pictures
from raysel.store import Index, open_index, read_manifest

CACHE_BYTES = 128 << 20
"""Memory for pictures and pages of all indexes together."""
_LOOK_AGAIN_S = 30.0
_NAMED = re.compile(r"([\w.-]+)=(.+)")
_PLAIN_NAMES = ("index", "")


class UnknownIndexError(RayselError):
    """No served index has this name."""


@dataclass(frozen=True)
class Served:
    """One version of a served index."""

    name: str
    index: Index
    cache: BoundedCache
    images: str | None = None
    """Where its images are now, if they were moved."""
    heavy: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one request that computes something about all neurons, which is kept for the others."""

    @cached_property
    def pictures(self) -> Pictures:
        """Its features and sheets."""
        return Pictures(self.index, self.cache)

    @property
    def version(self) -> str:
        """Changes if the index is replaced."""
        return self.index.manifest.index_fingerprint[:12]

    def kept(self, key: Sequence[Any], make: Any) -> Any:
        """A value of this version of the index that is made once and kept while there is room: text or bytes."""

        def sized() -> tuple[Any, int]:
            value = make()
            return value, len(value) + 100

        return self.cache.get((self.name, self.version, *key), sized)


@dataclass
class Catalog:
    """All served indexes. An index that a run replaces is opened again within half a minute."""

    places: dict[str, str]
    """Name -> path or URI, in the order given."""
    images: str | None = None
    cache: BoundedCache = field(default_factory=lambda: BoundedCache(CACHE_BYTES))
    _open: dict[str, tuple[Served, float]] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(init=False)
    """By name, so that an index whose store does not answer holds up no other."""

    def __post_init__(self) -> None:
        self._locks = {name: threading.Lock() for name in self.places}

    def get(self, name: str) -> Served:
        """The index of this name.

        Raises:
            UnknownIndexError: there is none; the message names similar ones.
            RayselError: it cannot be opened.
        """
        if name not in self.places:
            raise UnknownIndexError(f"no index {name!r} is served here; {did_you_mean(name, self.places)}")
        with self._locks[name]:
            served, checked = self._open.get(name, (None, 0.0))
            now = time.monotonic()
            if served is None:
                served = Served(name, open_index(self.places[name]), self.cache, self.images)
                self._open[name] = served, now
                return served
            if now - checked <= _LOOK_AGAIN_S:
                return served
            self._open[name] = served, now  # others are served it meanwhile: a store may not answer for minutes
        newest = self._newest(served)
        with self._locks[name]:
            self._open[name] = newest, time.monotonic()
        return newest

    def all(self) -> list[Served]:
        """Every index, in the order given."""
        return [self.get(name) for name in self.places]

    def _newest(self, served: Served) -> Served:
        try:
            manifest = read_manifest(served.index.folder)
        except RayselError:  # the store does not answer, or a run replaces the index: what is open still serves
            return served
        if manifest.index_fingerprint == served.index.manifest.index_fingerprint:
            return served
        return Served(served.name, Index(served.index.folder, manifest), self.cache, self.images)


def named(places: Iterable[str]) -> dict[str, str]:
    """Name -> place of indexes given as ``PLACE`` or ``NAME=PLACE``.

    The name of a place is its last folder, or the one above a folder that is only called index. A second one of the
    same name gets a number.

    Raises:
        RayselError: no index is given, or two have one given name.
    """
    found: dict[str, str] = {}
    for place in places:
        given = _NAMED.fullmatch(place)
        if given:
            name, place = given.groups()
            if name in found:
                raise RayselError(f"two indexes are named {name}: give each its own NAME=INDEX")
        else:
            name = _name_of(place)
            others = sum(each == name or re.fullmatch(rf"{re.escape(name)}-\d+", each) is not None for each in found)
            name = f"{name}-{others + 1}" if others else name
        found[name] = place
    if not found:
        raise RayselError("no index is given: name at least one")
    return found


def _name_of(place: str) -> str:
    path = place.partition("?")[0].partition("://")[2] if "://" in place else str(Path(place).resolve())
    parts = [re.sub(r"[^\w.-]+", "-", part).strip("-.") for part in re.split(r"[/\\]", path)]
    known = [part for part in parts if part not in _PLAIN_NAMES]
    return known[-1] if known else "index"
