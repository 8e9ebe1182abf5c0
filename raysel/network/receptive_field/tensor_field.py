"""What a tensor of the graph sees of the input: an extent each for rows and columns, and the dimensions they lie in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod

from raysel.network.receptive_field.axis_extent import AxisExtent

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorReceptiveField:
    """What the values of a tensor see.

    Attributes:
        axes: for rows and for columns of the input.
        dims: the tensor's dimension whose index is the axis's position; None where the tensor has no such dimension
            (pooled or squeezed away), and both the same where rows and columns lie flattened in one.
    """

    axes: tuple[AxisExtent, AxisExtent]
    dims: tuple[int | None, int | None]

    @property
    def flattened(self) -> bool:
        """Rows and columns lie in one dimension: an index of it tells no position."""
        return self.dims[0] is not None and self.dims[0] == self.dims[1]

    def with_axes(self, rows: AxisExtent, columns: AxisExtent) -> TensorReceptiveField:
        """The same dimensions, seeing something else."""
        return replace(self, axes=(rows, columns))

    def moved(self, place: Callable[[int], int]) -> TensorReceptiveField:
        """The same, with dimension d now dimension ``place(d)``."""
        rows, columns = (None if dim is None else place(dim) for dim in self.dims)
        return replace(self, dims=(rows, columns))

    def everything(self, shape: Shape, exact: bool) -> TensorReceptiveField:
        """Every value of a tensor of this shape sees the whole image."""
        dims = (len(shape) - 2, len(shape) - 1) if len(shape) == 4 else (None, None)
        lengths = [1 if dim is None else shape[dim] for dim in dims]
        rows, columns = (axis.everything(n, exact) for axis, n in zip(self.axes, lengths, strict=True))
        return TensorReceptiveField((rows, columns), dims)

    def spatial(self, shape: Shape) -> TensorReceptiveField | None:
        """As a map [..., rows, columns]; None if the dimensions lie otherwise and it matters."""
        wanted = (len(shape) - 2, len(shape) - 1)
        if self.dims == wanted:
            return self
        if all(axis.whole for axis in self.axes):
            return self.everything(shape, all(axis.exact for axis in self.axes))
        if shape[-2:] == (1, 1) and self.dims == (None, None):
            return replace(self, dims=wanted)
        return None

    def reduced(self, dims: set[int], ndim: int, keepdim: bool) -> TensorReceptiveField:
        """Values that each see all indices of `dims`: a mean over space sees the whole image."""
        axes, kept = list(self.axes), list(self.dims)
        for k, dim in enumerate(self.dims):
            if dim in dims:
                axes[k] = self.axes[k].everything(1) if self.axes[k].length > 1 else self.axes[k]
                kept[k] = dim if keepdim else None
            elif dim is not None and not keepdim:
                kept[k] = dim - sum(d < dim for d in dims)
        if self.flattened and self.dims[0] in dims:
            axes = [axis.everything(1) for axis in self.axes]
            kept = [None, None]
        return TensorReceptiveField((axes[0], axes[1]), (kept[0], kept[1]))

    def permuted(self, order: tuple[int, ...]) -> TensorReceptiveField:
        """Dimension k of the new tensor is dimension ``order[k]`` of this."""
        return self.moved(order.index)

    def reshaped(self, before: Shape, after: Shape) -> TensorReceptiveField:
        """Through a view: an axis lives on where the same values lie before, in and behind it."""
        if self.flattened:
            dim = _same_place(before, after, self.dims[0])
            return replace(self, dims=(dim, dim)) if dim is not None else self.everything(after, False)
        axes, dims = list(self.axes), list(self.dims)
        for k, dim in enumerate(self.dims):
            if dim is None:
                continue
            dims[k] = _same_place(before, after, dim)
            if dims[k] is None and axes[k].length > 1:
                flat = _flattened_in(before, after, self.dims)
                return replace(self, dims=(flat, flat)) if flat is not None else self.everything(after, False)
        return TensorReceptiveField((axes[0], axes[1]), (dims[0], dims[1]))


def _strides_from_front(shape: Shape) -> list[int]:
    return list(accumulate(shape, lambda a, b: a * b, initial=1))


def _same_place(before: Shape, after: Shape, dim: int | None) -> int | None:
    """The dimension of `after` that indexes exactly what `dim` of `before` does; None if there is none."""
    if dim is None:
        return None
    front = prod(before[:dim])
    places = zip(_strides_from_front(after)[:-1], after, strict=True)
    return next((k for k, (at, size) in enumerate(places) if at == front and size == before[dim]), None)


def _flattened_in(before: Shape, after: Shape, dims: tuple[int | None, int | None]) -> int | None:
    """The dimension of `after` that holds both axes, alone or with channels before them; None if there is none."""
    present = [dim for dim in dims if dim is not None]
    start, end = prod(before[: min(present)]), prod(before[: max(present) + 1])
    fronts = _strides_from_front(after)
    return next((k for k in range(len(after)) if fronts[k] <= start and fronts[k + 1] >= end), None)


def broadcast(fields: list[tuple[TensorReceptiveField, Shape]], shape: Shape) -> TensorReceptiveField:
    """What a value of an elementwise result of `shape` sees: the union over its operands."""
    result: TensorReceptiveField | None = None
    for field, own in fields:
        lift = len(shape) - len(own)
        lifted = field.moved(lambda dim, lift=lift: dim + lift)  # type: ignore[misc]
        result = lifted if result is None else _union(result, lifted, shape)
    assert result is not None
    return result


def _union(a: TensorReceptiveField, b: TensorReceptiveField, shape: Shape) -> TensorReceptiveField:
    dims: list[int | None] = []
    axes: list[AxisExtent] = []
    for k in (0, 1):
        present = {field.dims[k] for field in (a, b)} - {None}
        if len(present) > 1:
            return a.everything(shape, False)
        dims.append(present.pop() if present else None)
        axes.append(a.axes[k].union(b.axes[k]))
    return TensorReceptiveField((axes[0], axes[1]), (dims[0], dims[1]))
