"""What a tensor of the graph sees of the input: an extent for rows, one for columns, and their dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from math import prod
from operator import add, mul
from typing import Any

from raysel.network.receptive_field.axis_extent import AxisExtent

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorReceptiveField:
    """What the values of a tensor see.

    Attributes:
        axes: what they see of the input's rows, and of its columns.
        dims: the dimension of the tensor that indexes each axis; None if there is no such dimension (pooled or squeezed
            away), and twice the same dimension if rows and columns are flattened into one.
        fine: the dimensions that number the rows, or the columns, within a position of an axis that was split in two.
    """

    axes: tuple[AxisExtent, AxisExtent]
    dims: tuple[int | None, int | None]
    fine: frozenset[int] = frozenset()

    @property
    def flattened(self) -> bool:
        """True if rows and columns are flattened into one dimension."""
        return self.dims[0] is not None and self.dims[0] == self.dims[1]

    @property
    def exact(self) -> bool:
        """False if values may see less than their axes say, or different parts of their windows."""
        return all(axis.exact and axis.even for axis in self.axes)

    def is_indexed_by_position(self, shape: Shape) -> bool:
        """True if all values at one position of a map, in whatever channel, see the same.

        Args:
            shape: the tensor's shape: a map with channels first or last, or a vector per image.
        """
        row = len(shape) - (2 if self.dims[1] == len(shape) - 1 else 3)
        places = (row, row + 1) if len(shape) == 4 else (None, None)
        return not self.flattened and all(
            axis.stride == 0 or axis.length == 1 or dim == place
            for axis, dim, place in zip(self.axes, self.dims, places, strict=True)
        )

    def with_axes(self, rows: AxisExtent, columns: AxisExtent) -> TensorReceptiveField:
        """The same dimensions with other extents."""
        return replace(self, axes=(rows, columns))

    def as_bound(self) -> TensorReceptiveField:
        """The same extents, of which values may see less."""
        return self.with_axes(*(replace(axis, exact=False) for axis in self.axes))

    def with_dims(self, renumbered: Callable[[int], int]) -> TensorReceptiveField:
        """The same extents, with dimension d moved to ``renumbered(d)``."""
        rows, columns = (None if dim is None else renumbered(dim) for dim in self.dims)
        return replace(self, dims=(rows, columns), fine=frozenset(map(renumbered, self.fine)))

    def everything(self, shape: Shape) -> TensorReceptiveField:
        """Every value of a tensor of this shape may see the whole image."""
        dims = (len(shape) - 2, len(shape) - 1) if len(shape) == 4 else (None, None)
        lengths = [1 if dim is None else shape[dim] for dim in dims]
        rows, columns = (axis.everything(n) for axis, n in zip(self.axes, lengths, strict=True))
        return TensorReceptiveField((rows, columns), dims)

    def along_space(
        self, before: Shape, after: Shape, change: Callable[..., AxisExtent], *settings: tuple[Any, Any]
    ) -> TensorReceptiveField | None:
        """After an operation that works on rows and columns separately.

        Args:
            before: shape of this tensor.
            after: shape of the result, [..., rows, columns].
            change: called per axis with its extent, its length in `after`, and its part of each of the settings.
            settings: for rows and for columns.

        Returns:
            None if this tensor is not a map.
        """
        field = self._as_map(before)
        if field is None:
            return None
        arguments = zip(field.axes, after[-2:], *settings, strict=True)
        rows, columns = (change(*axis_arguments) for axis_arguments in arguments)
        return field.with_axes(rows, columns)

    def _as_map(self, shape: Shape) -> TensorReceptiveField | None:
        """As a map [..., rows, columns]; None if the axes are in other dimensions and this matters."""
        last_two = (len(shape) - 2, len(shape) - 1)
        if self.dims == last_two:
            return self
        if all(axis.whole for axis in self.axes):
            rows, columns = (axis.everything(n) for axis, n in zip(self.axes, shape[-2:], strict=True))
            return TensorReceptiveField((rows, columns), last_two)
        if shape[-2:] == (1, 1) and self.dims == (None, None):
            return replace(self, dims=last_two)
        return None

    def reduced(self, dims: set[int], keepdim: bool) -> TensorReceptiveField:
        """After a reduction over `dims`: a mean over rows sees all rows of the map."""
        axes, kept = list(self.axes), list(self.dims)
        for k, dim in enumerate(self.dims):
            if dim in dims:
                axes[k] = self.axes[k].joined(1) if self.axes[k].length > 1 else self.axes[k]
                kept[k] = dim if keepdim else None
            elif dim is not None and not keepdim:
                kept[k] = dim - sum(d < dim for d in dims)
        fine = frozenset(dim if keepdim else dim - sum(d < dim for d in dims) for dim in self.fine - dims)
        if self.flattened and self.dims[0] in dims:
            axes = [axis.joined(1) for axis in self.axes]
            kept = [None, None]
        return TensorReceptiveField((axes[0], axes[1]), (kept[0], kept[1]), fine)

    def permuted(self, order: tuple[int, ...]) -> TensorReceptiveField:
        """After a permutation: dimension k of the result is dimension ``order[k]`` of this tensor."""
        return self.with_dims(order.index)

    def reshaped(self, before: Shape, after: Shape) -> TensorReceptiveField:
        """After a view: an axis is kept where a dimension of the result indexes the same values.

        An axis may be split in two dimensions, as in space to depth, or followed by a dimension that is joined to it,
        as in depth to space.
        """
        kept = frozenset(same for dim in self.fine if (same := _same_dim(before, after, dim)) is not None)
        if self.flattened:
            dim = _same_dim(before, after, self.dims[0])
            return TensorReceptiveField(self.axes, (dim, dim), kept) if dim is not None else self.everything(after)
        rows, columns = (self._axis_after_view(k, before, after) for k in (0, 1))
        if rows is None or columns is None:
            flat = _flattened_dim(before, after, self.dims)
            return TensorReceptiveField(self.axes, (flat, flat), kept) if flat is not None else self.everything(after)
        fine = kept | {dim for dim in (rows[2], columns[2]) if dim is not None}
        return TensorReceptiveField((rows[0], columns[0]), (rows[1], columns[1]), fine)

    def _axis_after_view(self, k: int, before: Shape, after: Shape) -> tuple[AxisExtent, int | None, int | None] | None:
        """The axis, its dimension, and the dimension of its fine part if it was split; None if no dimension has it."""
        axis, dim = self.axes[k], self.dims[k]
        same = _same_dim(before, after, dim)
        if dim is None or same is not None or axis.length == 1:
            return axis, same, None
        for place, step in enumerate(_steps(after)[: len(after)]):
            if step != prod(before[:dim]):
                continue
            coarse, fine = (*after, 1)[place : place + 2]
            if 1 < coarse < axis.length == coarse * fine:
                return axis.window(coarse, fine, fine), place, place + 1
            behind = (*before, 1)[dim + 1]
            if coarse == axis.length * behind and dim + 1 not in self.dims:
                return axis.repeated(behind), place, None
        return None


Result = TensorReceptiveField | None
"""What the result of an operation sees; None if its rule does not know."""


def _steps(shape: Shape) -> list[int]:
    """Per dimension the product of all sizes before it, and at the end of all."""
    return list(accumulate(shape, mul, initial=1))


def _same_dim(before: Shape, after: Shape, dim: int | None) -> int | None:
    """The dimension of `after` that indexes exactly what `dim` of `before` does; None if there is none."""
    if dim is None:
        return None
    places = zip(_steps(after)[:-1], after, strict=True)
    return next((k for k, place in enumerate(places) if place == (prod(before[:dim]), before[dim])), None)


def _flattened_dim(before: Shape, after: Shape, dims: tuple[int | None, int | None]) -> int | None:
    """The dimension of `after` that holds both axes, alone or with channels before them; None if there is none."""
    present = [dim for dim in dims if dim is not None]
    start, end = prod(before[: min(present)]), prod(before[: max(present) + 1])
    steps = _steps(after)
    return next((k for k in range(len(after)) if steps[k] <= start and steps[k + 1] >= end), None)


def broadcast(operands: list[tuple[TensorReceptiveField, Shape]], shape: Shape) -> TensorReceptiveField:
    """What a value of an elementwise result of `shape` sees: the union over its operands."""
    result: TensorReceptiveField | None = None
    for field, own_shape in operands:
        aligned = field.with_dims(partial(add, len(shape) - len(own_shape)))
        result = aligned if result is None else _union(result, aligned, shape)
    assert result is not None
    return result


def _union(a: TensorReceptiveField, b: TensorReceptiveField, shape: Shape) -> TensorReceptiveField:
    dims: list[int | None] = []
    for pair in zip(a.dims, b.dims, strict=True):
        present = set(pair) - {None}
        if len(present) > 1:
            return a.everything(shape)
        dims.append(present.pop() if present else None)
    rows, columns = (x.union(y) for x, y in zip(a.axes, b.axes, strict=True))
    return TensorReceptiveField((rows, columns), (dims[0], dims[1]))
