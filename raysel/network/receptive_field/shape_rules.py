"""Rules of operations that move values to other dimensions, select some of them, or join tensors."""

from __future__ import annotations

from typing import Any

from raysel.network.graph.operations import Operation
from raysel.network.receptive_field.tensor_receptive_field import Result, Shape, TensorReceptiveField, broadcast


def reshape(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A view of another shape."""
    return field.reshaped(before, after)


def permute(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """All dimensions in another order."""
    dims = operation.arguments["dims"]
    order = dims if isinstance(dims, (tuple, list)) else (dims,)
    return field.permuted(tuple(int(d) % len(before) for d in order))


def transpose(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Two dimensions exchanged."""
    order = list(range(len(before)))
    a, b = (int(operation.arguments[key]) for key in ("dim0", "dim1"))
    order[a], order[b] = order[b], order[a]
    return field.permuted(tuple(order))


def unsqueeze(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A new dimension of size 1."""
    new = int(operation.arguments["dim"]) % len(after)
    return field.with_dims(lambda dim: dim + (dim >= new))


def expand(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Dimensions of size 1 repeated."""
    field = field.with_dims(lambda dim: dim + len(after) - len(before))
    rows, columns = (
        axis if dim is None or axis.length == after[dim] else axis.joined(after[dim])
        for axis, dim in zip(field.axes, field.dims, strict=True)
    )
    return field.with_axes(rows, columns)


def split(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Parts along channels; along space it is not followed."""
    return field if int(operation.setting("dim", 0)) % len(before) not in (*field.dims, *field.fine) else None


def unbind(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Single indices along channels; along space it is not followed."""
    removed = int(operation.setting("dim", 0)) % len(before)
    if removed in (*field.dims, *field.fine):
        return None
    return field.with_dims(lambda dim: dim - (dim > removed))


def join(operation: Operation, operands: list[tuple[TensorReceptiveField, Shape]], shape: Shape) -> Result:
    """Concatenation or stacking along channels sees what any part sees; along space it is not followed."""
    dim = int(operation.setting("dim", 0)) % len(shape)
    if operation.name == "stack":
        operands = [(field.with_dims(lambda d: d + (d >= dim)), shape) for field, _ in operands]
    return None if any(dim in field.dims for field, _ in operands) else broadcast(operands, shape)


def overwritten(operands: list[tuple[TensorReceptiveField, Shape]], shape: Shape) -> Result:
    """A tensor after a write into some of its channels sees what was written; other writes are not followed."""
    first = operands[0][0]
    lengths = [axis.length if dim is None else shape[dim] for axis, dim in zip(first.axes, first.dims, strict=True)]
    same = all(field.dims == first.dims and [axis.length for axis in field.axes] == lengths for field, _ in operands)
    return broadcast(operands, shape) if same else None


def getitem(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Indexing in Python's notation."""
    index = operation.arguments["index"]
    return _indexed(field, before, after, index if isinstance(index, tuple) else (index,))


def slice_(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A slice of one dimension."""
    dim = int(operation.setting("dim", 0)) % len(before)
    part = slice(*(operation.arguments.get(key) for key in ("start", "end", "step")))
    return _indexed(field, before, after, (slice(None),) * dim + (part,))


def narrow(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A part of one dimension, by its start and length."""
    dim, start = (int(operation.arguments[key]) for key in ("dim", "start"))
    start %= before[dim]
    return _indexed(field, before, after, (slice(None),) * (dim % len(before)) + (slice(start, start + after[dim]),))


def select(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """One index of one dimension."""
    dim = int(operation.arguments["dim"]) % len(before)
    return _indexed(field, before, after, (slice(None),) * dim + (int(operation.arguments["index"]),))


def _indexed(field: TensorReceptiveField, before: Shape, after: Shape, index: tuple[Any, ...]) -> Result:
    """Basic indexing: slices of space crop and thin the map; one index of space is not followed."""
    axes, dims = list(field.axes), list(field.dims)
    if field.fine:
        return None
    source = target = 0
    for item in _full_index(index, len(before)):
        if item is None:
            target += 1
            continue
        indexed_axes = [k for k in (0, 1) if field.dims[k] == source]
        if isinstance(item, slice):
            start, _, step = item.indices(before[source])
            for k in indexed_axes:
                dims[k] = target
                if not field.flattened:
                    axes[k] = axes[k].window(after[target], 1, step, -start)
                elif (start, step) != (0, 1):
                    return None
            target += 1
        elif not isinstance(item, int) or indexed_axes:
            return None
        source += 1
    return TensorReceptiveField((axes[0], axes[1]), (dims[0], dims[1]))


def _full_index(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """The index with an item for every dimension: slices in place of an ellipsis, or at the end."""
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    at = index.index(Ellipsis)
    missing = ndim - sum(item is not None for item in index) + 1
    return (*index[:at], *(slice(None),) * missing, *index[at + 1 :])
