"""What the positions along one axis of a map see of the same axis of the input: interval arithmetic.

Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks, Distill 2019; here per axis, and with
fractions for transposed convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class AxisExtent:
    """Position r, 0 <= r < length, sees the input pixels from ``first + stride * r`` to ``last + stride * r``.

    Attributes:
        length: positions of the map along this axis.
        first: the first pixel that position 0 sees.
        last: the last pixel that position 0 sees.
        stride: pixels between two positions.
        whole: every position sees the whole axis; first, last and stride mean nothing.
        exact: False for a bound: the positions see no more, but may see less.
    """

    length: int
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)
    stride: Fraction = Fraction(1)
    whole: bool = False
    exact: bool = True

    def everything(self, length: int, exact: bool = True) -> AxisExtent:
        """Each of `length` positions sees the whole axis."""
        return AxisExtent(length, whole=True, exact=exact or (self.whole and self.exact))

    def window(self, length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> AxisExtent:
        """After a sliding window (convolution, pooling) with `padding` positions before the first."""
        reach = dilation * (kernel - 1)
        return replace(
            self,
            length=length,
            first=self.first - self.stride * padding,
            last=self.last + self.stride * (reach - padding),
            stride=self.stride * stride,
        )

    def shift(self, length: int, padding: int) -> AxisExtent:
        """After adding `padding` positions before the first, or removing them if it is negative."""
        return self.window(length, 1, padding=padding)

    def transposed_window(self, length: int, kernel: int, stride: int, padding: int, dilation: int) -> AxisExtent:
        """After a transposed convolution: r sees the positions i with ``r = i * stride - padding + k * dilation``."""
        reach = dilation * (kernel - 1)
        if stride == 1:
            return self.window(length, kernel, 1, reach - padding, dilation)
        return self.resampled(length, Fraction(1, stride), Fraction(padding - reach, stride), Fraction(padding, stride))

    def resampled(self, length: int, step: Fraction, before: Fraction, after: Fraction) -> AxisExtent:
        """Position r sees at most the positions of this axis from ``r * step + before`` to ``r * step + after``."""
        return replace(
            self,
            length=length,
            first=self.first + self.stride * before,
            last=self.last + self.stride * after,
            stride=self.stride * step,
            exact=self.whole and self.exact,
        )

    def union(self, other: AxisExtent) -> AxisExtent:
        """Each position sees what it sees on either axis; an axis of length 1 is broadcast."""
        length = max(self.length, other.length)
        if self.whole or other.whole:
            return AxisExtent(length, whole=True, exact=(self.whole and self.exact) or (other.whole and other.exact))
        a, b = (self, other) if self.length >= other.length else (other, self)
        exact = a.exact and b.exact
        if b.length == 1:
            b = replace(b, stride=a.stride if length == 1 else Fraction(0))
        # Where the strides differ, b drifts away from a along the axis, which widens the interval.
        drift = (b.stride - a.stride) * (length - 1)
        return replace(
            a,
            first=min(a.first, b.first + min(drift, Fraction(0))),
            last=max(a.last, b.last + max(drift, Fraction(0))),
            exact=exact and drift == 0,
        )
