"""Rankings: for each neuron the images that activate it most, highest first; and candidates for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysel.neurons import keys as _keys
from raysel.neurons.keys import EMPTY


@dataclass(frozen=True)
class Rankings:
    """The rankings of several neurons, 12 bytes per entry. Keys ascend in each row, and no image is in a row twice."""

    keys: NDArray[np.uint64]
    """[neurons, depth], EMPTY after the last entry of a ranking."""
    positions: NDArray[np.int32]
    """[neurons, depth]: position on the layer's map, ``row * columns + column``; -1 after the last entry."""

    @classmethod
    def empty(cls, neurons: int, depth: int) -> Rankings:
        """Rankings without entries: the neutral element of `merge`."""
        return cls(np.full((neurons, depth), EMPTY), np.full((neurons, depth), -1, np.int32))

    @classmethod
    def from_entries(
        cls,
        neurons: int,
        depth: int,
        neuron: NDArray[np.integer],
        rank: NDArray[np.integer],
        activations: NDArray[np.float32],
        ids: NDArray[np.integer],
        positions: NDArray[np.integer],
    ) -> Rankings:
        """Rankings from a flat list of entries; every array is [entries]."""
        rankings = cls.empty(neurons, depth)
        rankings.keys[neuron, rank] = _keys.candidate_keys(activations, ids)
        rankings.positions[neuron, rank] = positions
        return rankings

    @property
    def depth(self) -> int:
        """How many entries a ranking keeps."""
        return self.keys.shape[1]

    @property
    def cutoffs(self) -> NDArray[np.uint64]:
        """The last key of each full ranking, uint64 [neurons]; EMPTY for one that is not full.

        No key that follows its neuron's cutoff can enter the ranking.
        """
        return self.keys[:, -1].copy()

    @property
    def activations(self) -> NDArray[np.float32]:
        """float32 [neurons, depth]; 0 after the last entry."""
        return _keys.activations_of(self.keys)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Image ids, int64 [neurons, depth]; -1 after the last entry."""
        return _keys.ids_of(self.keys)

    @property
    def relative_activations(self) -> NDArray[np.float64]:
        """``w = a / a_max`` (paper, sec. 2), float64 [neurons, depth] in [0, 1]; 0 after the last entry."""
        activations = self.activations.astype(np.float64)
        largest = activations[:, :1]
        return np.divide(activations, largest, out=np.zeros_like(activations), where=largest > 0)

    def taking_part(self, n_max: int, min_relative_activation: float) -> NDArray[np.int64]:
        """N of each neuron: how many of its first `n_max` entries have at least this w (paper, footnote 1).

        Returns:
            int64 [neurons]; 0 for a dead neuron.
        """
        filled = self.keys[:, :n_max] != EMPTY
        return np.count_nonzero(filled & (self.relative_activations[:, :n_max] >= min_relative_activation), axis=1)

    def __getitem__(self, neurons: slice | NDArray[np.integer]) -> Rankings:
        """The rankings of some neurons."""
        return Rankings(self.keys[neurons], self.positions[neurons])


@dataclass(frozen=True)
class Candidates:
    """Entries that may enter rankings, in any order. An image may be there several times."""

    neurons: NDArray[np.int32]
    """[n]: row of the neuron in the rankings."""
    keys: NDArray[np.uint64]
    """[n]"""
    positions: NDArray[np.int32]
    """[n]"""

    def __len__(self) -> int:
        return len(self.keys)

    def within(self, cutoffs: NDArray[np.uint64]) -> Candidates:
        """Those that are not behind their neuron's cutoff, uint64 [neurons]; see `Rankings.cutoffs`."""
        enters = self.keys <= cutoffs[self.neurons]  # equal: a copy of the last entry, perhaps with an earlier position
        return Candidates(self.neurons[enters], self.keys[enters], self.positions[enters])

    @classmethod
    def none(cls) -> Candidates:
        """No candidates."""
        return cls(np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.int32))

    @classmethod
    def concatenate(cls, parts: Iterable[Candidates]) -> Candidates:
        """The candidates of all parts."""
        parts = list(parts)
        if len(parts) < 2:
            return parts[0] if parts else cls.none()
        return cls(
            np.concatenate([part.neurons for part in parts]),
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.positions for part in parts]),
        )
