"""Crops: what a position of a layer saw, cut from the network's inputs and reduced in blocks of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysel.neurons.receptive_field import ReceptiveField

_KEPT_BYTES = 128 << 20  # of whole inputs kept in their reduced form, for the next neuron that wants them


def reduction_factor(size: int, max_size: int) -> int:
    """The least k with ``ceil(size / k) <= max_size``, all in pixels."""
    return -(-size // max_size)


@dataclass(frozen=True)
class Crops:
    """N crops of one receptive field, as sums over h x w blocks of pixels (at factor 1 each block is one pixel).

    What shows of a crop is a rectangle, so the pixels that show in a block are counted by its rows and its columns.
    """

    sums: NDArray[np.unsignedinteger]
    """uint [N, h, w, 3]: sum over the block's pixels that show, each 0..255."""
    rows: NDArray[np.int64]
    """int64 [N, h]: rows of pixels that show in each row of blocks."""
    columns: NDArray[np.int64]
    """int64 [N, w]: columns of pixels that show in each column of blocks."""
    block_rows: NDArray[np.int64]
    """int64 [h]: rows of pixels in each row of blocks; only the last may have fewer than the others."""
    block_columns: NDArray[np.int64]
    """int64 [w]: columns of pixels in each column of blocks."""

    def __len__(self) -> int:
        return len(self.sums)

    @property
    def factor(self) -> int:
        """Pixels a side of a block that is not cut off."""
        return int(max(self.block_rows[0], self.block_columns[0]))

    @property
    def complete(self) -> NDArray[np.bool_]:
        """bool [N]: which crops lie within the image, so that every pixel shows."""
        rows_show: NDArray[np.bool_] = (self.rows == self.block_rows).all(axis=1)
        return rows_show & (self.columns == self.block_columns).all(axis=1)

    def shows(self, which: int | slice) -> NDArray[np.bool_]:
        """bool [..., h, w]: the blocks of which at least half shows, of one crop or several."""
        showing = self.rows[which][..., :, None] * self.columns[which][..., None, :]
        shown: NDArray[np.bool_] = 2 * showing >= self.block_rows[:, None] * self.block_columns
        return shown


class CropCutter:
    """Cuts the crops of one receptive field."""

    def __init__(self, inputs: NDArray[np.uint8], field: ReceptiveField, max_size: int) -> None:
        """Of uint8 [images, H, W, 3], RGB, as the network saw them; crops are reduced to at most `max_size` a side."""
        self._inputs = np.asarray(inputs)  # views of a plain array are several times cheaper than a memory map's
        self._size = field.crop_size
        self.factor = reduction_factor(max(self._size), max_size)
        self._edges = [np.arange(0, length, self.factor) for length in self._size]
        self._blocks = [
            np.minimum(self.factor, length - edges) for length, edges in zip(self._size, self._edges, strict=True)
        ]
        reduced_whole = field.whole and self.factor > 1
        self._reduced = _ReducedInputs(self._inputs, self.factor, self.shape) if reduced_whole else None

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the reduced crops."""
        return len(self._edges[0]), len(self._edges[1])

    def cut(self, rows: NDArray[np.integer], origins: NDArray[np.integer]) -> Crops:
        """N crops.

        Args:
            rows: int [N], into the inputs.
            origins: int [N, 2], first (row, column) of each crop in input pixels; may be negative.
        """
        corners: NDArray[np.int64] = origins.astype(np.int64)
        showing = [
            _showing(-corners[:, axis], self._inputs.shape[1 + axis], self._edges[axis], self._blocks[axis])
            for axis in (0, 1)
        ]
        sums = self._cut_each(rows, corners) if self._reduced is None else self._reduced.sums(rows)
        return Crops(sums, showing[0], showing[1], self._blocks[0], self._blocks[1])

    def _cut_each(self, rows: NDArray[np.integer], origins: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
        firsts = np.clip(origins, 0, self._inputs.shape[1:3])
        ends = np.clip(origins + self._size, 0, self._inputs.shape[1:3])
        hiding = (ends - firsts != self._size).any(axis=1)
        sums = (np.zeros if hiding.any() else np.empty)((len(rows), *self.shape, 3), dtype=_sum_type(self.factor))
        canvas = np.empty((*self._size, 3), dtype=np.uint8)
        steps = zip(rows.tolist(), firsts.tolist(), ends.tolist(), origins.tolist(), hiding.tolist(), sums, strict=True)
        for row, (top, left), (bottom, right), (y, x), hides, of_crop in steps:
            pixels = self._inputs[row, top:bottom, left:right]
            if self.factor == 1:
                of_crop[top - y : bottom - y, left - x : right - x] = pixels
            elif hides:
                canvas.fill(0)
                canvas[top - y : bottom - y, left - x : right - x] = pixels
                _sum_blocks(canvas, self.factor, of_crop)
            else:
                _sum_blocks(pixels, self.factor, of_crop)
        return sums


class _ReducedInputs:
    """Where the crop is the whole input it depends on the image only: each is reduced once, for all neurons."""

    def __init__(self, inputs: NDArray[np.uint8], factor: int, shape: tuple[int, int]) -> None:
        self._inputs = inputs
        self._factor = factor
        self._kept = np.empty((0, *shape, 3), dtype=_sum_type(factor))
        self._room = min(len(inputs), _KEPT_BYTES // (math.prod(shape) * 3 * self._kept.itemsize))
        self._places: dict[int, int] = {}

    def sums(self, rows: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
        """uint [N, h, w, 3] of these images."""
        wanted = rows.tolist()
        missing = set(wanted) - self._places.keys()
        if len(self._places) + len(missing) > len(self._kept):
            self._start_again(max(self._room, len(wanted)))
            missing = set(wanted)
        for row in missing:
            place = self._places[row] = len(self._places)
            _sum_blocks(self._inputs[row], self._factor, self._kept[place])
        return self._kept[[self._places[row] for row in wanted]]

    def _start_again(self, room: int) -> None:
        self._places.clear()
        if len(self._kept) < room:
            self._kept = np.empty((room, *self._kept.shape[1:]), dtype=self._kept.dtype)


def _sum_type(factor: int) -> np.dtype[np.unsignedinteger]:
    return np.min_scalar_type(255 * factor**2)


def _showing(
    first: NDArray[np.int64], length: int, edges: NDArray[np.int64], blocks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """int64 [N, blocks]: each block's pixels in ``first <= pixel < first + length``, along one axis of the crop."""
    begin = np.maximum(first[:, None], edges)
    end = np.minimum(first[:, None] + length, edges + blocks)
    return np.maximum(end - begin, 0)


def _sum_blocks(pixels: NDArray[np.uint8], k: int, out: NDArray[np.unsignedinteger]) -> None:
    """Sums over k x k blocks of uint8 [H, W, 3] into uint [ceil(H/k), ceil(W/k), 3]; the last blocks may be partial.

    Whole lines of pixels first, then pixel by pixel along what is left: an order in which memory is read in long runs.
    """
    lines = pixels[::k].astype(out.dtype)
    for i in range(1, k):
        more = pixels[i::k]
        lines[: len(more)] += more
    for channel in range(3):
        of_channel = out[:, :, channel]
        of_channel[...] = lines[:, ::k, channel]
        for i in range(1, k):
            more = lines[:, i::k, channel]
            of_channel[:, : more.shape[1]] += more
