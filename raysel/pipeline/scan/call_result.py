"""What one call of a scan actor found, as the one row that Ray carries, and the tree level that merges such rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raysel.neurons import Candidates, keep_top

SCHEMA = pa.schema(
    [
        ("covered", pa.large_list(pa.int64())),
        ("faulty", pa.large_list(pa.int64())),
        ("reasons", pa.large_list(pa.string())),
        ("neurons", pa.large_list(pa.int32())),
        ("keys", pa.large_list(pa.uint64())),
        ("positions", pa.large_list(pa.int32())),
        ("dropped", pa.int64()),
        ("floor_images", pa.int64()),
        ("decode_s", pa.float64()),
        ("forward_s", pa.float64()),
    ]
)
"""One row per call, whatever the call found: a replay then has the same shape."""


_MOST_ROWS = 16
_TREE_CANDIDATES = 64_000_000
"""That a tree level's task reads at most; it holds a part of them."""
_AT_ONCE = 4_000_000
"""Candidates from which a tree level's task keeps only those that may still rank."""


@dataclass(frozen=True)
class CallResult:
    """The images that a call has covered, those it could not use, and the candidates among the rest."""

    covered: NDArray[np.int64]
    """Ids of the images whose candidates are all here."""
    faults: dict[int, str]
    """Image id -> why it cannot be used."""
    candidates: Candidates
    dropped: int = 0
    """Candidates that an actor has sent and a tree level did not let through."""
    floor_images: int = 0
    """Images in the state whose floors selected the candidates."""
    decode_s: float = 0.0
    """CPU seconds of decoding."""
    forward_s: float = 0.0
    """Seconds of the forward passes, with maxima and selection."""

    @property
    def sent(self) -> int:
        """How many candidates the actors have sent."""
        return len(self.candidates) + self.dropped

    def to_row(self) -> pa.Table:
        """A table of one row with `SCHEMA`."""
        lists: list[NDArray | Sequence] = [
            self.covered,
            list(self.faults),
            list(self.faults.values()),
            self.candidates.neurons,
            self.candidates.keys,
            self.candidates.positions,
        ]
        columns = [_one_list(values, field.type) for values, field in zip(lists, SCHEMA, strict=False)]
        columns += [pa.array([value]) for value in (self.dropped, self.floor_images, self.decode_s, self.forward_s)]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    @classmethod
    def from_rows(
        cls, table: pa.Table, merge: Callable[[Iterable[Candidates]], Candidates] = Candidates.concatenate
    ) -> CallResult:
        """All rows of `table` taken together; what `merge` leaves out of their candidates counts as dropped."""

        def all_of(name: str) -> NDArray:
            return table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)

        faults = dict(zip(all_of("faulty").tolist(), all_of("reasons").tolist(), strict=True))
        candidates = merge(_candidates(table, row) for row in range(len(table)))
        dropped = pc.sum(table.column("dropped")).as_py() + pc.sum(pc.list_value_length(table.column("keys"))).as_py()
        floor_images = int(np.min(table.column("floor_images").to_numpy()))
        seconds = (float(np.sum(table.column(name).to_numpy())) for name in ("decode_s", "forward_s"))
        return cls(all_of("covered"), faults, candidates, dropped - len(candidates), floor_images, *seconds)


@dataclass(frozen=True)
class TreeLevel:
    """A level of the tree-reduce: several calls' rows become one, with at most `depth` candidates a neuron."""

    depth: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        return CallResult.from_rows(rows, self._thinned).to_row()

    def _thinned(self, parts: Iterable[Candidates]) -> Candidates:
        """Those that may still rank. Without a floor a large network finds more than a task should hold at once."""
        kept, waiting = Candidates.none(), []
        for part in parts:
            waiting.append(part)
            if sum(map(len, waiting)) > max(_AT_ONCE, len(kept)):
                kept, waiting = keep_top(Candidates.concatenate([kept, *waiting]), self.depth), []
        return keep_top(Candidates.concatenate([kept, *waiting]), self.depth) if waiting else kept


def fan_in(calls: int, call_candidates: int) -> int:
    """How many rows a tree level merges.

    Few for short runs, which want their floor and their progress soon; and few for large networks, whose calls find
    every neuron in every image as long as there is no floor.

    Args:
        calls: of the whole scan.
        call_candidates: that a call finds at most.
    """
    return max(min(calls // 64, _MOST_ROWS, _TREE_CANDIDATES // max(call_candidates, 1)), 1)


def _candidates(table: pa.Table, row: int) -> Candidates:
    return Candidates(*(table.column(name)[row].values.to_numpy() for name in ("neurons", "keys", "positions")))


def _one_list(values: NDArray | Sequence, kind: pa.DataType) -> pa.Array:
    items = pa.array(values, kind.value_type)
    return pa.LargeListArray.from_arrays(pa.array([0, len(items)], pa.int64()), items)
