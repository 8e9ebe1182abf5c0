"""How many indexes a watcher keeps: those of the newest steps."""

from __future__ import annotations

from collections.abc import Iterable

from raysel.checkpoints.attempts import Attempt, Attempts
from raysel.checkpoints.checkpoint import Checkpoint


def worth_indexing(found: list[Checkpoint], attempts: Attempts, keep: int | None) -> list[Checkpoint]:
    """The checkpoints whose index would not be removed at once: those of the newest steps, and those whose name has
    no step."""
    indexed = [step for each in attempts.known.values() for step in each.indexes.values()]
    kept = _newest([*(each.step for each in found), *indexed], keep)
    return [each for each in found if kept is None or each.step is None or each.step in kept]


def surplus(attempts: Attempts, keep: int | None) -> list[tuple[Attempt, str]]:
    """The attempts with an index that is older than those to keep, and its folder. An index without a step is never
    one of them."""
    made = [(each, index, step) for each in attempts.known.values() for index, step in each.indexes.items()]
    kept = _newest((step for _, _, step in made), keep)
    return [] if kept is None else [(each, index) for each, index, step in made if step not in kept]


def _newest(steps: Iterable[int | None], keep: int | None) -> set[int] | None:
    """The `keep` highest steps; None for all."""
    return None if keep is None else set(sorted({each for each in steps if each is not None}, reverse=True)[:keep])
