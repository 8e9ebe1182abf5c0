"""Receptive fields of all tensors of a graph, propagated from the images through each operation.

An operation without a rule is taken to see the whole image, and its field is marked as a bound.
"""

from __future__ import annotations

from typing import Any

from torch import fx

from raysel.network.channel_layout import channels_dim
from raysel.network.graph.operations import Operation, describe
from raysel.network.graph.tracing import PROBE_BATCH, TensorShape, Traced, holds_tensors
from raysel.network.receptive_field.axis_extent import AxisExtent
from raysel.network.receptive_field.gates import LOCAL, Operands, is_norm, without_gates
from raysel.network.receptive_field.rules import OVERWRITES, POINTWISE, RULES
from raysel.network.receptive_field.shape_rules import join, overwritten
from raysel.network.receptive_field.tensor_receptive_field import Result, Shape, TensorReceptiveField, broadcast
from raysel.neurons import ReceptiveField


class TensorReceptiveFields:
    """What every tensor of a traced network sees of the input, or what it sees without channel gates (`local`)."""

    def __init__(self, traced: Traced, input_size: tuple[int, int], local: bool = False) -> None:
        self._traced = traced
        self._input_size = input_size
        self._local = local
        self._gated: set[fx.Node] = set()
        rows, columns = map(AxisExtent.of_images, input_size)
        self._images = TensorReceptiveField((rows, columns), (2, 3))
        self._fields: dict[fx.Node, TensorReceptiveField | None] = {}
        self._bounds: dict[fx.Node, str] = {}
        for node in traced.module.graph.nodes:
            self._fields[node] = self._propagate(node)

    def receptive_field(self, node: fx.Node) -> ReceptiveField:
        """What a position of the node's map sees; the whole image if no rule leads from the images to it."""
        field, shape = self._fields.get(node), self._traced.tensor_shape(node) or ()
        if field is None or not field.is_indexed_by_position(shape):
            return ReceptiveField.whole_input(self._input_size, self._bounds.get(node, "its values are not a map"))
        rows, columns = field.axes
        reasons = [LOCAL] if node in self._gated else []
        reasons += [] if field.exact else [self._bounds[node]]
        return ReceptiveField(rows.field(), columns.field(), "; ".join(reasons) or None)

    def channels_dim(self, node: fx.Node) -> int | None:
        """The dimension of the channels in the node's tensor; None if it is neither a map nor a vector per image."""
        field, shape = self._fields.get(node), self._traced.tensor_shape(node) or ()
        followed = field is not None and all(axis.exact or not axis.whole for axis in field.axes)
        space = field.dims if field is not None and followed else None
        return channels_dim(shape, space, self._traced.batch or PROBE_BATCH, self._input_size)

    def _propagate(self, node: fx.Node) -> TensorReceptiveField | None:
        """The field of the node's tensor; None if it has none or does not depend on the images."""
        if node.op == "placeholder":
            return self._images
        if node.op in ("get_attr", "output") or not holds_tensors(self._traced.shapes.get(node)):
            return None
        operation = describe(node, self._traced)
        sources = node.all_input_nodes[operation.name in OVERWRITES :]  # y.copy_(x) sees x only
        if operation.name in ("expand_as", "view_as", "reshape_as"):
            sources = sources[:1]
        if operation.name in ("getitem", "getattr") and self._traced.tensor_shape(sources[0]) is None:
            if sources[0] in self._bounds:
                self._bounds[node] = self._bounds[sources[0]]
            if sources[0] in self._gated:
                self._gated.add(node)
            return self._fields.get(sources[0])  # one of several tensors, as of a split or a maximum
        operands = [
            (field, shape)
            for source in sources
            if (field := self._fields.get(source)) is not None
            and (shape := _first_shape(self._traced.shapes.get(source))) is not None
        ]
        shape = _first_shape(self._traced.shapes[node])
        if not operands or shape is None:
            return None
        field, gated = self._apply(operation, operands, shape)
        if gated or not self._gated.isdisjoint(sources):
            self._gated.add(node)
        reason = f"no rule for {operation.name}" if field is None else f"{operation.name} of unequal windows"
        if operation.name == "overwritten" and field and any(self._fields.get(each) is None for each in sources[1:]):
            field, reason = field.as_bound(), "constants are written into the map"
        field = field or self._images.everything(shape)
        if not field.exact:
            self._bounds[node] = next((self._bounds[each] for each in sources if each in self._bounds), reason)
        return field

    def _apply(self, operation: Operation, operands: Operands, shape: Shape) -> tuple[Result, bool]:
        """What the result of an operation sees, and whether a local field has left something out."""
        if not self._local:
            return _apply(operation, operands, shape), False
        if is_norm(operation) and len(operands) == 1:
            return operands[0][0], True
        kept = without_gates(operation, operands)
        return _apply(operation, kept, shape), len(kept) < len(operands)


def _apply(operation: Operation, operands: Operands, shape: Shape) -> Result:
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


def _first_shape(known: Any) -> Shape | None:
    """Shape of a tensor, or of the first of several tensors."""
    if isinstance(known, TensorShape):
        return known
    if isinstance(known, tuple):
        return next((shape for item in known if (shape := _first_shape(item)) is not None), None)
    return None
