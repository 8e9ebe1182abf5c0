"""Rules of operations over all indices of some dimensions: sums, means, norms, fully connected layers."""

from __future__ import annotations

from raysel.network.graph.operations import Operation, reduced_dims
from raysel.network.receptive_field.tensor_receptive_field import Result, Shape, TensorReceptiveField


def reduction(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A sum, mean or maximum over dimensions."""
    return field.reduced(reduced_dims(operation, len(before)), keepdim=len(before) == len(after))


def linear(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """A fully connected layer over the last dimension."""
    return field.reduced({len(before) - 1}, keepdim=True)


def layer_norm(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Layer norm over the last dimensions."""
    normalized = operation.arguments["normalized_shape"]
    count = len(normalized) if isinstance(normalized, (tuple, list)) else 1
    return _normalized(field, set(range(len(before) - count, len(before))))


def over_one_dimension(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Softmax, or division by the norm over some dimensions, by default channels."""
    return _normalized(field, reduced_dims(operation, len(before), default=1))


def norm_over_space(operation: Operation, field: TensorReceptiveField, before: Shape, after: Shape) -> Result:
    """Group norm and instance norm; a group may hold several indices of dimension 1, which may be rows."""
    alone = operation.name == "instance_norm" or operation.setting("num_groups", 1) == before[1]
    return _normalized(field, set(range(2 if alone else 1, len(before))))


def _normalized(field: TensorReceptiveField, dims: set[int]) -> TensorReceptiveField:
    """Every value sees all indices of `dims`, whose statistics it is normalized with; the shape stays."""
    rows, columns = (
        axis.joined(axis.length) if dim in dims and axis.length > 1 else axis
        for axis, dim in zip(field.axes, field.dims, strict=True)
    )
    return field.with_axes(rows, columns)
