"""From what was typed, and a TOML file, to a run's configuration."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from raysel.config import (
    ClusterConfig,
    DeriveConfig,
    NetworkConfig,
    Preprocessing,
    RunConfig,
    ScanConfig,
    SourceConfig,
)
from raysel.errors import RayselError

Options = dict[str, dict[str, Any]]
"""Stage -> option -> value; None: not given."""

_TABLES = {
    "": RunConfig,
    "source": SourceConfig,
    "network": NetworkConfig,
    "network.preprocessing": Preprocessing,
    "scan": ScanConfig,
    "derive": DeriveConfig,
    "cluster": ClusterConfig,
}
_OUTSIDE = ("out", "replace")
"""Options of a file that stand before its first table."""


def run_config(out: str | None, replace: bool, file: Path | None, typed: Options) -> RunConfig:
    """The configuration of a run: what was typed goes before what is in the file, which goes before the defaults.

    Args:
        out: place of the index.
        replace: allow another index there to be replaced.
        file: TOML: ``out``, ``replace``, and a table per stage (``[source]``, ``[network]``, ``[scan]``, ``[derive]``,
            ``[cluster]``).
        typed: options of the command line.

    Raises:
        RayselError: the file cannot be read, an option is unknown or has a value that it cannot have, or one that every
            run needs is not given.
    """
    merged = _read(file) if file else {}
    for stage, options in typed.items():
        given = {name: value for name, value in options.items() if value is not None}
        merged[stage] = {**merged.get(stage, {}), **given}
    if out is not None:
        merged["out"] = out
    if replace:
        merged["replace"] = True
    try:
        config = TypeAdapter(RunConfig).validate_python({"out": "", **merged})
    except ValidationError as error:
        raise _fault(error, typed, file) from None
    needed = {"--network": config.network.network, "--images": config.source.images, "--out": config.out}
    missing = [option for option, value in needed.items() if not value]
    if missing:
        raise RayselError(f"nothing to index without {', '.join(missing)}: see raysel index --help")
    return config


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """The JSON object in an option's text.

    Raises:
        RayselError: it is none.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise RayselError(f"{option} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise RayselError(f'{option} is no JSON object: write {{"name": value}}')
    return value


def network_options(
    network: str | None,
    weights: str | None,
    network_args: str | None,
    unsafe_pickle: bool | None,
    layers: list[str] | None,
    tap: str | None,
    preprocessing: Path | None,
) -> dict[str, Any]:
    """The options of the stage ``network`` as they were typed; None: not given.

    Raises:
        RayselError: the arguments are no JSON object, or the preprocessing's file cannot be used.
    """
    return {
        "network": network,
        "weights": weights,
        "network_args": json_object(network_args, "--network-args"),
        "unsafe_pickle": unsafe_pickle,
        "layers": layers or None,
        "tap": tap,
        "preprocessing": preprocessing_file(preprocessing),
    }


def network_config(typed: dict[str, Any]) -> NetworkConfig:
    """The network that was typed; None: not given.

    Raises:
        RayselError: an option has a value that it cannot have.
    """
    given = {name: value for name, value in typed.items() if value is not None}
    try:
        return TypeAdapter(RunConfig).validate_python({"out": "", "network": given}).network
    except ValidationError as error:
        raise _fault(error, {"network": typed}, None) from None


def preprocessing_file(file: Path | None) -> Preprocessing | None:
    """The preprocessing in a small TOML file of its own: ``resize = 256``, ``crop = [224, 224]``, ``mean = [...]`` ...

    Raises:
        RayselError: the file cannot be read, or has an option that preprocessing has not, or a value that it cannot.
    """
    if file is None:
        return None
    content = _toml(file)
    try:
        return TypeAdapter(Preprocessing).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        if first["type"] == "unexpected_keyword_argument":
            raise RayselError(f"{file}: unknown option {name}; {_known(['network', 'preprocessing', name])}") from None
        raise RayselError(f"{file}: {name} is {content.get(name)!r}: {first['msg']}") from None


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise RayselError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RayselError(f"{file} is no TOML: {error}") from None


def _read(file: Path) -> dict[str, Any]:
    content = _toml(file)
    for name, value in content.items():
        if not isinstance(value, dict) and name not in _OUTSIDE:
            raise RayselError(f"{file}: {name} stands outside of its table, such as [scan]")
    return content


def _fault(error: ValidationError, typed: Options, file: Path | None) -> RayselError:
    """The first thing that is wrong, by the name under which it was given."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    if first["type"] == "unexpected_keyword_argument":
        return RayselError(f"{file}: unknown option {'.'.join(parts)}; {_known(parts)}")
    stage, name = [*parts, ""][:2]
    by_hand = typed.get(stage, {}).get(name) is not None
    shown = f"--{name.removesuffix('_s').replace('_', '-')}" if by_hand else f"{file}: {'.'.join(parts)}"
    return RayselError(f"{shown} is {first['input']!r}: {first['msg'].replace('Input should', 'it should', 1)}")


def _known(parts: list[str]) -> str:
    known = [field.name for field in fields(_TABLES[".".join(parts[:-1])])]
    close = get_close_matches(parts[-1], known, n=3)
    return f"did you mean {', '.join(close)}?" if close else f"there is {', '.join(known)}"
