"""Cutoffs on their way from the driver to the actors.

A neuron's cutoff is a key: no candidate behind it can enter the neuron's ranking. The driver takes cutoffs from the
*folded* state, which alone makes them safe. Actors poll them and never wait: cutoffs of an older state are safe too,
they only let more candidates through.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from raysel.neurons import Rankings


class CutoffKeeper:
    """A small actor that holds the newest cutoffs, uint64 [neurons]."""

    def __init__(self) -> None:
        self._images, self._cutoffs = 0, np.empty(0, np.uint64)

    def put(self, images: int, cutoffs: NDArray[np.uint64]) -> None:
        """Keep the cutoffs of a state with `images` images, unless newer ones are here."""
        if images > self._images:
            self._images, self._cutoffs = images, cutoffs

    def newer(self, images: int) -> tuple[int, NDArray[np.uint64]] | None:
        """(images in their state, cutoffs) if that state has more than `images` images."""
        return (self._images, self._cutoffs) if self._images > images else None


@contextlib.contextmanager
def cutoff_keeper() -> Iterator[Any]:
    """Ray's handle of a `CutoffKeeper`, which ends with the context."""
    # A keeper that dies starts again without cutoffs, and the driver's next ones fill it.
    keeper: Any = ray.remote(CutoffKeeper).options(num_cpus=0, max_restarts=-1).remote()
    try:
        yield keeper
    finally:
        with contextlib.suppress(RayError):
            ray.kill(keeper)


class CutoffPoll:
    """An actor's end: the newest cutoffs that have arrived."""

    def __init__(self, keeper: Any, neurons: int) -> None:
        self._keeper = keeper
        self._cutoffs = Rankings.empty(neurons, 1).cutoffs
        self._pending = keeper.newer.remote(0)
        self.images = 0
        """Images in the state of these cutoffs."""

    def poll(self) -> NDArray[np.uint64]:
        """The newest cutoffs that have arrived, uint64 [neurons]. Asks for newer ones without waiting for them."""
        if ray.wait([self._pending], timeout=0)[0]:
            with contextlib.suppress(RayError):  # without the keeper, older cutoffs remain in use
                answer = ray.get(self._pending)
                if answer is not None:
                    self.images, self._cutoffs = answer
            self._pending = self._keeper.newer.remote(self.images)
        return self._cutoffs
