"""Rankings and their merge: the algebra that makes a run's result independent of the cluster's luck.

Rankings form a semilattice: `merge` is associative, commutative and idempotent, also when copies of one image differ in
the last bits (an actor died and the batch ran again elsewhere). For one image the largest activation is kept, then the
first position; then the entries are ordered; then cut at the depth. In that order: if an image is cut, `depth` others
outrank it, and keeping the largest only raises them (design, sec. 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysel.neurons import keys as _keys
from raysel.neurons.keys import EMPTY

_BLOCK_NEURONS = 256
"""Neurons that are folded at once: their entries stay in a core's cache."""

Map = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]


@dataclass(frozen=True)
class Rankings:
    """The rankings of many neurons, 12 bytes an entry. Rows ascend by key; no image stands twice in a row."""

    keys: NDArray[np.uint64]
    """[neurons, depth], EMPTY behind a ranking's end."""
    positions: NDArray[np.int32]
    """[neurons, depth]: where on the layer's map, ``row * columns + column``; -1 behind a ranking's end."""

    @classmethod
    def empty(cls, neurons: int, depth: int) -> Rankings:
        """Rankings that nothing has entered: the neutral element of `merge`."""
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
        """From the entries one by one, each with its neuron and its rank; all arrays are [entries]."""
        made = cls.empty(neurons, depth)
        made.keys[neuron, rank] = _keys.pack(activations, ids)
        made.positions[neuron, rank] = positions
        return made

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

    def __getitem__(self, neurons: slice) -> Rankings:
        """The rankings of some neurons."""
        return Rankings(self.keys[neurons], self.positions[neurons])


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
    def concatenate(cls, parts: Sequence[Candidates]) -> Candidates:
        """All candidates of `parts`."""
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([part.neurons for part in parts]),
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.positions for part in parts]),
        )


def select(
    activations: NDArray[np.float32],
    positions: NDArray[np.integer],
    ids: NDArray[np.integer],
    floors: NDArray[np.uint64],
    first_neuron: int = 0,
) -> Candidates:
    """The candidates among one batch's activations: those that may rank and do not follow their neuron's floor.

    Args:
        activations: float32 [images, neurons].
        positions: integers [images, neurons].
        ids: image ids [images].
        floors: uint64 [neurons], see `Rankings.floors`. A floor of an older state is safe, only less sharp.
        first_neuron: number of the first column's neuron.
    """
    image, neuron = np.nonzero(_keys.ranks(activations) & (activations >= _keys.activations_of(floors)))
    keys = _keys.pack(activations[image, neuron], ids[image])
    enters = keys <= floors[neuron]  # equal: a copy of the last entry, perhaps with an earlier position
    image, neuron, keys = image[enters], neuron[enters], keys[enters]
    return Candidates((neuron + first_neuron).astype(np.int32), keys, positions[image, neuron].astype(np.int32))


def merge(*operands: Rankings) -> Rankings:
    """The rankings over the union of what the operands have seen. All have the same shape."""
    stacked = Rankings(
        np.concatenate([operand.keys for operand in operands], axis=1),
        np.concatenate([operand.positions for operand in operands], axis=1),
    )
    return _best(stacked, operands[0].depth)


def fold(rankings: Rankings, candidates: Candidates) -> Rankings:
    """`rankings` with `candidates` let in."""
    folded = Rankings(rankings.keys.copy(), rankings.positions.copy())
    fold_into(folded, candidates)
    return folded


def fold_into(rankings: Rankings, candidates: Candidates, each: Map = map) -> None:
    """Let `candidates` into `rankings`, in place; costs in proportion to the neurons that have a candidate.

    Args:
        rankings: changed.
        candidates: of any neurons.
        each: runs the blocks of neurons; a thread pool's ``map`` runs them beside each other.
    """
    touched, fresh = _in_rows(candidates)

    def fold_block(first: int) -> None:
        rows = slice(first, first + _BLOCK_NEURONS)
        neurons = touched[rows]
        stacked = Rankings(
            np.concatenate([rankings.keys[neurons], fresh.keys[rows]], axis=1),
            np.concatenate([rankings.positions[neurons], fresh.positions[rows]], axis=1),
        )
        best = _best(stacked, rankings.depth)
        rankings.keys[neurons], rankings.positions[neurons] = best.keys, best.positions

    for _ in each(fold_block, range(0, len(touched), _BLOCK_NEURONS)):
        pass


def thin(candidates: Candidates, depth: int) -> Candidates:
    """The candidates without copies and with at most `depth` per neuron: one level of the tree, without any state."""
    touched, rows = _in_rows(candidates)
    best = _best(rows, min(depth, rows.depth))
    filled = best.keys != EMPTY
    neurons = np.broadcast_to(touched[:, None], filled.shape)[filled]
    return Candidates(neurons.astype(np.int32), best.keys[filled], best.positions[filled])


def _in_rows(candidates: Candidates) -> tuple[NDArray[np.int64], Rankings]:
    """Candidates as rows of a matrix: (the neurons that have any, their unordered entries)."""
    order = np.argsort(candidates.neurons, kind="stable")
    touched, starts, counts = np.unique(candidates.neurons[order], return_index=True, return_counts=True)
    rows = Rankings.empty(len(touched), int(counts.max(initial=0)))
    row = np.repeat(np.arange(len(touched)), counts)
    column = np.arange(len(candidates)) - np.repeat(starts, counts)
    rows.keys[row, column] = candidates.keys[order]
    rows.positions[row, column] = candidates.positions[order]
    return touched.astype(np.int64), rows


def _best(rows: Rankings, depth: int) -> Rankings:
    """The first `depth` entries of each row after removal of copies; rows may come in any order."""
    keys, positions = rows.keys, rows.positions
    copied = _rows_with_copies(keys)
    if len(copied):
        keys, positions = keys.copy(), positions.copy()
        keys[copied], positions[copied] = _without_copies(keys[copied], positions[copied])
    order = np.argsort(keys, axis=1)[:, :depth]
    return Rankings(np.take_along_axis(keys, order, axis=1), np.take_along_axis(positions, order, axis=1))


def _rows_with_copies(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows in which one image stands more than once. Copies are rare, so they are only looked for here, cheaply."""
    images = _keys.images_of(keys)
    ones = np.uint32(0xFFFF_FFFF)
    # One image's mixed id is all ones, as EMPTY's low half is: its copies are counted apart.
    doubled_ones = np.count_nonzero((images == ones) & (keys != EMPTY), axis=1) > 1
    images.sort(axis=1)
    doubled = ((images[:, 1:] == images[:, :-1]) & (images[:, 1:] != ones)).any(axis=1)
    return np.flatnonzero(doubled | doubled_ones)


def _without_copies(
    keys: NDArray[np.uint64], positions: NDArray[np.int32]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Of each image only the copy with the largest activation, then the first position; the others become EMPTY."""
    real = keys != EMPTY
    order = np.lexsort((positions, keys, _keys.images_of(keys), ~real), axis=1)
    keys, positions = np.take_along_axis(keys, order, axis=1), np.take_along_axis(positions, order, axis=1)
    images = _keys.images_of(keys)
    again = np.zeros(keys.shape, bool)
    again[:, 1:] = (images[:, 1:] == images[:, :-1]) & (keys[:, 1:] != EMPTY)
    return np.where(again, EMPTY, keys), np.where(again, np.int32(-1), positions)
