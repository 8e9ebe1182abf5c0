"""What local receptive fields leave out: numbers per channel that are computed from the whole map.

Squeeze-and-excitation multiplies a map by such numbers, and norms over the map subtract and divide by them. Through
them every position sees the whole image, though hardly anything of it.
"""

from __future__ import annotations

from raysel.network.graph.operations import Operation
from raysel.network.receptive_field.tensor_receptive_field import Shape, TensorReceptiveField

Operands = list[tuple[TensorReceptiveField, Shape]]

LOCAL = "local: without channel gates and norms over the map"

_SCALES = frozenset(("mul", "sub", "div"))
_NORMS = frozenset(("group_norm", "instance_norm", "layer_norm"))


def is_norm(operation: Operation) -> bool:
    """True if the operation normalizes its operand, which is all that a local field follows."""
    return operation.name in _NORMS


def without_gates(operation: Operation, operands: Operands) -> Operands:
    """The operands without those that are the same for all positions of a map that they scale or shift."""
    if operation.name not in _SCALES:
        return operands
    return [operand for operand in operands if any(axis.stride != 0 for axis in operand[0].axes)] or operands
