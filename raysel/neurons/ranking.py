"""Rankings: of each neuron the images that activate it most, highest first; and the candidates that may enter them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysel.neurons import keys as _keys
from raysel.neurons.keys import EMPTY


@dataclass(frozen=True)
class Rankings:
    """The rankings of many neurons, 12 bytes an entry. Rows ascend by key; no image stands twice in a row."""

    keys: NDArray[np.uint64]
    """[neurons, depth], EMPTY behind a ranking's end."""
    positions: NDArray[np.int32]
    """[neurons, depth]: where on the layer's map, ``row * columns + column``; -1 behind a ranking's end."""

    @classmethod
    def empty(cls, neurons: int, depth: int) -> Rankings:
        """Rankings that nothing has entered: the neutral element of the merge."""
        shape = neurons, depth
        return cls(np.full(shape, EMPTY), np.full(shape, -1, np.int32))

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
        """From the entries one by one, each with its neuron and its rank; all arrays are [entries]."""
        made = cls.empty(neurons, depth)
        made.keys[neuron, rank] = _keys.pack(activations, ids)
        made.positions[neuron, rank] = positions
        return made

    @property
    def columns(self) -> tuple[NDArray, ...]:
        """What an entry is made of, an array each: key and position."""
        return self.keys, self.positions

    @property
    def depth(self) -> int:
        """How many entries a ranking keeps."""
        return self.keys.shape[1]

    @property
    def floors(self) -> NDArray[np.uint64]:
        """Per neuron the last full key, uint64 [neurons]: no key that follows it can enter. EMPTY: everything can."""
        return self.keys[:, -1].copy()

    @property
    def activations(self) -> NDArray[np.float32]:
        """float32 [neurons, depth], 0 behind a ranking's end."""
        return _keys.activations_of(self.keys)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Image ids, int64 [neurons, depth], -1 behind a ranking's end."""
        return _keys.ids_of(self.keys)

    @property
    def relative_activations(self) -> NDArray[np.float64]:
        """``w = a / a_max``, float64 [neurons, depth] (paper, sec. 2); 0 behind a ranking's end."""
        activations = self.activations.astype(np.float64)
        largest = activations[:, :1]
        return np.divide(activations, largest, out=np.zeros_like(activations), where=largest > 0)

    def taking_part(self, n_max: int, min_relative_activation: float) -> NDArray[np.int64]:
        """N: how many of the first `n_max` entries have ``w >= min_relative_activation`` (paper, footnote 1).

        Returns:
            int64 [neurons], 0 where the neuron is dead.
        """
        filled = self.keys[:, :n_max] != EMPTY
        return np.count_nonzero(filled & (self.relative_activations[:, :n_max] >= min_relative_activation), axis=1)

    def __getitem__(self, neurons: slice | NDArray[np.integer]) -> Rankings:
        """The rankings of some neurons."""
        return Rankings(*(column[neurons] for column in self.columns))

    def __setitem__(self, neurons: NDArray[np.integer], others: Rankings) -> None:
        for mine, new in zip(self.columns, others.columns, strict=True):
            mine[neurons] = new


@dataclass(frozen=True)
class Candidates:
    """Entries that may enter rankings, sparse and in any order; copies are allowed."""

    neurons: NDArray[np.int32]
    """[n]: row of the neuron in the rankings."""
    keys: NDArray[np.uint64]
    """[n]"""
    positions: NDArray[np.int32]
    """[n]"""

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def none(cls) -> Candidates:
        """No candidates."""
        return cls(np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.int32))

    @classmethod
    def concatenate(cls, parts: Iterable[Candidates]) -> Candidates:
        """All candidates of `parts`."""
        parts = list(parts)
        if len(parts) < 2:
            return parts[0] if parts else cls.none()
        return cls(
            np.concatenate([part.neurons for part in parts]),
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.positions for part in parts]),
        )
