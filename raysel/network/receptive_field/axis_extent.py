"""What the positions along one axis of a map see of the same axis of the input.

Each position has a window, an interval that moves with the position (Araujo, Norris, Sim: Computing receptive fields of
convolutional neural networks, Distill 2019), here with fractions for transposed convolutions. Beside it stand the
pixels that the position does see: fewer at borders, and elsewhere where padding is reflected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import floor

import numpy as np
from numpy.typing import NDArray

from raysel.neurons.receptive_field import NOTHING, AxisField

Mask = NDArray[np.bool_]

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class AxisExtent:
    """Position r, 0 <= r < length, has the window from ``first + stride * r`` to ``last + stride * r``, both included.

    Attributes:
        pixels: length of the input's axis.
        seen: int64 [length, 2], the first and the last pixel that each position sees; first > last if it sees none.
        first: first pixel of the window of position 0.
        last: last pixel of the window of position 0.
        stride: pixels between two windows; 0 if all positions see the same.
        exact: False if positions may see less than `seen`.
        even: False if positions see different parts of their windows even away from borders.
    """

    pixels: int
    seen: NDArray[np.int64]
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)
    stride: Fraction = Fraction(1)
    exact: bool = True
    even: bool = True

    @classmethod
    def of_images(cls, pixels: int) -> AxisExtent:
        """The input itself."""
        return cls(pixels, np.repeat(np.arange(pixels), 2).reshape(-1, 2))

    @property
    def length(self) -> int:
        """Positions of the map along this axis."""
        return len(self.seen)

    @cached_property
    def whole(self) -> bool:
        """True if every position sees the whole axis, apart from those that see nothing."""
        sees = self.seen[self.seen[:, 0] <= self.seen[:, 1]]
        return len(sees) > 0 and sees[:, 0].max() == 0 and sees[:, 1].min() == self.pixels - 1

    def everything(self, length: int) -> AxisExtent:
        """Each of `length` positions may see the whole axis."""
        return self._fixed(length, 0, self.pixels - 1, self.whole and self.exact)

    def joined(self, length: int) -> AxisExtent:
        """Each of `length` positions sees what all positions of this axis see together."""
        return self._fixed(length, int(self.seen[:, 0].min()), int(self.seen[:, 1].max()), self.exact)

    def _fixed(self, length: int, first: int, last: int, exact: bool) -> AxisExtent:
        seen = np.tile(np.array([first, last]), (length, 1))
        return AxisExtent(self.pixels, seen, Fraction(first), Fraction(last), Fraction(0), exact)

    def through(self, mask: Mask, step: Fraction, before: Fraction, after: Fraction, even: bool) -> AxisExtent:
        """After an operation along this axis.

        Args:
            mask: [new length, length], the positions of this axis that each new position sees.
            step: positions of this axis between two new ones.
            before: new position r sees at most the positions from ``r * step + before``, if the axis had no borders.
            after: to ``r * step + after``.
            even: True if all new positions away from borders see equally many.
        """
        firsts = np.where(mask, self.seen[:, 0], _NEVER).min(axis=1, initial=_NEVER)
        lasts = np.where(mask, self.seen[:, 1], -1).max(axis=1, initial=-1)
        return replace(
            self,
            seen=np.stack([firsts, lasts], axis=1),
            first=self.first + self.stride * before,
            last=self.last + self.stride * after,
            stride=self.stride * step,
            even=self.even and even,
        )

    def window(self, length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> AxisExtent:
        """After a sliding window (convolution, pooling) with `padding` positions before the first."""
        reach = dilation * (kernel - 1)
        offsets = np.arange(self.length) - (np.arange(length) * stride - padding)[:, None]
        mask = (offsets >= 0) & (offsets <= reach) & (offsets % dilation == 0)
        return self.through(mask, Fraction(stride), Fraction(-padding), Fraction(reach - padding), even=True)

    def padded(self, length: int, before: int, mode: str = "constant") -> AxisExtent:
        """After adding positions at both ends, `before` of them before the first; a negative number removes them.

        Args:
            length: positions after padding.
            before: positions before the first.
            mode: ``constant``, ``reflect`` (without repeating the last position) or ``replicate``.
        """
        sources, last = np.arange(length) - before, self.length - 1
        if mode == "reflect":
            sources = last - np.abs(last - np.abs(sources))
        elif mode == "replicate":
            sources = sources.clip(0, last)
        mask = sources[:, None] == np.arange(self.length)
        return self.through(mask, Fraction(1), Fraction(-before), Fraction(-before), even=True)

    def transposed_window(self, length: int, kernel: int, stride: int, padding: int, dilation: int) -> AxisExtent:
        """After a transposed convolution: r sees the positions i with ``r = i * stride - padding + k * dilation``."""
        reach = dilation * (kernel - 1)
        offsets = np.arange(length)[:, None] - (np.arange(self.length) * stride - padding)
        mask = (offsets >= 0) & (offsets <= reach) & (offsets % dilation == 0)
        before, after = Fraction(padding - reach, stride), Fraction(padding, stride)
        return self.through(mask, Fraction(1, stride), before, after, even=stride == 1)

    def repeated(self, times: int) -> AxisExtent:
        """After `times` new positions take the place of each."""
        mask = np.arange(self.length * times)[:, None] // times == np.arange(self.length)
        return self.through(mask, Fraction(1, times), Fraction(1 - times, times), Fraction(0), even=times == 1)

    def union(self, other: AxisExtent) -> AxisExtent:
        """Each position sees what it sees on either axis; an axis of length 1 is broadcast."""
        length = max(self.length, other.length)
        a, b = (self, other) if self.length >= other.length else (other, self)
        if b.length == 1:
            b = replace(b, stride=a.stride if length == 1 else Fraction(0))
        seen = np.stack([np.minimum(a.seen, b.seen)[:, 0], np.maximum(a.seen, b.seen)[:, 1]], axis=1)
        exact = (a.exact and b.exact) or any(axis.whole and axis.exact for axis in (a, b))
        if 0 in (a.stride, b.stride) and (seen == seen[0]).all():
            return a._fixed(length, int(seen[0, 0]), int(seen[0, 1]), exact)
        # Where the strides differ, b drifts away from a along the axis, which widens the window.
        drift = (b.stride - a.stride) * (length - 1)
        return replace(
            a,
            seen=seen,
            first=min(a.first, b.first + min(drift, Fraction(0))),
            last=max(a.last, b.last + max(drift, Fraction(0))),
            exact=exact,
            even=a.even and b.even and drift == 0,
        )

    def field(self) -> AxisField:
        """In whole pixels."""
        shifts = [self.stride * r for r in range(self.length)]
        size = max(floor(self.last + shift) - floor(self.first + shift) + 1 for shift in shifts)
        seen = tuple((first, last) if first <= last else NOTHING for first, last in self.seen.tolist())
        size = max(size, *(last - first + 1 for first, last in seen))
        return AxisField(size, self.stride, self.first, self.pixels, seen)
