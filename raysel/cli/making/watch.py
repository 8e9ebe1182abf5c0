"""``raysel watch``: an index for each checkpoint of a training run."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token
from cyclopts.types import PositiveInt

from raysel.cli.arguments import AsJson
from raysel.cli.options import ClusterOptions
from raysel.cli.output import print_json
from raysel.cli.toml import run_config
from raysel.errors import RayselError

if TYPE_CHECKING:
    from raysel.checkpoints.watching import WatchPass

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(_: Any, tokens: Sequence[Token]) -> float:
    """The duration that was typed, such as ``90``, ``90s``, ``10m``, ``2h`` or ``1d``.

    Raises:
        RayselError: the text is not a duration.
    """
    option, text = tokens[0].keyword, tokens[0].value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise RayselError(f"{option} {text!r} is not a duration: write 90s, 10m or 2h")
    return float(found[1]) * _UNITS[found[2] or "s"]


Duration = Annotated[Any, Parameter(converter=seconds, metavar="TIME")]


def watch(
    cluster: ClusterOptions = None,
    *,
    checkpoints: Annotated[str | None, Parameter(metavar="PATH")] = None,
    list_command: Annotated[str | None, Parameter(metavar="COMMAND")] = None,
    config: Annotated[Path, Parameter(metavar="FILE")],
    indexes: Annotated[str, Parameter(metavar="PATH")],
    once: bool = False,
    every: Annotated[Duration, Parameter(show_default="10m")] = 600.0,
    settle: Annotated[Duration, Parameter(show_default="10s")] = 10.0,
    keep: PositiveInt | None = None,
    together: PositiveInt = 1,
    step_pattern: Annotated[str | None, Parameter(metavar="REGEX")] = None,
    as_json: AsJson = False,
) -> int:
    """Watch a training run. Returns 1 if a checkpoint has failed.

    Args:
        checkpoints: Path or URI of a folder of checkpoints, or a glob in quotes.
        list_command: Shell command that prints the checkpoints in place of --checkpoints, a line with URI and step for
            each: for registries.
        config: TOML file of the run, as for raysel index; its out and weights are not used.
        indexes: Path or URI of the folder of the indexes. Its .watch folder records the outcome for each
            checkpoint.
        once: Check once and exit, for cron.
        every: Time between checks.
        settle: A checkpoint counts as complete if it does not change for this long.
        keep: Keep only the indexes of this many newest steps. By default all.
        together: Scan up to this many waiting checkpoints in one pass over the images. Each index is the same as alone.
        step_pattern: Regular expression whose group is the step in a checkpoint's path, such as 'epoch(\\d+)'. By
            default step, epoch or the last number; else the step that is written in the checkpoint.
    """
    if (checkpoints is None) is (list_command is None):
        raise RayselError("give either --checkpoints or --list-command: see raysel watch --help")
    run = run_config({"cluster": cluster or {}}, config)
    needed = {"network": run.network.network, "images": run.source.images}
    if missing := [name for name, value in needed.items() if not value]:
        raise RayselError(f"{config} does not say what to index: {' and '.join(missing)} missing")
    run.check()
    from raysel.checkpoints.checkpoint import step_pattern as parsed
    from raysel.checkpoints.discovery import checkpoints_at, checkpoints_listed_by
    from raysel.checkpoints.watching import Watch, look
    from raysel.pipeline.progress import Reporter

    pattern = parsed(step_pattern)

    def find() -> list[Any]:
        if checkpoints is not None:
            return checkpoints_at(checkpoints, pattern)
        return checkpoints_listed_by(str(list_command), pattern)

    watched = Watch(find, indexes, run, settle, keep, together)
    while True:
        reporter = Reporter()
        try:
            done = look(watched, reporter)
        except RayselError as error:  # a bucket or a cluster may be back at the next look
            if once:
                raise
            reporter.say(f"watch: {error}")
        else:
            _print_done(done, as_json)
            if once:
                return 1 if done.failed else 0
        time.sleep(every)


def _print_done(done: WatchPass, as_json: bool) -> None:
    attempts = [each.model_dump(mode="json", exclude_none=True) for each in done.attempts]
    failed = [each.model_dump(mode="json", exclude_none=True) for each in done.failed]
    if as_json:
        summary = {"checkpoints": done.checkpoints, "attempts": attempts, "growing": done.growing}
        print_json({**summary, "failed": failed, "busy": done.busy})
        return
    for attempt in done.attempts:
        print(f"{attempt.checkpoint} {attempt.state}: {attempt.reason or attempt.index}")
    for checkpoint in done.growing:
        print(f"{checkpoint} is still being written")
    now = {each.checkpoint for each in done.attempts}
    for attempt in (each for each in done.failed if each.checkpoint not in now):
        print(f"{attempt.checkpoint} failed, next try {attempt.retry_at:%Y-%m-%d %H:%M} UTC: {attempt.reason}")
    made = sum(each.state == "indexed" for each in done.attempts)
    print(
        done.busy or f"{done.checkpoints:,} checkpoints, {made:,} indexed now, {len(failed):,} failed",
        flush=True,
    )
