"""Every option of `raysel.config`, with a value that is not its default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args, get_origin, get_type_hints

from raysel.config import Preprocessing, RunConfig
from raysel.marks import options, tables

STAGES = {name: kind for name, kind in tables(RunConfig).items() if name and "." not in name}
OPTIONS = [(stage, name) for stage, kind in STAGES.items() for name in options(kind)]
"""(stage, option) of every option that belongs to a stage."""


def another_value(stage: str, name: str) -> Any:
    """A value that the option may have, but not its default."""
    default, hint = options(STAGES[stage])[name].default, get_type_hints(STAGES[stage])[name]
    kinds = get_args(hint) or (hint,)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return type(default)(default + 1 if default < 1 and isinstance(default, int) else default / 2)
    if isinstance(kinds[0], str):
        return next(choice for choice in kinds if choice != default)
    by_kind = {Preprocessing: Preprocessing(resize=300), int: 3, float: 0.5, dict: {"a": 1}, tuple: ("a",), str: "a"}
    return next(value for kind, value in by_kind.items() if kind in kinds or kind is get_origin(hint))


def with_option(stage: str, name: str, value: Any) -> RunConfig:
    """The default configuration but for one option."""
    run = RunConfig()
    return replace(run, **{stage: replace(getattr(run, stage), **{name: value})})
