"""The merge of rankings, which makes the result independent of the order in which images are scanned.

Rankings are a semilattice: `merge` is associative, commutative and idempotent, also if two copies of an image differ
in the last bits (an actor died, and its batch ran again on another machine). For each image the largest activation is
kept, then the first position; then the entries are ordered; then they are cut at the depth. The order of these steps
matters: an image is only cut if `depth` others outrank it, and keeping the largest activation can only raise those.
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
"""Neurons that are merged at a time: their entries stay in a core's cache."""

Map = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]


def entering(
    neurons: NDArray[np.integer],
    activations: NDArray[np.float32],
    positions: NDArray[np.integer],
    ids: NDArray[np.integer],
    cutoffs: NDArray[np.uint64],
) -> Candidates:
    """Those of some activations that may enter their neuron's ranking. Every array but the last is [n].

    Args:
        neurons: integers.
        activations: float32, all of which can rank: finite and above zero.
        positions: integers.
        ids: image ids.
        cutoffs: uint64 [neurons], as in `select`.
    """
    keys = _keys.candidate_keys(activations, ids)
    return Candidates(neurons.astype(np.int32), keys, positions.astype(np.int32)).within(cutoffs)


def merge(*parts: Rankings, depth: int) -> Rankings:
    """The rankings of all images that are in any of the parts, cut at `depth`.

    Args:
        parts: rankings of the same neurons, of any depths. Their rows need not be in order, and images may be in them
            twice.
        depth: entries to keep per neuron.
    """
    rows = parts[0] if len(parts) == 1 else _side_by_side(parts)
    repeated = _rows_with_repeated_images(rows)
    if len(repeated):
        rows = Rankings(rows.keys.copy(), rows.positions.copy())
        single = _without_repeated_images(rows[repeated])
        rows.keys[repeated], rows.positions[repeated] = single.keys, single.positions
    # A row is a ranking followed by candidates, often in order: a stable sort merges such runs.
    return _reordered(rows, np.argsort(rows.keys, axis=1, kind="stable")[:, :depth])


def fold_into(rankings: Rankings, candidates: Candidates, each: Map = map) -> None:
    """Merge candidates into `rankings`, in place. The cost grows with the number of neurons that have candidates.

    Args:
        rankings: changed in place.
        candidates: of any of the neurons.
        each: runs blocks of neurons; the ``map`` of a thread pool runs them in parallel.
    """
    groups = _ByNeuron.of(candidates)

    def fold_block(block: NDArray[np.integer]) -> None:
        neurons = groups.neurons[block]
        merged = merge(rankings[neurons], groups.rows(block), depth=rankings.depth)
        rankings.keys[neurons], rankings.positions[neurons] = merged.keys, merged.positions

    for _ in each(fold_block, groups.blocks()):
        pass


def keep_top(candidates: Candidates, depth: int) -> Candidates:
    """The candidates that can enter a ranking of this depth: each image once, and at most `depth` per neuron."""
    groups = _ByNeuron.of(candidates)
    parts = []
    for block in groups.blocks():
        top = merge(groups.rows(block), depth=depth)
        filled = top.keys != EMPTY
        neurons = np.broadcast_to(groups.neurons[block][:, None], filled.shape)[filled]
        parts.append(Candidates(neurons.astype(np.int32), top.keys[filled], top.positions[filled]))
    return Candidates.concatenate(parts)


@dataclass(frozen=True)
class _ByNeuron:
    """Candidates in groups, one per neuron."""

    candidates: Candidates
    order: NDArray[np.integer]
    """[n]: numbers of the candidates, sorted by neuron."""
    neurons: NDArray[np.int64]
    """[groups]: the neuron of each group, ascending."""
    starts: NDArray[np.integer]
    """[groups]: where the group starts in `order`."""
    counts: NDArray[np.integer]
    """[groups]: candidates in the group."""

    @classmethod
    def of(cls, candidates: Candidates) -> _ByNeuron:
        order = np.argsort(candidates.neurons, kind="stable")
        neurons, starts, counts = np.unique(candidates.neurons[order], return_index=True, return_counts=True)
        return cls(candidates, order, neurons.astype(np.int64), starts, counts)

    def blocks(self) -> list[NDArray[np.integer]]:
        """Blocks of groups of about equal size.

        The longest group determines the length of its block's rows, and when images come class by class, a few neurons
        have hundreds of candidates.
        """
        by_count = np.argsort(self.counts, kind="stable")
        return [np.sort(by_count[first : first + _BLOCK_NEURONS]) for first in range(0, len(by_count), _BLOCK_NEURONS)]

    def rows(self, groups: NDArray[np.integer]) -> Rankings:
        """The candidates of some groups, one row per group, in the order in which they came."""
        counts = self.counts[groups]
        row = np.repeat(np.arange(len(groups)), counts)
        column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        own = self.order[np.repeat(self.starts[groups], counts) + column]
        rows = Rankings.empty(len(groups), int(counts.max(initial=0)))
        rows.keys[row, column] = self.candidates.keys[own]
        rows.positions[row, column] = self.candidates.positions[own]
        return rows


def _side_by_side(parts: Iterable[Rankings]) -> Rankings:
    """The entries of all parts in one row per neuron, not in order."""
    keys, positions = zip(*((part.keys, part.positions) for part in parts), strict=True)
    return Rankings(np.concatenate(keys, axis=1), np.concatenate(positions, axis=1))


def _reordered(rows: Rankings, order: NDArray[np.integer]) -> Rankings:
    """The entries of each row in another order, or some of them."""
    flat = order + rows.depth * np.arange(len(order))[:, None]  # np.take_along_axis is three times slower
    return Rankings(rows.keys.ravel().take(flat), rows.positions.ravel().take(flat))


def _rows_with_repeated_images(rows: Rankings) -> NDArray[np.int64]:
    """Numbers of the rows with an image that is there twice. Such rows are rare, and this finds them cheaply."""
    ids = _keys.mixed_ids_of(rows.keys)
    # The mixed id of one image is all ones, and so is the low half of EMPTY: this image is counted on its own.
    ones = np.iinfo(ids.dtype).max
    repeated_ones = np.count_nonzero((ids == ones) & (rows.keys != EMPTY), axis=1) > 1
    ids.sort(axis=1)
    repeated = ((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] != ones)).any(axis=1)
    return np.flatnonzero(repeated | repeated_ones)


def _without_repeated_images(rows: Rankings) -> Rankings:
    """For each image the entry with the largest activation, then the first position; the others become EMPTY."""
    rows = _reordered(rows, np.lexsort((rows.positions, rows.keys, _keys.mixed_ids_of(rows.keys)), axis=1))
    ids = _keys.mixed_ids_of(rows.keys)
    again = np.zeros(ids.shape, bool)
    again[:, 1:] = (ids[:, 1:] == ids[:, :-1]) & (rows.keys[:, 1:] != EMPTY)
    rows.keys[again] = EMPTY
    rows.positions[again] = -1
    return rows
