"""The receptive field of a layer: which pixels of the network's input each of its positions sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Interval = tuple[int, int]

NOTHING = (0, -1)
"""First and last pixel of a position that sees none."""


@dataclass(frozen=True)
class AxisField:
    """What the positions along one axis of a map see of the same axis of the network's input, in pixels.

    Position r has a window of `size` pixels from ``floor(offset + stride * r)``. Where a window reaches beyond the
    input there is nothing to see.
    """

    size: int
    """Pixels of a window, which may exceed the input."""
    stride: Fraction
    """Pixels from one position to the next; 0 if all positions have the same window."""
    offset: Fraction
    """First pixel of the window of position 0; negative if it covers padding."""
    length: int
    """Pixels of the input along this axis."""
    seen: tuple[Interval, ...] | None = field(default=None, repr=False)
    """First and last pixel that each position sees, (0, -1) for none; None: all pixels of its window.

    At a border a position may see less than its window. If padding is reflected it may see other pixels: its crop is
    then moved until it holds them.
    """

    @classmethod
    def whole(cls, length: int) -> AxisField:
        """All positions see all of the axis."""
        return cls(length, Fraction(0), Fraction(0), length)

    @cached_property
    def shared(self) -> Interval | None:
        """First and last pixel that all positions see alike; None if crops follow the positions."""
        if self.stride == 0:
            return int(self.offset), int(self.offset) + self.size - 1
        intervals = {each for each in self.seen or () if each != NOTHING}
        return intervals.pop() if len(intervals) == 1 else None

    @property
    def crop_size(self) -> int:
        """Pixels of a crop: of the part of the windows in which any position sees something."""
        start, end = self._shown
        return end - start

    @cached_property
    def _shown(self) -> Interval:
        """Start and end of the part of the windows that crops show, relative to the windows."""
        if self.seen is None or self.shared is not None:
            first, last = self.shared or (0, self.size - 1)
            return 0, last - first + 1
        seen = np.array(self.seen)
        origins, sees = self._origins(np.arange(len(seen))), seen[:, 0] <= seen[:, 1]
        return int((seen[:, 0] - origins)[sees].min()), int((seen[:, 1] - origins)[sees].max()) + 1

    def _origins(self, positions: Integers) -> Integers:
        """First pixel of each position's window, moved to where it holds what the position sees."""
        step, shift = self.stride, self.offset
        numerators = step.numerator * shift.denominator * positions + shift.numerator * step.denominator
        origins = np.asarray(numerators // (step.denominator * shift.denominator))
        if self.seen is None:
            return origins
        first, last = np.moveaxis(np.array(self.seen)[positions], -1, 0)
        return np.where(first <= last, np.clip(origins, last + 1 - self.size, first), origins)

    def crops(self, positions: Integers) -> tuple[Integers, Integers, Integers]:
        """First pixel of each position's crop, and first pixel and end of the part of the crop that it sees.

        The part reaches beyond the input where the crop does. It is empty if nothing is seen.
        """
        if self.shared is not None:
            first, last = (np.full_like(positions, pixel) for pixel in self.shared)
            return first, first, last + 1
        start, end = self._shown
        origins, ends = (self._origins(positions) + edge for edge in (start, end))
        if self.seen is None:
            return origins, origins, ends
        first, last = np.moveaxis(np.array(self.seen)[positions], -1, 0)
        sees = first <= last
        ends = np.where(last == self.length - 1, ends, last + 1)
        return origins, np.where(sees & (first > 0), first, origins), np.where(sees, ends, origins)


@dataclass(frozen=True)
class ReceptiveField:
    """A rectangle per position, in pixels of the network's input."""

    rows: AxisField
    columns: AxisField
    bound: str | None = None
    """Why this is only an upper bound, in a few words; None if it is exact."""

    @classmethod
    def whole_input(cls, input_size: tuple[int, int], bound: str | None = None) -> ReceptiveField:
        """Every position sees the whole input of (height, width) pixels."""
        height, width = input_size
        return cls(AxisField.whole(height), AxisField.whole(width), bound)

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the network's input, in pixels."""
        return self.rows.length, self.columns.length

    @property
    def height(self) -> int:
        """Pixels."""
        return self.rows.size

    @property
    def width(self) -> int:
        """Pixels."""
        return self.columns.size

    @property
    def size(self) -> int:
        """The longer side, in pixels."""
        return max(self.height, self.width)

    @property
    def exact(self) -> bool:
        """False if positions may see less."""
        return self.bound is None

    @property
    def fixed(self) -> bool:
        """True if the crops of all positions show the same pixels."""
        return self.rows.shared is not None and self.columns.shared is not None

    @property
    def whole(self) -> bool:
        """True if the crop of every position is the whole input."""
        return self.fixed and self.crop_size == self.input_size

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) of a crop in pixels of the input, before any reduction."""
        return self.rows.crop_size, self.columns.crop_size

    def record(self) -> dict[str, int | float]:
        """The columns of the neurons table that describe it."""
        return {
            "rf_size": self.size,
            "rf_height": self.height,
            "rf_width": self.width,
            "rf_stride": float(self.rows.stride),
            "rf_offset": float(self.rows.offset),
            "rf_stride_x": float(self.columns.stride),
            "rf_offset_x": float(self.columns.offset),
        }

    def origins(self, positions: NDArray[np.integer], map_width: int) -> Integers:
        """First (row, column) of each position's crop.

        Args:
            positions: int [...], ``row * map_width + column``.
            map_width: columns of the layer's map.

        Returns:
            int64 [..., 2] in pixels of the input; may be negative.
        """
        return self._crops(positions, map_width)[0]

    def boxes(self, positions: NDArray[np.integer], map_width: int) -> Integers:
        """The part of each position's crop that it sees: first row and column, end of rows and of columns.

        Args:
            positions: int [...], ``row * map_width + column``.
            map_width: columns of the layer's map.

        Returns:
            int64 [..., 4] in pixels of the input. It may reach beyond the input; the pixels of the input in it are
            those that the position sees.
        """
        return np.concatenate(self._crops(positions, map_width)[1:], axis=-1)

    def _crops(self, positions: NDArray[np.integer], map_width: int) -> tuple[Integers, Integers, Integers]:
        cells = np.divmod(positions.astype(np.int64), map_width)
        axes = (axis.crops(cell) for axis, cell in zip((self.rows, self.columns), cells, strict=True))
        origins, firsts, ends = (np.stack(both, axis=-1) for both in zip(*axes, strict=True))
        return origins, firsts, ends
