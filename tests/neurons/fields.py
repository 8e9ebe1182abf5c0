"""Receptive fields made by hand."""

from __future__ import annotations

from fractions import Fraction

from raysel.neurons import AxisField, ReceptiveField


def square(size: int, input_size: tuple[int, int], stride: int = 1, offset: int = 0) -> ReceptiveField:
    """A square of `size` pixels, or the whole input if it is not larger."""
    if size >= max(input_size):
        return ReceptiveField.whole_input(input_size)
    rows, columns = (AxisField(size, Fraction(stride), Fraction(offset), length) for length in input_size)
    return ReceptiveField(rows, columns)
