"""Blocks of pixels: the grid to which crops are reduced, and sums over its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.unsignedinteger]


def reduction_factor(size: int, max_size: int) -> int:
    """The least k with ``ceil(size / k) <= max_size``; both sizes are in pixels."""
    return -(-size // max_size)


@dataclass(frozen=True)
class BlockGrid:
    """The h x w blocks of `factor` x `factor` pixels that a crop is divided into. The last blocks may be smaller."""

    factor: int
    edges: tuple[NDArray[np.int64], NDArray[np.int64]]
    """First pixel of each row of blocks, int64 [h], and of each column of blocks, int64 [w]."""
    lengths: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Pixels of each row of blocks, int64 [h], and of each column of blocks, int64 [w]."""

    @classmethod
    def of(cls, crop_size: tuple[int, int], factor: int) -> BlockGrid:
        """The grid of crops of `crop_size` (height, width) pixels."""
        rows, columns = (np.arange(0, length, factor) for length in crop_size)
        lengths = np.minimum(factor, crop_size[0] - rows), np.minimum(factor, crop_size[1] - columns)
        return cls(factor, (rows, columns), lengths)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """int64 [h, w]: pixels of each block."""
        return np.outer(*self.lengths)

    def empty(self, n: int) -> Sums:
        """Uninitialized sums of `n` crops: [n, h, w, 3], the smallest unsigned integers that hold a block's sum."""
        return np.empty((n, *map(len, self.lengths), 3), np.min_scalar_type(255 * self.factor**2))

    def sum_into(self, sums: Sums, pixels: NDArray[np.uint8]) -> None:
        """Sum the pixels of n crops, uint8 [n, H, W, 3], over blocks, into `sums` [n, h, w, 3].

        Rows are summed first and then columns, one channel at a time, so that memory is read in long runs.
        """
        k = self.factor
        lines = pixels[:, ::k].astype(sums.dtype)
        for i in range(1, k):
            more = pixels[:, i::k]
            lines[:, : more.shape[1]] += more
        for channel in range(3):
            target = sums[:, :, :, channel]
            target[...] = lines[:, :, ::k, channel]
            for i in range(1, k):
                more = lines[:, :, i::k, channel]
                target[:, :, : more.shape[2]] += more

    def visible(
        self, origins: NDArray[np.int64], views: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How much of each row and column of blocks is visible.

        Args:
            origins: int64 [N, 2], first (row, column) of each crop in pixels of the image; may be negative.
            views: int64 [N, 4], the visible pixels of each crop: first row and column, end of rows and of columns.

        Returns:
            (rows of pixels in each row of blocks, int64 [N, h]; columns of pixels in each column, int64 [N, w])
        """
        axes = zip((origins[:, :1], origins[:, 1:]), self.edges, self.lengths, strict=True)
        rows, columns = (
            np.maximum(
                np.minimum(views[:, axis + 2, None] - origin, edges + lengths)
                - np.maximum(views[:, axis, None] - origin, edges),
                0,
            )
            for axis, (origin, edges, lengths) in enumerate(axes)
        )
        return rows, columns
