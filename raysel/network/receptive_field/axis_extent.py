"""What the positions along one axis of a map see of the same axis of the input: interval arithmetic.

Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks, Distill 2019, per axis, with
fractions so that transposed convolutions fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class AxisExtent:
    """Position r, 0 <= r < length, sees the input pixels from ``first + stride * r`` to ``last + stride * r``.

    `whole`: every position sees all of the axis, and the interval means nothing.
    Not `exact`: what is really seen is no larger, but may be smaller.
    """

    length: int
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)
    stride: Fraction = Fraction(1)
    whole: bool = False
    exact: bool = True

    def everything(self, length: int, exact: bool = True) -> AxisExtent:
        """Every one of `length` positions sees all of the axis."""
        return AxisExtent(length, whole=True, exact=exact or (self.whole and self.exact))

    def window(self, length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> AxisExtent:
        """Through a sliding window (convolution, pooling), `padding` positions before the first."""
        reach = dilation * (kernel - 1)
        return replace(
            self,
            length=length,
            first=self.first - self.stride * padding,
            last=self.last + self.stride * (reach - padding),
            stride=self.stride * stride,
        )

    def shift(self, length: int, by: int) -> AxisExtent:
        """`by` positions are put before the first (padding), or taken away where negative (cropping)."""
        return self.window(length, 1, padding=by)

    def transposed_window(self, length: int, kernel: int, stride: int, padding: int, dilation: int) -> AxisExtent:
        """Through a transposed convolution: r sees the inputs i with ``r = i * stride - padding + k * dilation``."""
        if stride == 1:
            return self.window(length, kernel, 1, dilation * (kernel - 1) - padding, dilation)
        reach = dilation * (kernel - 1)
        return self.resampled(length, Fraction(1, stride), Fraction(padding - reach, stride), Fraction(padding, stride))

    def resampled(self, length: int, step: Fraction, before: Fraction, after: Fraction) -> AxisExtent:
        """Position r sees, of this axis, at most the positions from ``r * step + before`` to ``r * step + after``."""
        return replace(
            self,
            length=length,
            first=self.first + self.stride * before,
            last=self.last + self.stride * after,
            stride=self.stride * step,
            exact=self.whole and self.exact,
        )

    def union(self, other: AxisExtent) -> AxisExtent:
        """Positions that see what the same positions of two maps see; an axis of length 1 is broadcast."""
        length = max(self.length, other.length)
        if self.whole or other.whole:
            return AxisExtent(length, whole=True, exact=(self.whole and self.exact) or (other.whole and other.exact))
        a, b = (self, other) if self.length >= other.length else (other, self)
        exact = a.exact and b.exact
        if b.length == 1:
            b = replace(b, stride=a.stride if length == 1 else Fraction(0))
        # Where strides differ, the drift of b against a over the axis widens the interval.
        drift = (b.stride - a.stride) * (length - 1)
        return replace(
            a,
            first=min(a.first, b.first + min(drift, Fraction(0))),
            last=max(a.last, b.last + max(drift, Fraction(0))),
            exact=exact and drift == 0,
        )
