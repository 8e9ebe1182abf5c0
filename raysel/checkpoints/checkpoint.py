"""One checkpoint of a training run, and its step as its name has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from raysel.errors import RayselError

_STEP_NAMES = (
    re.compile(r"(?:^|[^a-z])(?:global_?)?(?:step|iter|iteration|it)[-_=]?(\d+)", re.IGNORECASE),
    re.compile(r"(?:^|[^a-z])epoch[-_=]?(\d+)", re.IGNORECASE),
    re.compile(r"(?:^|[^a-z])(?:checkpoint|ckpt|model)[-_=]?(\d+)", re.IGNORECASE),
)
_NUMBER = re.compile(r"(?:^|[-_=./])(\d+)(?=$|[-_=./])")
STEP_DIGITS = 18
"""A longer number is not a step, but a digest, and does not fit into a table."""
_SUFFIXES = re.compile(r"(\.safetensors\.index\.json|\.safetensors|\.pth\.tar|\.pth|\.pt|\.ckpt|\.bin|\.tar)$")


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights, as a look at its folder shows it."""

    uri: str
    """Absolute path or URI, with its settings."""
    name: str
    """Its path below the watched folder without suffix, ``-`` between the parts: fit for the name of a folder."""
    version: str
    """Changes when the file is written again."""
    step: int | None
    """Step or epoch in its name; None if there is none."""


def is_checkpoint(path: str) -> bool:
    """True if a file's name ends as checkpoints do; a part of several safetensors files does not count."""
    return bool(_SUFFIXES.search(path)) and not is_part(path)


def is_part(path: str) -> bool:
    """True for one of several safetensors files, whose ``.index.json`` is the checkpoint."""
    return bool(re.search(r"-\d+-of-\d+\.safetensors$", path))


def name_of(path: str) -> str:
    """The name of a checkpoint at a relative path: without suffix, and with ``-`` for what a folder's name may not
    have."""
    return re.sub(r"[^\w.=+-]+", "-", _SUFFIXES.sub("", path)).strip("-.") or "checkpoint"


def step_pattern(text: str | None) -> re.Pattern[str] | None:
    """The pattern of ``--step-pattern``.

    Raises:
        RayselError: it is not a regular expression with one group.
    """
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise RayselError(f"--step-pattern {text!r} is not a regular expression: {error}") from None
    if pattern.groups != 1:
        raise RayselError(f"--step-pattern {text!r} needs one group around the number, such as 'epoch(\\d+)'")
    return pattern


def step_of(path: str, pattern: re.Pattern[str] | None = None) -> int | None:
    """The step in a checkpoint's name; None if there is none.

    Args:
        path: relative path of the checkpoint.
        pattern: its first group is the number. By default ``step`` or ``iter`` with a number comes before ``epoch``,
            then ``checkpoint``, ``ckpt`` or ``model`` with a number, then the last number that stands alone.
    """
    if pattern is not None:
        found = pattern.search(path)
        return _last([found[1]]) if found and (found[1] or "").isdecimal() else None
    stem = _SUFFIXES.sub("", path)
    steps = (_last(known.findall(stem)) for known in (*_STEP_NAMES, _NUMBER))
    return next((step for step in steps if step is not None), None)


def _last(numbers: list[str]) -> int | None:
    """The last of the numbers that can be a step."""
    return next((int(each) for each in reversed(numbers) if len(each) <= STEP_DIGITS), None)
