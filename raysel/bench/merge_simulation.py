"""``raysel bench merge``: the driver's part of a scan at ImageNet's size, without network or images.

It measures merge, cutoffs and snapshots. Activations are independent and uniform in (0, 1), so only those that precede
a cutoff f must be drawn: of B images, Binomial(B, 1 - f), uniform in (f, 1). Rankings depend only on the order of
activations, so any other continuous distribution gives the same counts.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raysel.files import Folder
from raysel.neurons import Candidates, activations_of, candidate_keys
from raysel.pipeline.scan.call_result import CallResult, merge_rows, rows_per_merge
from raysel.pipeline.scan.state import RunningState
from raysel.store import put_snapshot

_BLOCK_ENTRIES = 1 << 20
"""Activations that are drawn at once: few, so that memory is the driver's and not the simulation's."""


@dataclass(frozen=True)
class MergeLoad:
    """A scan as its driver sees it."""

    images: int = 1_281_167
    """ImageNet's training images."""
    neurons: int = 2000
    depth: int = 100
    call_images: int = 128
    """Images in one call of an actor."""
    lag_images: int = 8192
    """Images folded between the state whose cutoffs a call uses and its result: four calls of each of 16 actors."""
    seed: int = 0

    @property
    def row_images(self) -> int:
        """Images in one row that reaches the driver, after the tree level."""
        return self.call_images * rows_per_merge(self.images // self.call_images, self.call_images * self.neurons)


@dataclass(frozen=True)
class MergeFigures:
    """What a simulation measured."""

    load: MergeLoad
    candidates: int
    """Candidates that the actors sent."""
    bound: float
    """``C (depth (1 + ln(n / depth)) + s)``: the least that a streaming top-N sends."""
    fold_s: float
    """Seconds in which the driver read rows, folded them and took cutoffs."""
    images_per_s: float
    """Images that the driver folds per second."""
    snapshot_bytes: int
    snapshot_s: float
    """Seconds to save one snapshot."""
    peak_memory_mb: float
    """Memory of this process, including the drawing of activations."""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"candidates_per_bound": round(self.candidates / self.bound, 4)}


def simulate_merge(load: MergeLoad, folder: Path, advance: Callable[[int], None] = lambda images: None) -> MergeFigures:
    """Run the driver's part of a scan.

    Args:
        load: the scan.
        folder: receives one snapshot at the end.
        advance: called with the number of images of each row.
    """
    with suppress(OSError):  # on Linux this resets the peak memory
        Path("/proc/self/clear_refs").write_text("5")
    random = np.random.default_rng(load.seed)
    state = RunningState.empty(load.neurons, load.depth, load.images)
    latest = 0, np.zeros(load.neurons)
    lag_rows = load.lag_images // load.row_images
    cutoffs = deque([latest] * (lag_rows + 1), maxlen=lag_rows + 1)
    spent = 0.0
    for first in range(0, load.images, load.row_images):
        ids = np.arange(first, min(first + load.row_images, load.images))
        row = _row(random, ids, *cutoffs[0], load.depth)
        began = time.perf_counter()
        if state.take(CallResult.from_rows(row)):
            latest = state.done, activations_of(state.rankings().cutoffs).astype(np.float64)
        spent += time.perf_counter() - began
        cutoffs.append(latest)
        advance(len(ids))
    began = time.perf_counter()
    state.rankings()
    spent += time.perf_counter() - began
    began = time.perf_counter()
    put_snapshot(Folder.at(folder), "state.npz", state.arrays())
    snapshot_s = time.perf_counter() - began
    return MergeFigures(
        load,
        candidates=state.candidates_sent,
        bound=state.candidates_bound,
        fold_s=round(spent, 3),
        images_per_s=round(load.images / spent),
        snapshot_bytes=(folder / "state.npz").stat().st_size,
        snapshot_s=round(snapshot_s, 3),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def _row(random: np.random.Generator, ids: np.ndarray, cutoff_images: int, cutoffs: np.ndarray, depth: int) -> pa.Table:
    """What a tree level sends of these images."""
    parts, dropped = [], 0
    block = max(_BLOCK_ENTRIES // len(ids), 1)
    for first in range(0, len(cutoffs), block):
        found = CallResult(ids, {}, _candidates(random, ids, cutoffs[first : first + block], first))
        merged = CallResult.from_rows(merge_rows(found.to_row(), depth))
        parts.append(merged.candidates)
        dropped += merged.dropped
    return CallResult(ids, {}, Candidates.concatenate(parts), dropped, cutoff_images).to_row()


def _candidates(random: np.random.Generator, ids: np.ndarray, cutoffs: np.ndarray, first_neuron: int) -> Candidates:
    """What precedes the cutoffs of some neurons."""
    counts = random.binomial(len(ids), 1 - cutoffs)
    neurons = np.repeat(np.arange(len(cutoffs), dtype=np.int32), counts)
    activations = cutoffs[neurons] + (1 - cutoffs[neurons]) * random.random(len(neurons))
    number = np.arange(len(neurons)) - np.repeat(np.cumsum(counts) - counts, counts)
    # A neuron has an image once: it takes consecutive images of a shuffled order, from a random start.
    image = random.permutation(ids)[(number + random.integers(len(ids), size=len(cutoffs))[neurons]) % len(ids)]
    keys = candidate_keys(np.maximum(activations.astype(np.float32), np.float32(1e-30)), image)
    return Candidates(neurons + np.int32(first_neuron), keys, np.zeros(len(neurons), np.int32))
