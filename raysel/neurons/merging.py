"""The merge of rankings: the algebra that makes a run's result independent of the cluster's luck.

Rankings form a semilattice: `merge` is associative, commutative and idempotent, also when copies of one image differ in
the last bits (an actor died and the batch ran again elsewhere). For one image the largest activation is kept, then the
first position; then the entries are ordered; then cut at the depth. In that order: if an image is cut, `depth` others
outrank it, and keeping the largest only raises them (design, sec. 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysel.neurons import keys as _keys
from raysel.neurons.keys import EMPTY
from raysel.neurons.ranking import Candidates, Rankings

_BLOCK_NEURONS = 256
"""Neurons that are folded at once: their entries stay in a core's cache."""

Map = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]


def select(
    activations: NDArray[np.float32],
    positions: NDArray[np.integer],
    ids: NDArray[np.integer],
    floors: NDArray[np.uint64],
) -> Candidates:
    """The candidates among one batch's activations: those that may rank and do not follow their neuron's floor.

    Args:
        activations: float32 [images, neurons].
        positions: integers [images, neurons].
        ids: image ids [images].
        floors: uint64 [neurons], see `Rankings.floors`. A floor of an older state is safe, only less sharp.
    """
    image, neuron = np.nonzero(_keys.ranks(activations) & (activations >= _keys.activations_of(floors)))
    keys = _keys.pack(activations[image, neuron], ids[image])
    enters = keys <= floors[neuron]  # equal: a copy of the last entry, perhaps with an earlier position
    image, neuron, keys = image[enters], neuron[enters], keys[enters]
    return Candidates(neuron.astype(np.int32), keys, positions[image, neuron].astype(np.int32))


def merge(*operands: Rankings) -> Rankings:
    """The rankings over the union of what the operands have seen. All have the same shape."""
    return _best(_side_by_side(*operands), operands[0].depth)


def fold(rankings: Rankings, candidates: Candidates) -> Rankings:
    """`rankings` with `candidates` let in."""
    folded = Rankings(*(column.copy() for column in rankings.columns))
    fold_into(folded, candidates)
    return folded


def fold_into(rankings: Rankings, candidates: Candidates, each: Map = map) -> None:
    """Let `candidates` into `rankings`, in place; costs in proportion to the neurons that have a candidate.

    Args:
        rankings: changed.
        candidates: of any neurons.
        each: runs the blocks of neurons; a thread pool's ``map`` runs them beside each other.
    """
    groups = _ByNeuron.of(candidates)

    def fold_block(groups_of_block: NDArray[np.integer]) -> None:
        neurons = groups.neurons[groups_of_block]
        rows = _side_by_side(rankings[neurons], groups.rows(groups_of_block))
        rankings[neurons] = _best(rows, rankings.depth)

    for _ in each(fold_block, groups.blocks()):
        pass


def thin(candidates: Candidates, depth: int) -> Candidates:
    """The candidates without copies and with at most `depth` per neuron: one level of the tree, without any state."""
    groups = _ByNeuron.of(candidates)
    parts = []
    for block in groups.blocks():
        best = _best(groups.rows(block), depth)
        filled = best.keys != EMPTY
        neurons = np.broadcast_to(groups.neurons[block][:, None], filled.shape)[filled]
        parts.append(Candidates(neurons.astype(np.int32), *(column[filled] for column in best.columns)))
    return Candidates.concatenate(parts)


@dataclass(frozen=True)
class _ByNeuron:
    """Candidates, those of a neuron together."""

    candidates: Candidates
    order: NDArray[np.integer]
    """[n]: the candidates, by neuron."""
    neurons: NDArray[np.int64]
    """[groups]: the neurons that have any, ascending."""
    starts: NDArray[np.integer]
    """[groups]: where in `order` each begins."""
    counts: NDArray[np.integer]
    """[groups]: how many each has."""

    @classmethod
    def of(cls, candidates: Candidates) -> _ByNeuron:
        order = np.argsort(candidates.neurons, kind="stable")
        neurons, starts, counts = np.unique(candidates.neurons[order], return_index=True, return_counts=True)
        return cls(candidates, order, neurons.astype(np.int64), starts, counts)

    def blocks(self) -> list[NDArray[np.integer]]:
        """The groups, some at a time, those with about as many candidates together.

        A row is as wide as its block's longest: where images come class by class, a few neurons have hundreds.
        """
        by_count = np.argsort(self.counts, kind="stable")
        return [np.sort(by_count[first : first + _BLOCK_NEURONS]) for first in range(0, len(by_count), _BLOCK_NEURONS)]

    def rows(self, groups: NDArray[np.integer]) -> Rankings:
        """The candidates of some groups, a row each, in the order in which they came."""
        counts = self.counts[groups]
        row = np.repeat(np.arange(len(groups)), counts)
        column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        own = self.order[np.repeat(self.starts[groups], counts) + column]
        rows = Rankings.empty(len(groups), int(counts.max(initial=0)))
        rows.keys[row, column] = self.candidates.keys[own]
        rows.positions[row, column] = self.candidates.positions[own]
        return rows


def _side_by_side(*parts: Rankings) -> Rankings:
    """The entries of each neuron in all `parts` in one row, not in order."""
    return Rankings(
        *(np.concatenate(columns, axis=1) for columns in zip(*(part.columns for part in parts), strict=True))
    )


def _best(rows: Rankings, depth: int) -> Rankings:
    """The first `depth` entries of each row after removal of copies; rows may come in any order."""
    copied = _rows_with_copies(rows)
    if len(copied):
        rows = Rankings(*(column.copy() for column in rows.columns))
        rows[copied] = _without_copies(rows[copied])
    # A row is a ranking, and behind it what a tree level has put in order: a merging sort only joins the two.
    return _along(rows, np.argsort(rows.keys, axis=1, kind="stable")[:, :depth])


def _along(rows: Rankings, order: NDArray[np.integer]) -> Rankings:
    """The entries of each row in another order, or some of them."""
    flat = order + rows.depth * np.arange(len(order))[:, None]
    return Rankings(*(column.ravel().take(flat) for column in rows.columns))


def _rows_with_copies(rows: Rankings) -> NDArray[np.int64]:
    """Rows in which one image stands more than once. Copies are rare, so they are only looked for here, cheaply."""
    images = _keys.mixed_ids_of(rows.keys)
    ones = np.iinfo(images.dtype).max
    # One image's mixed id is all ones, as EMPTY's low half is: its copies are counted apart.
    doubled_ones = np.count_nonzero((images == ones) & (rows.keys != EMPTY), axis=1) > 1
    images.sort(axis=1)
    doubled = ((images[:, 1:] == images[:, :-1]) & (images[:, 1:] != ones)).any(axis=1)
    return np.flatnonzero(doubled | doubled_ones)


def _without_copies(rows: Rankings) -> Rankings:
    """Of each image only the copy with the largest activation, then the first position; the others become EMPTY."""
    rows = _along(rows, np.lexsort((rows.positions, rows.keys, _keys.mixed_ids_of(rows.keys)), axis=1))
    images = _keys.mixed_ids_of(rows.keys)
    again = np.zeros(images.shape, bool)
    again[:, 1:] = (images[:, 1:] == images[:, :-1]) & (rows.keys[:, 1:] != EMPTY)
    rows.keys[again] = EMPTY
    rows.positions[again] = -1
    return rows
