"""The running state of a scan: everything that was found so far. Finding it again changes nothing."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from raysel.errors import RayselError
from raysel.files import Folder
from raysel.neurons import MAX_IMAGES, Candidates, Rankings, fold_into
from raysel.pipeline.scan.call_result import CallResult
from raysel.store import RUNS_PREFIX, SNAPSHOT_NAME, RunLock, get_arrays, get_snapshot, put_snapshot

SHARE_OF_TIME = 0.05
"""Snapshots take at most this share of the driver's time."""

LARGE = 4_000_000
"""A state of this many entries is large: it is folded by several threads (sorting releases Python's lock)."""

_IMAGES_AT_ONCE = 16_384
_FEW_IMAGES_AT_ONCE, _SHARE_AT_ONCE = 512, 1 / 16
_CANDIDATES_AT_ONCE = 1 / 8
"""A state is folded once results of this many images wait (fewer images, or a share of those so far, unless it is
large), or this many candidates per entry. A fold reads whole rankings, however few candidates there are for each.
Waiting longer would save little and leave the cutoffs behind."""


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="raysel-fold")


@dataclass
class RunningState:
    """Rankings, coverage and quarantine. The driver owns it and folds into it in place."""

    _rankings: Rankings
    """Without the candidates that wait; see `rankings`."""
    covered: NDArray[np.bool_]
    """[images]: True once an image's candidates were taken."""
    quarantine: dict[int, str] = field(default_factory=dict)
    """Image id -> why it cannot be used."""
    candidates_sent: int = 0
    """Candidates that the actors sent, including those of calls that ran again."""
    cutoff_lag: int = 0
    """s: the most images that were folded between the state whose cutoffs a call used and the call's result, its own
    images included."""
    decode_s: float = 0.0
    forward_s: float = 0.0
    scanned: int = 0
    """Images taken by this process, not those of a snapshot."""
    _waiting: list[Candidates] = field(default_factory=list)
    _waiting_images: int = 0

    @classmethod
    def empty(cls, neurons: int, depth: int, images: int) -> Self:
        """The state before the first image.

        Raises:
            RayselError: there are more images than a ranking can number.
        """
        if images > MAX_IMAGES:
            raise RayselError(
                f"{images:,} images are more than the {MAX_IMAGES:,} that one index can hold: "
                "index a part of them with --limit or --sample, or make several indexes with --shards"
            )
        return cls(Rankings.empty(neurons, depth), np.zeros(images, bool))

    def take(self, found: CallResult) -> bool:
        """Add the result of some calls; True if it was folded, so that the cutoffs may have risen.

        An image that could be used once counts as covered, whatever another call says.
        """
        self._waiting.append(found.candidates)
        self._waiting_images += len(found.covered)
        self.covered[found.covered] = True
        self.quarantine.update(found.bad)
        for image in [image for image in self.quarantine if self.covered[image]]:
            del self.quarantine[image]
        self.cutoff_lag = max(self.cutoff_lag, self.done - found.cutoff_images)
        self.scanned += len(found.covered) + len(found.bad)
        self.candidates_sent += found.sent
        self.decode_s += found.decode_s
        self.forward_s += found.forward_s
        entries, candidates = self._rankings.keys.size, sum(map(len, self._waiting))
        images = _IMAGES_AT_ONCE if entries >= LARGE else min(_FEW_IMAGES_AT_ONCE, _SHARE_AT_ONCE * self.done)
        if self._waiting_images < images and candidates < _CANDIDATES_AT_ONCE * entries:
            return False
        self.rankings()
        return True

    def rankings(self) -> Rankings:
        """Fold the candidates that wait, and return the rankings over everything that was taken."""
        if self._waiting:
            each = _threads().map if self._rankings.keys.size >= LARGE else map
            fold_into(self._rankings, Candidates.concatenate(self._waiting), each)
            self._waiting.clear()
            self._waiting_images = 0
        return self._rankings

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
        """The whole state as plain arrays."""
        rankings = self.rankings()
        return {
            "keys": rankings.keys,
            "positions": rankings.positions,
            "covered": np.packbits(self.covered),
            "images": np.array(len(self.covered)),
            "bad_images": np.array(list(self.quarantine), np.int64),
            "bad_reasons": np.array(list(self.quarantine.values()), dtype=str),
            "counters": np.array([self.candidates_sent, self.cutoff_lag, self.decode_s, self.forward_s]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray]) -> RunningState:
        """The inverse of `arrays`."""
        covered = np.unpackbits(arrays["covered"], count=int(arrays["images"])).astype(bool)
        quarantine = dict(zip(arrays["bad_images"].tolist(), arrays["bad_reasons"].tolist(), strict=True))
        sent, lag, decode_s, forward_s = arrays["counters"].tolist()
        rankings = Rankings(arrays["keys"], arrays["positions"])
        return cls(rankings, covered, quarantine, int(sent), int(lag), decode_s, forward_s)

    def part(self, neurons: slice) -> RunningState:
        """The state of some of the neurons, with their share of the counters."""
        rankings = self.rankings()
        share = len(rankings.keys[neurons]) / max(len(rankings.keys), 1)
        own = rankings[neurons]
        counters = round(self.candidates_sent * share), self.cutoff_lag, self.decode_s * share, self.forward_s * share
        return RunningState(own, self.covered.copy(), dict(self.quarantine), *counters)

    @property
    def candidates_bound(self) -> float:
        """Candidates that a streaming top-N sends at least: ``C (depth (1 + ln(n / depth)) + s)``, at most ``C n``."""
        neurons, depth = self._rankings.keys.shape
        images = max(len(self.covered), 1)
        rise = depth * (1 + math.log(images / depth)) if images > depth else images
        return neurons * min(rise + self.cutoff_lag, images)


def saved_coverage(folder: Folder, name: str) -> tuple[int, int] | None:
    """(images done, images in all) of a saved state, without reading its rankings; None if it is damaged."""
    arrays = get_arrays(folder, name, ("covered", "images", "bad_images"))
    if arrays is None:
        return None
    images = int(arrays["images"])
    return int(np.unpackbits(arrays["covered"], count=images).sum()) + len(arrays["bad_images"]), images


class Snapshots:
    """The running state in the index's folder, from which the same command resumes after the run was killed."""

    def __init__(self, folder: Folder, scan_fingerprint: str, every_s: float, lock: RunLock) -> None:
        self._folder, self._name = folder, f"{RUNS_PREFIX}/{scan_fingerprint}/{SNAPSHOT_NAME}"
        self._every, self._lock = every_s, lock
        self._due = time.monotonic() + every_s

    def load(self) -> RunningState | None:
        """The state that a killed run left; None without one, or if it is damaged."""
        arrays = get_snapshot(self._folder, self._name)
        try:
            return RunningState.from_arrays(arrays) if arrays else None
        except (KeyError, ValueError):
            return None

    def drop(self) -> None:
        """Delete the state, so that no run resumes from it."""
        self._folder.delete(self._name)

    def save_if_due(self, state: RunningState) -> None:
        """Save the state if the last time is long enough ago."""
        if time.monotonic() >= self._due:
            self.put(state)

    def put(self, state: RunningState) -> None:
        """Save the state as one object. The next save is due once this one's time is within `SHARE_OF_TIME`."""
        self._lock.confirm()
        began = time.monotonic()
        put_snapshot(self._folder, self._name, state.arrays())
        now = time.monotonic()
        self._due = now + max(self._every, (now - began) / SHARE_OF_TIME)
