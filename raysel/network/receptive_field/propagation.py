"""Receptive fields of all tensors of a graph, propagated from the images through each operation.

An operation without a rule is taken to see the whole image, and its field is marked as a bound.
"""

from __future__ import annotations

from math import floor
from typing import Any

from torch import fx

from raysel.network.graph.operations import Operation, describe
from raysel.network.graph.tracing import TensorShape, Traced, holds_tensors
from raysel.network.receptive_field.axis_extent import AxisExtent
from raysel.network.receptive_field.rules import POINTWISE, RULES
from raysel.network.receptive_field.shape_rules import join, overwritten
from raysel.network.receptive_field.tensor_receptive_field import Result, Shape, TensorReceptiveField, broadcast
from raysel.neurons import ReceptiveField


class TensorReceptiveFields:
    """What every tensor of a traced network sees of the input."""

    def __init__(self, traced: Traced, input_size: tuple[int, int]) -> None:
        self._traced = traced
        self._input_size = input_size
        self._images = TensorReceptiveField((AxisExtent(input_size[0]), AxisExtent(input_size[1])), (2, 3))
        self._fields: dict[fx.Node, TensorReceptiveField | None] = {}
        for node in traced.module.graph.nodes:
            self._fields[node] = self._propagate(node)

    def receptive_field(self, node: fx.Node) -> ReceptiveField:
        """The square that a position of the node's map sees; the whole image if no rule leads from the images to it."""
        shape = self._traced.tensor_shape(node) or ()
        return _square(self._fields.get(node) or self._bound(shape), shape, self._input_size)

    def dims(self, node: fx.Node) -> tuple[int | None, int | None] | None:
        """The dimensions of the node's tensor that hold rows and columns; None if they are not known."""
        field = self._fields.get(node)
        followed = field is not None and all(axis.exact or not axis.whole for axis in field.axes)
        return field.dims if field is not None and followed else None

    def _bound(self, shape: Shape) -> TensorReceptiveField:
        return self._images.everything(shape, False)

    def _propagate(self, node: fx.Node) -> TensorReceptiveField | None:
        """The field of the node's tensor; None if it has none or does not depend on the images."""
        if node.op == "placeholder":
            return self._images
        if node.op in ("get_attr", "output") or not holds_tensors(self._traced.shapes.get(node)):
            return None
        operation = describe(node, self._traced)
        sources = node.all_input_nodes[operation.name == "copy" :]  # y.copy_(x) sees x only
        if operation.name == "getitem" and self._traced.tensor_shape(sources[0]) is None:
            return self._fields.get(sources[0])  # one of several tensors that a split returned
        operands = [
            (field, shape)
            for source in sources
            if (field := self._fields.get(source)) is not None
            and (shape := _first_shape(self._traced.shapes.get(source))) is not None
        ]
        shape = _first_shape(self._traced.shapes[node])
        if not operands or shape is None:
            return None
        return _apply(operation, operands, shape) or self._bound(shape)


def _apply(operation: Operation, operands: list[tuple[TensorReceptiveField, Shape]], shape: Shape) -> Result:
    if operation.name in POINTWISE:
        return broadcast(operands, shape)
    if operation.name in ("cat", "stack"):
        return join(operation, operands, shape)
    if operation.name == "overwritten":
        return overwritten(operands, shape)
    rule = RULES.get(operation.name)
    if rule is None or len(operands) != 1:
        return None
    return rule(operation, *operands[0], shape)


def _square(field: TensorReceptiveField, shape: Shape, input_size: tuple[int, int]) -> ReceptiveField:
    """The square around the intervals of both axes, as a `ReceptiveField`.

    If rows and columns differ around a common center, this is the larger of the two. Different strides do not fit a
    square grid; the result is then the whole image, as a bound.
    """
    exact = all(axis.exact for axis in field.axes)
    rows, columns = field.axes
    is_map = field.dims != (None, None) and not field.flattened and len(shape) == 4
    if rows.whole or columns.whole:
        return ReceptiveField(max(input_size), 0.0, 0.0, input_size, exact)
    strides_differ = rows.length > 1 and columns.length > 1 and rows.stride != columns.stride
    if strides_differ if is_map else max(rows.length, columns.length) > 1:
        return ReceptiveField(max(input_size), 0.0, 0.0, input_size, exact=False)
    longest = rows if rows.length >= columns.length else columns
    first, last = min(rows.first, columns.first), max(rows.last, columns.last)
    size = max(
        floor(last + longest.stride * r) - floor(first + longest.stride * r) + 1
        for r in range(min(longest.length, longest.stride.denominator))
    )
    return ReceptiveField(size, float(longest.stride), float(first), input_size, exact)


def _first_shape(known: Any) -> Shape | None:
    """Shape of a tensor, or of the first of several tensors."""
    if isinstance(known, TensorShape):
        return known
    if isinstance(known, tuple):
        return next((shape for item in known if (shape := _first_shape(item)) is not None), None)
    return None
