"""Crops: what positions of a layer saw, cut from the network's inputs and reduced to blocks of pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from raysel.neurons.blocks import BlockGrid, Sums, reduction_factor
from raysel.neurons.receptive_field import ReceptiveField

_BAND_VALUES = 1 << 16  # half a megabyte in float64, which fits a core's cache
_GROUP_CROPS = 8  # reduced at a time: fewer calls, and the crops still fit a core's cache
_CACHE_BYTES = 128 << 20  # for crops of fixed fields, reduced: the neurons of a chunk share many images


@dataclass(frozen=True)
class Crops:
    """N crops of one receptive field in rank order, as sums over blocks of pixels.

    Pixels outside the image are hidden, and those that the position does not see, so the visible pixels of a crop are a
    rectangle. A block is visible if at least half of its pixels are.
    """

    grid: BlockGrid
    sums: Sums
    """Unsigned integers [N, h, w, 3]: sums over each block's visible pixels, each 0..255; 0 in `hidden_corners`."""
    rows: NDArray[np.int64]
    """int64 [N, h]: visible rows of pixels in each row of blocks."""
    columns: NDArray[np.int64]
    """int64 [N, w]: visible columns of pixels in each column of blocks."""

    def __len__(self) -> int:
        return len(self.sums)

    def every(self, row: int, column: int) -> Crops:
        """The same crops with only every `row`-th row and `column`-th column of blocks, from the first."""
        rows, columns = picks = slice(None, None, row), slice(None, None, column)
        edges, lengths = (
            (of_rows[rows], of_columns[columns]) for of_rows, of_columns in (self.grid.edges, self.grid.lengths)
        )
        grid = BlockGrid(self.grid.factor, edges, lengths)
        return Crops(grid, self.sums[:, *picks], self.rows[:, rows], self.columns[:, columns])

    @cached_property
    def complete(self) -> bool:
        """True if all crops lie inside their images."""
        rows, columns = self.grid.lengths
        return bool((self.rows == rows).all() and (self.columns == columns).all())

    @cached_property
    def visible_lines(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool [N, h] and [N, w]: rows and columns of blocks of which at least half is visible.

        Blocks in both a visible row and a visible column are visible, except for `hidden_corners`.
        """
        rows, columns = self.grid.lengths
        return 2 * self.rows >= rows, 2 * self.columns >= columns

    @cached_property
    def hidden_corners(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Crop, row and column of the blocks that are hidden although their row and column are visible.

        They are at the corners of the visible rectangle, where the product of both visible shares is less than half.
        """
        if self.grid.factor == 1:
            none = np.empty(0, np.int64)
            return none, none, none
        rows, columns = self.grid.lengths
        row_crop, row = np.nonzero(self.visible_lines[0] & (self.rows < rows))
        column_crop, column = np.nonzero(self.visible_lines[1] & (self.columns < columns))
        a, b = np.nonzero(row_crop[:, None] == column_crop)
        crop, row, column = row_crop[a], row[a], column[b]
        hidden = 2 * self.rows[crop, row] * self.columns[crop, column] < self.grid.areas[row, column]
        return crop[hidden], row[hidden], column[hidden]

    @property
    def count(self) -> NDArray[np.int64]:
        """int64 [h, w]: how many crops show each block."""
        return self.sum_where_visible(np.ones(len(self))).astype(np.int64)  # sums of ones are exact in any order

    def sum_where_visible(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [h, w]: for each block, the sum of the values, float64 [N], of the crops that show it."""
        rows, columns = self.visible_lines
        sums: NDArray[np.float64] = rows.T.astype(np.float64) @ (columns * values[:, None])
        np.subtract.at(sums, self.hidden_corners[1:], values[self.hidden_corners[0]])
        return sums

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """bool [N, h, w]: the blocks that are visible."""
        rows, columns = self.visible_lines
        visible = rows[:, :, None] & columns[:, None, :]
        visible[self.hidden_corners] = False
        return visible

    @cached_property
    def pixels(self) -> NDArray[np.float32]:
        """float32 [N, h, w, 3], RGB in 0..1: means over each block's visible pixels, 0 in hidden blocks."""
        sums = np.concatenate([values.astype(np.float32) for _, values in self.bands()], axis=1)
        unit = (255 * self.grid.areas[:, :, None]).astype(np.float32)
        return np.divide(sums.reshape(self.sums.shape), unit, dtype=np.float32)

    def bands(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """The sums in float64, a band of rows of blocks at a time.

        A block's hidden pixels count as if they had the mean of its visible ones.

        Yields:
            (the rows of the band; float64 [N, rows, 3 w], whole numbers if no pixel of the block is hidden, 0 if the
            block is hidden)
        """
        n, height, width, _ = self.sums.shape
        flat = self.sums.reshape(n, height, 3 * width)
        step = max(round(_BAND_VALUES / (n * 3 * width)), 1)
        scales = None if self.grid.factor == 1 or self.complete else self._scales()
        for top in range(0, height, step):
            lines = slice(top, top + step)
            sums = flat[:, lines].astype(np.float64)
            if scales is not None:
                sums *= scales[0][:, lines, None]
                sums *= scales[1][:, None, :]
            yield lines, sums

    def _scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """float64 [N, h] and [N, 3 w]: pixels per visible pixel of rows and columns of blocks; 0 in hidden ones."""
        (visible_rows, visible_columns), (rows, columns) = self.visible_lines, self.grid.lengths
        by_row = visible_rows * rows / np.maximum(self.rows, 1)
        by_column = visible_columns * columns / np.maximum(self.columns, 1)
        return by_row, np.repeat(by_column, 3, axis=1)


class CropCutter:
    """Cuts the crops of one receptive field from the inputs of a network."""

    def __init__(self, inputs: NDArray[np.uint8], field: ReceptiveField, *max_sizes: int) -> None:
        """Prepare to cut.

        Args:
            inputs: uint8 [images, H, W, 3], RGB, before normalization; may be a memory map.
            field: the receptive field.
            max_sizes: crops are reduced to at most this many pixels a side, by the least whole factor.
        """
        self._inputs = np.asarray(inputs)  # slicing a plain array costs a fraction of slicing a memory map
        self._size = height, width = field.crop_size
        self._factors = [reduction_factor(max(self._size), max_size) for max_size in max_sizes]
        self._grids = {factor: BlockGrid.of(self._size, factor) for factor in self._factors}
        self._fixed = field.fixed
        cached_inputs = _CACHE_BYTES // sum(grid.empty(1).nbytes for grid in self._grids.values())
        top, left = field.origins(np.zeros((), int), 1).tolist()
        shown = self._inputs[:, top : top + height, left : left + width]
        self._reduced_input = lru_cache(max(cached_inputs, 1))(partial(_reduced_input, shown, self._grids))

    def cut(
        self, rows: NDArray[np.integer], origins: NDArray[np.integer], boxes: NDArray[np.integer] | None = None
    ) -> list[Crops]:
        """Cut N crops, and reduce them to each of the sizes.

        Args:
            rows: int [N], numbers of the inputs.
            origins: int [N, 2], first (row, column) of each crop in pixels of its input; may be negative.
            boxes: int [N, 4], the part of each crop that is visible if it is inside the input: first row and column,
                end of rows and of columns. By default all of it.

        Returns:
            The crops in each of the sizes, in the order of `max_sizes`.
        """
        corners = origins.astype(np.int64)
        views = np.concatenate([corners, corners + self._size], axis=1) if boxes is None else boxes.astype(np.int64)
        views = np.clip(views, 0, self._inputs.shape[1:3] * 2)
        sums = {k: grid.empty(len(rows)) for k, grid in self._grids.items()}
        if self._fixed:
            for j, row in enumerate(rows.tolist()):
                for k, reduced in self._reduced_input(row).items():
                    sums[k][j] = reduced[0]
        else:
            self._sum_into(sums, rows, corners, views)
        crops = {}
        for k, grid in self._grids.items():
            crops[k] = Crops(grid, sums[k], *grid.visible(corners, views))
            sums[k][crops[k].hidden_corners] = 0
        return [crops[k] for k in self._factors]

    def _sum_into(
        self, sums: dict[int, Sums], rows: NDArray[np.integer], corners: NDArray[np.int64], views: NDArray[np.int64]
    ) -> None:
        """Sums over the blocks of crops, by reduction factor."""
        hides = (views[:, 2:] - views[:, :2] != self._size).any(axis=1)
        boxes = list(zip(rows.tolist(), corners.tolist(), views.tolist(), hides.tolist(), strict=True))
        buffer = np.empty((0 if 1 in sums else _GROUP_CROPS, *self._size, 3), np.uint8)
        for first in range(0, len(boxes), _GROUP_CROPS):
            group = slice(first, first + _GROUP_CROPS)
            crops = sums[1][group] if 1 in sums else buffer[: len(boxes[group])]
            for crop, (row, (y, x), (top, left, bottom, right), hiding) in zip(crops, boxes[group], strict=True):
                if hiding:
                    crop.fill(0)
                crop[top - y : bottom - y, left - x : right - x] = self._inputs[row, top:bottom, left:right]
            for k, grid in self._grids.items():
                if k > 1:
                    grid.sum_into(sums[k][group], crops)


def _reduced_input(inputs: NDArray[np.uint8], grids: dict[int, BlockGrid], row: int) -> dict[int, Sums]:
    """Sums over the blocks of what all positions see of an input, by reduction factor."""
    sums = {k: grid.empty(1) for k, grid in grids.items()}
    for k, grid in grids.items():
        grid.sum_into(sums[k], inputs[row : row + 1])
    return sums
