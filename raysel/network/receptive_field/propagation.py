"""Receptive fields on any graph: how each operation changes what a tensor sees of the input.

An operation without a rule is taken to see the whole image, and marked as a bound.
"""

from __future__ import annotations

from math import floor
from typing import Any

from torch import fx

from raysel.network.graph.operations import Operation, describe
from raysel.network.graph.tracing import TensorShape, Traced, holds_tensors
from raysel.network.receptive_field.axis_extent import AxisExtent
from raysel.network.receptive_field.rules import POINTWISE, RULES, joined
from raysel.network.receptive_field.tensor_field import Shape, TensorReceptiveField, broadcast
from raysel.neurons import ReceptiveField


class TensorReceptiveFields:
    """What every tensor of a traced network sees of the input."""

    def __init__(self, traced: Traced, input_size: tuple[int, int]) -> None:
        self._traced = traced
        self._input_size = input_size
        self._fields: dict[fx.Node, TensorReceptiveField | None] = {}
        for node in traced.module.graph.nodes:
            self._fields[node] = self._field_of(node)

    def of(self, node: fx.Node) -> TensorReceptiveField:
        """What `node`'s tensor sees; the whole image, as a bound, if the images do not reach it in any known way."""
        field = self._fields.get(node)
        return field if field is not None else self._unknown(self._traced.tensor_shape(node) or ())

    def receptive_field(self, node: fx.Node) -> ReceptiveField:
        """The square that a position of `node`'s map sees."""
        return square(self.of(node), self._traced.tensor_shape(node) or (), self._input_size)

    def _unknown(self, shape: Shape) -> TensorReceptiveField:
        return TensorReceptiveField(
            (AxisExtent(self._input_size[0]), AxisExtent(self._input_size[1])), (2, 3)
        ).everything(shape, False)

    def _field_of(self, node: fx.Node) -> TensorReceptiveField | None:
        if node.op == "placeholder":
            return TensorReceptiveField((AxisExtent(self._input_size[0]), AxisExtent(self._input_size[1])), (2, 3))
        if node.op in ("get_attr", "output") or not holds_tensors(self._traced.shapes.get(node)):
            return None
        operation = describe(node, self._traced)
        sources = node.all_input_nodes
        if operation.name == "getitem" and self._traced.tensor_shape(sources[0]) is None:
            return self._fields.get(sources[0])  # one of several tensors, as a split gives them
        operands = [
            (field, shape)
            for source in sources
            if (field := self._fields.get(source)) is not None
            and (shape := _first_shape(self._traced.shapes.get(source))) is not None
        ]
        if not operands:
            return None  # made of weights and numbers alone
        shape = _first_shape(self._traced.shapes[node])
        if shape is None:
            return None
        return self._apply(operation, operands, shape) or self._unknown(shape)

    def _apply(
        self, operation: Operation, operands: list[tuple[TensorReceptiveField, Shape]], shape: Shape
    ) -> TensorReceptiveField | None:
        if operation.name in POINTWISE:
            return broadcast(operands, shape)
        if operation.name in ("cat", "stack"):
            return joined(operation, operands, shape)
        rule = RULES.get(operation.name)
        if rule is None or len(operands) != 1:
            return None
        field, before = operands[0]
        return rule(operation, field, before, shape)


def square(field: TensorReceptiveField, shape: Shape, input_size: tuple[int, int]) -> ReceptiveField:
    """The square around both axes' intervals, in the convention of `ReceptiveField`.

    Where rows and columns differ about a common centre, this is the larger of the two. Different strides do not fit a
    square grid: then it is the whole image, as a bound.
    """
    exact = all(axis.exact for axis in field.axes)
    rows, columns = field.axes
    mapped = field.dims != (None, None) and not field.flattened and len(shape) == 4
    whole = ReceptiveField(size=max(input_size), stride=0.0, offset=0.0, input_size=input_size, exact=exact)
    if rows.whole or columns.whole:
        return whole
    if len(shape) == 4 and mapped and rows.length > 1 and columns.length > 1 and rows.stride != columns.stride:
        return ReceptiveField(whole.size, 0.0, 0.0, input_size, exact=False)
    if not mapped and max(rows.length, columns.length) > 1:
        return ReceptiveField(whole.size, 0.0, 0.0, input_size, exact=False)
    longest = rows if rows.length >= columns.length else columns
    first, last = min(rows.first, columns.first), max(rows.last, columns.last)
    size = max(
        floor(last + longest.stride * r) - floor(first + longest.stride * r) + 1
        for r in range(min(longest.length, longest.stride.denominator))
    )
    return ReceptiveField(size, float(longest.stride), float(first), input_size, exact)


def _first_shape(known: Any) -> Shape | None:
    """Shape of a tensor; of several tensors, as a split gives, that of the first."""
    if isinstance(known, TensorShape):
        return known
    if isinstance(known, tuple):
        return next((shape for item in known if (shape := _first_shape(item)) is not None), None)
    return None
