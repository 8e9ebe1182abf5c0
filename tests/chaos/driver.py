"""``python -m tests.chaos.driver MOMENT ARGUMENTS``: ``raysel ARGUMENTS`` in a process that dies at an exact moment.

The moments are wrapped around raysel's functions in this process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

MOMENTS: dict[str, Callable[[], None]] = {}


def moment(make: Callable[[], None]) -> Callable[[], None]:
    """Register a function that prepares a moment, under the function's name."""
    MOMENTS[make.__name__.replace("_", "-")] = make
    return make


def die(*_: Any, **__: Any) -> None:
    """Kill this process, as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True, times: int = 1) -> None:
    """Die after the `times`-th call of a function whose arguments satisfy `when`."""
    original, left = getattr(owner, name), [times]

    def called(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        if when(*arguments):
            left[0] -= 1
            if not left[0]:
                die()
        return result

    setattr(owner, name, called)


def before(owner: Any, name: str, when: Callable[..., bool]) -> None:
    """Die instead of the first call of a function whose arguments satisfy `when`."""
    original = getattr(owner, name)

    def called(*arguments: Any, **options: Any) -> Any:
        if when(*arguments):
            die()
        return original(*arguments, **options)

    setattr(owner, name, called)


def snapshot_at_fold(fold: int) -> None:
    """Save one snapshot only, after this number of folds."""
    from raysel.pipeline.scan.state import Snapshots

    left = [fold]

    def save_if_due(self: Snapshots, state: Any) -> None:
        left[0] -= 1
        if not left[0]:
            self.put(state)

    Snapshots.save_if_due = save_if_due  # type: ignore[method-assign]


@moment
def plan_before_the_list_is_written() -> None:
    from raysel.pipeline import run

    before(run, "save_plan", lambda *_: True)


@moment
def plan_with_a_part_of_the_list_written() -> None:
    import pyarrow as pa

    before(pa.ipc, "new_stream", _counted(3))


@moment
def scan_before_a_snapshot() -> None:
    from raysel.pipeline.scan.state import RunningState

    snapshot_at_fold(1_000_000)
    after(RunningState, "take", times=5)


@moment
def scan_between_snapshots() -> None:
    from raysel.pipeline.scan.state import RunningState

    snapshot_at_fold(6)
    before(RunningState, "take", _counted(11))


@moment
def merge() -> None:
    """Right after a fold that is in no snapshot."""
    from raysel.pipeline.scan.state import RunningState

    snapshot_at_fold(4)
    after(RunningState, "take", times=8)


@moment
def derive() -> None:
    """After two chunks."""
    from raysel.pipeline.progress import Stage

    after(Stage, "advance", when=lambda stage, units: stage.name == "derive" and units > 0, times=2)


@moment
def publish_before_the_manifest() -> None:
    from raysel.files import conditional

    before(conditional._LocalFile, "put", _is_manifest)


@moment
def publish_with_the_manifest_half_written() -> None:
    before(os, "replace", lambda _, target: str(target).endswith("/manifest.json"))


@moment
def publish_after_the_manifest() -> None:
    from raysel.files import conditional

    after(conditional._LocalFile, "put", _is_manifest)


def _is_manifest(file: Any, *_: Any) -> bool:
    return file.path.name == "manifest.json"


def _counted(times: int) -> Callable[..., bool]:
    left = [times]

    def reached(*_: Any) -> bool:
        left[0] -= 1
        return not left[0]

    return reached


if __name__ == "__main__":
    # Ray reads these when it is imported.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from raysel.cli import main

    if sys.argv[1] != "none":
        MOMENTS[sys.argv[1]]()
    main(sys.argv[2:])
