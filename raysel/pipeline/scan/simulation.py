"""What the driver can carry: merge, floor and snapshots at ImageNet's size, without network or images.

Activations are independent and uniform in (0, 1), so that what precedes a floor is known without drawing the rest: of B
images Binomial(B, 1 - f) precede a floor f, uniform in (f, 1). Rankings depend on the order of activations only, so any
other continuous distribution gives the same counts.
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
from raysel.pipeline.scan.call_result import CallResult, TreeLevel, fan_in
from raysel.pipeline.scan.state import RunningState
from raysel.store import put_snapshot

_BLOCK_ENTRIES = 1 << 20
"""Activations that are drawn at once, so that what is measured is the driver's memory."""


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
    """Images that were on their way when the floors they used were put: four calls each of sixteen actors."""
    seed: int = 0

    @property
    def row_images(self) -> int:
        """Images in one row that reaches the driver: what a tree level makes of some calls."""
        return self.call_images * fan_in(self.images // self.call_images, self.call_images * self.neurons)


@dataclass(frozen=True)
class MergeFigures:
    """What it took."""

    load: MergeLoad
    candidates: int
    """Candidates that the actors sent."""
    bound: float
    """``C (depth (1 + ln(n / depth)) + s)``: what a streaming top-N sends at least."""
    fold_s: float
    """Seconds of the driver: rows decoded, folded, floors read."""
    images_per_s: float
    """That the driver could fold."""
    snapshot_bytes: int
    snapshot_s: float
    """Seconds to put one."""
    peak_memory_mb: float
    """Of this process, what draws the activations included."""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"candidates_per_bound": round(self.candidates / self.bound, 4)}


def simulate_merge(load: MergeLoad, folder: Path, advance: Callable[[int], None] = lambda images: None) -> MergeFigures:
    """Drive the driver's part of a scan; one snapshot is put into `folder` at the end.

    Args:
        load: what is to be carried.
        folder: for the snapshot.
        advance: is told of so many more images.
    """
    with suppress(OSError):  # on Linux the highest memory so far counts from here
        Path("/proc/self/clear_refs").write_text("5")
    random = np.random.default_rng(load.seed)
    state = RunningState.empty(load.neurons, load.depth, load.images)
    latest = 0, np.zeros(load.neurons)
    lag_rows = load.lag_images // load.row_images
    floors = deque([latest] * (lag_rows + 1), maxlen=lag_rows + 1)
    spent = 0.0
    for first in range(0, load.images, load.row_images):
        ids = np.arange(first, min(first + load.row_images, load.images))
        floor_images, floor = floors[0]
        row = _row(random, ids, floor, floor_images, load.depth)
        began = time.perf_counter()
        if state.take(CallResult.from_rows(row)):
            latest = state.done, activations_of(state.rankings.cutoffs).astype(np.float64)
        spent += time.perf_counter() - began
        floors.append(latest)
        advance(len(ids))
    began = time.perf_counter()
    state.settle()
    spent += time.perf_counter() - began
    began = time.perf_counter()
    put_snapshot(Folder.at(folder), "state.npz", state.arrays())
    return MergeFigures(
        load,
        candidates=state.candidates_sent,
        bound=state.candidates_bound,
        fold_s=round(spent, 3),
        images_per_s=round(load.images / spent),
        snapshot_bytes=(folder / "state.npz").stat().st_size,
        snapshot_s=round(time.perf_counter() - began, 3),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def _row(random: np.random.Generator, ids: np.ndarray, floor: np.ndarray, floor_images: int, depth: int) -> pa.Table:
    """What a tree level sends on of images whose activations are uniform in (0, 1)."""
    level, parts, dropped = TreeLevel(depth), [], 0
    block = max(_BLOCK_ENTRIES // len(ids), 1)
    for first in range(0, len(floor), block):
        sent = CallResult(ids, {}, _block(random, ids, floor[first : first + block], first))
        thinned = CallResult.from_rows(level(sent.to_row()))
        parts.append(thinned.candidates)
        dropped += thinned.dropped
    return CallResult(ids, {}, Candidates.concatenate(parts), dropped, floor_images).to_row()


def _block(random: np.random.Generator, ids: np.ndarray, floors: np.ndarray, first: int) -> Candidates:
    """What precedes the floors of some neurons."""
    counts = random.binomial(len(ids), 1 - floors)
    neurons = np.repeat(np.arange(len(floors), dtype=np.int32), counts)
    above = floors[neurons] + (1 - floors[neurons]) * random.random(len(neurons))
    place = np.arange(len(neurons)) - np.repeat(np.cumsum(counts) - counts, counts)
    # An image stands once in a neuron: consecutive places of a shuffled order, begun anywhere.
    image = random.permutation(ids)[(place + random.integers(len(ids), size=len(floors))[neurons]) % len(ids)]
    keys = candidate_keys(np.maximum(above.astype(np.float32), np.float32(1e-30)), image)
    return Candidates(neurons + np.int32(first), keys, np.zeros(len(neurons), np.int32))
