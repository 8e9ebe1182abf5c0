"""The options of `raysel.config` as options of the command line: the same names, with dashes."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypedDict, get_type_hints

from cyclopts import Group, Parameter, Token

from raysel.cli.toml import preprocessing_file
from raysel.config import ClusterConfig, DeriveConfig, NetworkConfig, Preprocessing, RunConfig, ScanConfig, SourceConfig
from raysel.errors import RayselError
from raysel.marks import PATH, Option, options


def json_object(_: Any, tokens: Sequence[Token]) -> dict[str, Any]:
    """The JSON object that was typed.

    Raises:
        RayselError: the text is not a JSON object.
    """
    option, text = tokens[0].keyword, tokens[0].value
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise RayselError(f'{option} is not JSON ({error}): write {{"name": value}}') from None
    if not isinstance(value, dict):
        raise RayselError(f'{option} is not a JSON object: write {{"name": value}}')
    return value


def _preprocessing(_: Any, tokens: Sequence[Token]) -> Preprocessing:
    return preprocessing_file(Path(tokens[0].value))


_SPELLED_OTHERWISE = {
    "out": Parameter(metavar="PATH"),
    "network": Parameter(metavar="NAME"),
    "layers": Parameter(metavar="GLOB"),
    "network_args": Parameter(metavar="JSON", converter=json_object),
    "preprocessing": Parameter(metavar="FILE", converter=_preprocessing),
    "class_threshold": Parameter(alias="--th"),
    "snapshot_every_s": Parameter(alias="--snapshot-every"),
}


def options_of(config: type, only: Collection[str] | None = None, *, defaults: bool = True) -> Any:
    """The options of a configuration class for a command's signature.

    Args:
        config: a dataclass of `raysel.config`. Each dataclass in it becomes a group of options.
        only: the options to take; all by default.
        defaults: whether the help shows what an option is if it is not given.

    Returns:
        A type whose value is a dictionary of the options that were typed: ``{"out": "index", "scan": {"seed": 3}}``.
    """
    hints = get_type_hints(config, include_extras=True)
    taken: dict[str, Any] = {}
    for name, option in options(config).items():
        if only is None or name in only:
            spelling = _SPELLED_OTHERWISE.get(name, Parameter())
            kind = Any if spelling.converter else hints[name]  # for cyclopts, Any is one word
            taken[name] = Annotated[kind, _parameter(option, defaults), spelling]
    for place, (name, hint) in enumerate(hints.items()):
        if is_dataclass(hint):
            group = Group(name.capitalize(), sort_key=place)
            taken[name] = Annotated[options_of(hint), Parameter(name="*", group=group)]  # type: ignore[arg-type]
    return Annotated[TypedDict(config.__name__, taken, total=False), Parameter(name="*")]  # type: ignore[operator]


def _parameter(option: Option, defaults: bool) -> Parameter:
    default = " ".join(option.default) if isinstance(option.default, tuple) else option.default
    shown = defaults and not isinstance(default, bool) and default not in (None, "", {})
    metavar = "PATH" if PATH in option.marks else None
    return Parameter(help=option.text, show_default=str(default) if shown else False, metavar=metavar)


if TYPE_CHECKING:
    RunOptions: TypeAlias = dict[str, Any] | None
    NetworkOptions: TypeAlias = dict[str, Any] | None
    SourceOptions: TypeAlias = dict[str, Any] | None
    ClusterOptions: TypeAlias = dict[str, Any] | None
    DeriveOptions: TypeAlias = dict[str, Any] | None
    LabelOptions: TypeAlias = dict[str, Any] | None
    ActorOptions: TypeAlias = dict[str, Any] | None
    ClassifierOptions: TypeAlias = dict[str, Any] | None
    LabeledSourceOptions: TypeAlias = dict[str, Any] | None
    BenchNetworkOptions: TypeAlias = dict[str, Any] | None
    BenchSourceOptions: TypeAlias = dict[str, Any] | None
    BenchScanOptions: TypeAlias = dict[str, Any] | None
else:
    RunOptions = options_of(RunConfig)
    NetworkOptions = options_of(NetworkConfig, set(options(NetworkConfig)) - {"network"})
    SourceOptions = options_of(SourceConfig, {"kind", "uri_column", "label_column", "shards"})
    ClusterOptions = options_of(ClusterConfig)
    DeriveOptions = options_of(DeriveConfig, defaults=False)
    ActorOptions = options_of(ScanConfig, {"workers", "gpus", "device"}, defaults=False)
    LabelOptions = options_of(
        SourceConfig, {"labels", "label_column", "label_key", "label_map", "classes"}, defaults=False
    )
    ClassifierOptions = options_of(NetworkConfig, set(options(NetworkConfig)) - {"layers", "tap"})
    LabeledSourceOptions = options_of(SourceConfig)
    BenchNetworkOptions = options_of(NetworkConfig)
    BenchSourceOptions = options_of(SourceConfig, {"images", "kind", "uri_column", "shards", "sample", "limit"})
    BenchScanOptions = options_of(ScanConfig, {"workers", "batch_size", "gpus"})
