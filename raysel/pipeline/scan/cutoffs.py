"""The floor: per neuron a key that no later candidate can follow and still enter its ranking.

The driver raises it from its *folded* state, which alone makes it safe; scan actors poll it and never wait, because a
floor of an older state is safe too, only less sharp (design, sec. 3).
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from raysel.neurons import Rankings


class CutoffKeeper:
    """A small named actor that holds the floors, uint64 [neurons]."""

    def __init__(self) -> None:
        self._images, self._floors = 0, np.empty(0, np.uint64)

    def put(self, images: int, floors: NDArray[np.uint64]) -> None:
        """Take the floors of a state with so many images."""
        if images > self._images:
            self._images, self._floors = images, floors

    def newer(self, images: int) -> tuple[int, NDArray[np.uint64]] | None:
        """(images in their state, the floors), if they are of a state with more than `images`."""
        return (self._images, self._floors) if self._images > images else None


class CutoffPublisher:
    """The driver's end."""

    def __init__(self, name: str) -> None:
        self.name = name
        keeper = ray.remote(CutoffKeeper)
        self._keeper: Any = keeper.options(name=name, num_cpus=0, max_restarts=-1).remote()

    def put(self, images: int, rankings: Rankings) -> None:
        """Publish the floors of the folded state, which holds so many images, without waiting."""
        self._keeper.put.remote(images, rankings.cutoffs)

    def close(self) -> None:
        """End the keeper."""
        with contextlib.suppress(RayError):
            ray.kill(self._keeper)


class CutoffPoll:
    """A scan actor's end: the newest floors that have arrived."""

    def __init__(self, name: str) -> None:
        self._floors: NDArray[np.uint64] | None = None
        self.images = 0
        """How many images the state of these floors holds."""
        self._pending: ray.ObjectRef | None = None
        self._keeper: Any = None
        with contextlib.suppress(ValueError):  # a keeper that is gone costs sharpness, not correctness
            self._keeper = ray.get_actor(name)
            self._pending = self._keeper.newer.remote(0)

    def poll(self, neurons: int) -> NDArray[np.uint64]:
        """The newest floors at hand, of so many neurons; asks for newer ones and does not wait for the answer."""
        self._ask()
        return Rankings.empty(neurons, 1).cutoffs if self._floors is None else self._floors

    def _ask(self) -> None:
        if self._keeper is None:
            return
        if self._pending is not None and ray.wait([self._pending], timeout=0)[0]:
            with contextlib.suppress(RayError):
                answer = ray.get(self._pending)
                if answer is not None:
                    self.images, self._floors = answer
            self._pending = None
        if self._pending is None:
            self._pending = self._keeper.newer.remote(self.images)
