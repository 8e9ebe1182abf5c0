"""How many indexes a watcher keeps: those of the newest steps."""

from __future__ import annotations

from collections.abc import Iterable

from raysel.checkpoints.attempts import Attempt, Attempts
from raysel.checkpoints.checkpoint import Checkpoint
from raysel.store import MANIFEST_NAME


def worth_indexing(found: list[Checkpoint], attempts: Attempts, keep: int | None) -> list[Checkpoint]:
    """The checkpoints whose index would not be removed at once: those of the newest steps, and those whose name has
    no step."""
    indexed = [each.step for each in attempts.known.values() if each.state == "indexed"]
    kept = _newest([*(each.step for each in found), *indexed], keep)
    return [each for each in found if kept is None or each.step is None or each.step in kept]


def surplus(attempts: Attempts, keep: int | None) -> list[Attempt]:
    """The attempts whose indexes are older than those to keep. An index without a step is never one of them."""
    indexed = [each for each in attempts.known.values() if each.state == "indexed" and each.step is not None]
    kept = _newest((each.step for each in indexed), keep)
    return [] if kept is None else [each for each in indexed if each.step not in kept]


def remove_index(attempts: Attempts, name: str) -> None:
    """Remove an index, its manifest first: a reader finds no index rather than a broken one."""
    attempts.folder.delete(f"{name}/{MANIFEST_NAME}")
    attempts.folder.delete_below(name)


def _newest(steps: Iterable[int | None], keep: int | None) -> set[int] | None:
    """The `keep` highest steps; None for all."""
    return None if keep is None else set(sorted({each for each in steps if each is not None}, reverse=True)[:keep])
