"""What one call of a scan actor found, the row in which Ray carries it, and the tree level that merges such rows."""

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
        ("covered_images", pa.large_list(pa.int64())),
        ("bad_images", pa.large_list(pa.int64())),
        ("bad_reasons", pa.large_list(pa.string())),
        ("candidate_neurons", pa.large_list(pa.int32())),
        ("candidate_keys", pa.large_list(pa.uint64())),
        ("candidate_positions", pa.large_list(pa.int32())),
        ("dropped_candidates", pa.int64()),
        ("cutoff_images", pa.int64()),
        ("decode_s", pa.float64()),
        ("forward_s", pa.float64()),
    ]
)
"""One row per call, whatever the call found: Ray may run a call again and expects the same number of rows."""

_MOST_ROWS = 16
_TREE_CANDIDATES = 64_000_000
"""Most candidates that one task of a tree level reads; it holds only some of them at a time."""
_AT_ONCE = 4_000_000
"""A task of a tree level drops candidates that cannot rank whenever it holds this many."""


@dataclass(frozen=True)
class CallResult:
    """The images that a call covered, those that it could not use, and the candidates among the covered ones."""

    covered: NDArray[np.int64]
    """Ids of the images whose candidates are all here."""
    bad: dict[int, str]
    """Image id -> why it cannot be used."""
    candidates: Candidates
    dropped: int = 0
    """Candidates that actors sent and a tree level dropped."""
    cutoff_images: int = 0
    """Images in the state whose cutoffs selected the candidates."""
    decode_s: float = 0.0
    """CPU seconds of decoding."""
    forward_s: float = 0.0
    """Seconds of the forward passes, with maxima and selection."""

    @property
    def sent(self) -> int:
        """How many candidates the actors sent."""
        return len(self.candidates) + self.dropped

    def to_row(self) -> pa.Table:
        """A table of one row with schema `SCHEMA`."""
        lists: list[NDArray | Sequence] = [
            self.covered,
            list(self.bad),
            list(self.bad.values()),
            self.candidates.neurons,
            self.candidates.keys,
            self.candidates.positions,
        ]
        columns = [_one_list(values, field.type) for values, field in zip(lists, SCHEMA, strict=False)]
        columns += [pa.array([value]) for value in (self.dropped, self.cutoff_images, self.decode_s, self.forward_s)]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    @classmethod
    def from_rows(
        cls, rows: pa.Table, merge: Callable[[Iterable[Candidates]], Candidates] = Candidates.concatenate
    ) -> CallResult:
        """Several calls' rows as one result.

        Args:
            rows: at least one, schema `SCHEMA`.
            merge: makes one of the calls' candidates; those that it leaves out count as dropped.
        """

        def items(name: str) -> NDArray:
            return rows[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)

        columns = [rows[f"candidate_{name}"] for name in ("neurons", "keys", "positions")]
        sent = pc.sum(rows["dropped_candidates"]).as_py() + pc.sum(pc.list_value_length(columns[0])).as_py()
        candidates = merge(
            Candidates(*(column[row].values.to_numpy() for column in columns)) for row in range(len(rows))
        )
        return cls(
            covered=items("covered_images"),
            bad=dict(zip(items("bad_images").tolist(), items("bad_reasons").tolist(), strict=True)),
            candidates=candidates,
            dropped=sent - len(candidates),
            cutoff_images=pc.min(rows["cutoff_images"]).as_py(),
            decode_s=pc.sum(rows["decode_s"]).as_py(),
            forward_s=pc.sum(rows["forward_s"]).as_py(),
        )


def merge_rows(rows: pa.Table, depth: int) -> pa.Table:
    """One level of the merge tree: several calls' rows as one, with at most `depth` candidates per neuron."""

    def thinned(parts: Iterable[Candidates]) -> Candidates:
        # Without cutoffs, the calls of a large network find more than a task should hold at once.
        kept, waiting = Candidates.none(), []
        for part in parts:
            waiting.append(part)
            if sum(map(len, waiting)) > max(_AT_ONCE, len(kept)):
                kept, waiting = keep_top(Candidates.concatenate([kept, *waiting]), depth), []
        return keep_top(Candidates.concatenate([kept, *waiting]), depth) if waiting else kept

    return CallResult.from_rows(rows, thinned).to_row()


def rows_per_merge(calls: int, call_candidates: int) -> int:
    """How many rows a tree level merges into one; 1: no tree level.

    Few in short runs, where cutoffs and progress must not wait for many calls, and few for large networks, whose calls
    find every neuron in every image as long as there are no cutoffs.

    Args:
        calls: in the whole scan.
        call_candidates: most candidates that one call can find.
    """
    return max(min(calls // 64, _MOST_ROWS, _TREE_CANDIDATES // max(call_candidates, 1)), 1)


def _one_list(values: NDArray | Sequence, kind: pa.DataType) -> pa.Array:
    items = pa.array(values, kind.value_type)
    return pa.LargeListArray.from_arrays(pa.array([0, len(items)], pa.int64()), items)
