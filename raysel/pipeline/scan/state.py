"""The running state of a scan: what is folded so far. Every part of it may be merged again without harm."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.files import Folder
from raysel.neurons import MAX_IMAGES, Candidates, Rankings, fold_into
from raysel.pipeline.scan.call_result import CallResult
from raysel.store import RUNS_PREFIX, RunLock, get_snapshot, put_snapshot

SHARE_OF_TIME = 0.05
"""Snapshots take at most this share of the driver's time."""

LARGE = 4_000_000
"""Entries from which a state is folded by several threads (sorting leaves Python's lock to the others), and for several
finds at a time: a fold looks at whole rankings, however few candidates there are for each."""

_IMAGES_AT_ONCE = 16_384
_CANDIDATES_AT_ONCE = 1 / 8
"""A large state is folded once what was found in so many images waits, or so many candidates for each of its entries.
More would save little, and leave the floors behind."""


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="raysel-fold")


@dataclass
class RunningState:
    """Rankings, coverage and quarantine; the driver owns it and folds into it in place."""

    folded: Rankings
    """What is folded; `rankings` is all that came in."""
    covered: NDArray[np.bool_]
    """[images]: the image's candidates came in."""
    quarantine: dict[int, str] = field(default_factory=dict)
    """Image id -> why it could not be used."""
    candidates_sent: int = 0
    """How many candidates the actors have sent, those of calls that ran again included."""
    floor_lag: int = 0
    """s: the most images folded between the state whose floors a call used and what it found, its own included."""
    decode_s: float = 0.0
    forward_s: float = 0.0
    scanned: int = 0
    """Images that came in since this process began, or went on."""
    _waiting: list[Candidates] = field(default_factory=list)
    _waiting_images: int = 0

    @classmethod
    def empty(cls, neurons: int, depth: int, images: int) -> RunningState:
        """Nothing seen yet.

        Raises:
            RayselError: there are more images than a ranking can number.
        """
        if images > MAX_IMAGES:
            raise RayselError(
                f"{images:,} images are more than the {MAX_IMAGES:,} that one index can hold: "
                "index a part of them with --limit or --sample, or make several indexes with --shards"
            )
        return cls(Rankings.empty(neurons, depth), np.zeros(images, bool))

    @property
    def rankings(self) -> Rankings:
        """The rankings over all that came in."""
        self.settle()
        return self.folded

    def take(self, found: CallResult) -> bool:
        """Let in what some calls found; True if the floors may have risen.

        An image that could be used once counts as covered, whichever came first.
        """
        self._waiting.append(found.candidates)
        self._waiting_images += len(found.covered)
        self.covered[found.covered] = True
        self.quarantine.update(found.faults)
        for image in [image for image in self.quarantine if self.covered[image]]:
            del self.quarantine[image]
        self.floor_lag = max(self.floor_lag, self.done - found.floor_images)
        self.scanned += len(found.covered) + len(found.faults)
        self.candidates_sent += found.sent
        self.decode_s += found.decode_s
        self.forward_s += found.forward_s
        if self._may_wait():
            return False
        self.settle()
        return True

    def _may_wait(self) -> bool:
        entries, candidates = self.folded.keys.size, sum(map(len, self._waiting))
        few = self._waiting_images < _IMAGES_AT_ONCE and candidates < _CANDIDATES_AT_ONCE * entries
        return entries >= LARGE and few

    def settle(self) -> None:
        """Fold what waits."""
        if self._waiting:
            each = _threads().map if self.folded.keys.size >= LARGE else map
            fold_into(self.folded, Candidates.concatenate(self._waiting), each)
            self._waiting.clear()
            self._waiting_images = 0

    @property
    def done(self) -> int:
        """Images that are covered or in quarantine."""
        return int(np.count_nonzero(self.covered)) + len(self.quarantine)

    def missing(self) -> NDArray[np.int64]:
        """Ids of the images that are neither covered nor in quarantine."""
        left = ~self.covered
        left[list(self.quarantine)] = False
        return np.flatnonzero(left)

    def arrays(self) -> dict[str, NDArray]:
        """All of it as plain arrays."""
        return {
            "keys": self.rankings.keys,
            "positions": self.rankings.positions,
            "covered": np.packbits(self.covered),
            "images": np.array(len(self.covered)),
            "faulty": np.array(list(self.quarantine), np.int64),
            "reasons": np.array(list(self.quarantine.values()), dtype=str),
            "spent": np.array([self.candidates_sent, self.floor_lag, self.decode_s, self.forward_s]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray]) -> RunningState:
        """The inverse of `arrays`."""
        covered = np.unpackbits(arrays["covered"], count=int(arrays["images"])).astype(bool)
        quarantine = dict(zip(arrays["faulty"].tolist(), arrays["reasons"].tolist(), strict=True))
        sent, lag, decode_s, forward_s = arrays["spent"].tolist()
        rankings = Rankings(arrays["keys"], arrays["positions"])
        return cls(rankings, covered, quarantine, int(sent), int(lag), decode_s, forward_s)

    @property
    def candidates_bound(self) -> float:
        """What a streaming top-N sends at least: ``C (depth (1 + ln(n / depth)) + s)``, at most every activation."""
        neurons, depth = self.folded.keys.shape
        images = max(len(self.covered), 1)
        rise = depth * (1 + math.log(images / depth)) if images > depth else images
        return neurons * min(rise + self.floor_lag, images)


class Snapshots:
    """The running state in the index's folder, so that a run that was killed goes on from there."""

    def __init__(self, folder: Folder, scan_fingerprint: str, every_s: float, lock: RunLock) -> None:
        self._folder, self._name = folder, f"{RUNS_PREFIX}/{scan_fingerprint}/state.npz"
        self._every, self._lock = every_s, lock
        self._due = time.monotonic() + every_s

    def load(self) -> RunningState | None:
        """The state of the run that was killed, if there is one, and it is whole."""
        arrays = get_snapshot(self._folder, self._name)
        try:
            return RunningState.from_arrays(arrays) if arrays else None
        except (KeyError, ValueError):
            return None

    def drop(self) -> None:
        """Remove the state that was put: it is not to be gone on with."""
        self._folder.delete(self._name)

    def save_if_due(self, state: RunningState) -> None:
        """Put the state, if it is time to."""
        if time.monotonic() >= self._due:
            self.put(state)

    def put(self, state: RunningState) -> None:
        """Put the state as one object; the next is due when this one has cost no more than its share of the time."""
        self._lock.confirm()
        began = time.monotonic()
        put_snapshot(self._folder, self._name, state.arrays())
        now = time.monotonic()
        self._due = now + max(self._every, (now - began) / SHARE_OF_TIME)
