"""Marks on the options of `raysel.config`, and how to read what a configuration class declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from enum import Enum
from typing import Any, Final, TypeVar, get_args

Config = TypeVar("Config")


class Enters(Enum):
    """Which fingerprint changes with an option, and how."""

    SCAN = "scan"
    """Its value is part of the scan fingerprint."""
    INDEX = "index"
    """Its value is part of the index fingerprint."""
    INDIRECTLY = "indirectly"
    """Its value is not part of a fingerprint, but what it selects is: images and labels by their digests, the network
    by the digests of its weights and graph, its taps and its preprocessing, `gpus` by the batch size that it implies.
    """
    NONE = "none"
    """The content of an index does not depend on it."""


PATH: Final = "path"
"""Mark of an option that may name a local file, which an index records by its absolute path."""


@dataclass(frozen=True)
class Option:
    """What a configuration class declares about one field."""

    default: Any
    text: str
    """The docstring below the field, on one line."""
    marks: tuple[object, ...]


def options(config: Any) -> dict[str, Option]:
    """Name -> option of a configuration class or its instance, without the tables in it."""
    found = {}
    for name, info in config.__pydantic_fields__.items():
        if not is_dataclass(info.annotation):
            text = " ".join((info.description or "").split())
            found[name] = Option(info.get_default(call_default_factory=True), text, tuple(info.metadata))
    return found


def marked(config: Any, mark: object) -> dict[str, Any]:
    """Name -> value of the options of one stage that have a mark."""
    return {name: getattr(config, name) for name, option in options(config).items() if mark in option.marks}


def map_paths(config: Config, change: Callable[[str], str]) -> Config:
    """The configuration with `change` applied to each `PATH` that it names, also in its tables."""
    paths = {name: change(value) for name, value in marked(config, PATH).items() if value}
    inner = {name: map_paths(value, change) for name, value in vars(config).items() if is_dataclass(value)}
    return replace(config, **paths, **inner)  # type: ignore[type-var]


def with_changes(config: Config, changes: Mapping[str, Any]) -> Config:
    """The configuration with other values of some options: ``{"out": "index", "scan": {"seed": 3}}``."""
    values = {
        name: replace(getattr(config, name), **value) if is_dataclass(getattr(config, name)) else value
        for name, value in changes.items()
    }
    return replace(config, **values)  # type: ignore[type-var]


def tables(config: type, name: str = "") -> dict[str, type]:
    """Name -> class of each table of a TOML file, in order. The options before the first table have the name ``""``."""
    found = {name: config}
    for field, info in config.__pydantic_fields__.items():  # type: ignore[attr-defined]
        for kind in (info.annotation, *get_args(info.annotation)):
            if is_dataclass(kind):
                found |= tables(kind, f"{name}.{field}".lstrip("."))  # type: ignore[arg-type]
    return found
