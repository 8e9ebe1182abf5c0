"""The rule of each operation: from what its operand sees to what its result sees.

A rule gets the operation, its operand's field and shape, and the result's shape; it returns None if it does not know.
"""

from __future__ import annotations

from collections.abc import Callable

from raysel.network.graph.operations import ACTIVATIONS, REDUCTIONS, Operation
from raysel.network.receptive_field import reduction_rules, shape_rules, spatial_rules
from raysel.network.receptive_field.tensor_receptive_field import Shape, TensorReceptiveField

Rule = Callable[[Operation, TensorReceptiveField, Shape, Shape], TensorReceptiveField | None]

POINTWISE = ACTIVATIONS | frozenset(
    (
        *("batch_norm", "local_response_norm", "identity", "dropout", "add", "sub", "rsub", "mul", "div", "neg", "abs"),
        *("pow", "square", "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "sin", "cos", "erf", "maximum", "minimum"),
        *("where", "lerp", "addcmul", "addcdiv", "contiguous", "clone", "to", "float", "half", "double", "type"),
        *("type_as", "detach", "alias", "cpu", "cuda", "positive", "reciprocal", "floor", "ceil", "round", "sign"),
        *("masked_fill", "nan_to_num", "isnan", "bool", "remainder", "fmod", "fmax", "fmin", "atan2", "logical_not"),
        *("gt", "ge", "lt", "le", "eq", "ne", "greater", "greater_equal", "less", "less_equal", "not_equal"),
        *("logical_and", "logical_or", "logical_xor", "and", "or", "xor", "invert", "bitwise_and", "bitwise_or"),
        "copy",
    )
)
"""Operations on each position separately; several operands are broadcast."""

OVERWRITES = frozenset(
    (
        *("copy", "fill", "zero", "zeros_like", "ones_like", "full_like", "empty_like"),
        *("new_zeros", "new_ones", "new_full", "new_empty"),
    )
)
"""Operations whose result does not see their first operand."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(("conv2d", "max_pool2d", "avg_pool2d", "lp_pool2d"), spatial_rules.window),
    "conv_transpose2d": spatial_rules.transposed_window,
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), spatial_rules.adaptive_pool),
    "pad": spatial_rules.pad,
    "interpolate": spatial_rules.interpolate,
    "pixel_shuffle": spatial_rules.pixel_shuffle,
    "pixel_unshuffle": spatial_rules.pixel_unshuffle,
    **dict.fromkeys((*REDUCTIONS, "norm", "linalg_vector_norm"), reduction_rules.reduction),
    "linear": reduction_rules.linear,
    "layer_norm": reduction_rules.layer_norm,
    **dict.fromkeys(("group_norm", "instance_norm"), reduction_rules.norm_over_space),
    **dict.fromkeys(("softmax", "log_softmax", "normalize"), reduction_rules.over_one_dimension),
    **dict.fromkeys(("reshape", "squeeze", "view_as", "reshape_as"), shape_rules.reshape),
    "permute": shape_rules.permute,
    "transpose": shape_rules.transpose,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), shape_rules.expand),
    "unsqueeze": shape_rules.unsqueeze,
    **dict.fromkeys(("chunk", "split"), shape_rules.split),
    "unbind": shape_rules.unbind,
    "getitem": shape_rules.getitem,
    "slice": shape_rules.slice_,
    "narrow": shape_rules.narrow,
    "select": shape_rules.select,
    "channel_shuffle": lambda operation, field, before, after: field,
}
