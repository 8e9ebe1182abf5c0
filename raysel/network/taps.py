"""Where a network is read: its convolutions, each after its own batch norm and activation, or modules by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import fx

from raysel.errors import RayselError
from raysel.network.graph.operations import ACTIVATIONS, CONVOLUTIONS, Operation, describe
from raysel.network.graph.tracing import Traced

Operations = dict[fx.Node, Operation]

_NO_EFFECT = frozenset(("identity", "dropout", "contiguous"))  # in eval mode
_GATE_PARTS = ACTIVATIONS | {"add", "mul", "div"}
_SHOWN_NAMES = 8


@dataclass(frozen=True)
class TapPoint:
    """A node whose tensor is read; `layer`, `reading` and `depth` are those of the `Tap`."""

    layer: str
    node: fx.Node
    reading: str
    depth: int


def find_tap_points(
    traced: Traced, layers: tuple[str, ...], tap: Literal["activation", "convolution"]
) -> tuple[TapPoint, ...]:
    """The points that the globs `layers` choose, in the order of the graph.

    A glob chooses convolutions; one that matches no convolution chooses modules of any other kind.

    Raises:
        RayselError: a glob matches no module of the graph, or the output of a named module is neither a map nor a
            vector.
    """
    operations = {node: describe(node, traced) for node in traced.module.graph.nodes}
    convolutions = _named_convolutions(traced, operations)
    chosen: dict[str, TapPoint] = {}
    for glob in layers:
        names = [name for name in convolutions if fnmatchcase(name, glob)]
        points = [_tap_convolution(name, *convolutions[name], operations, tap) for name in names]
        if not points and glob != "*":  # "*" means every convolution and nothing else
            points = _tap_modules(traced, glob, [node for node, _ in convolutions.values()])
        if not points:
            raise RayselError(no_match(glob, convolutions))
        chosen |= {point.layer: point for point in points}
    order = {node: k for k, node in enumerate(traced.module.graph.nodes)}
    return tuple(sorted(chosen.values(), key=lambda point: (order[point.node], point.depth)))


def _named_convolutions(traced: Traced, operations: Operations) -> dict[str, tuple[fx.Node, int]]:
    """Node and depth of every convolution by its module's name; ``name#2`` is a module's second convolution."""
    named: dict[str, tuple[fx.Node, int]] = {}
    seen: Counter[str] = Counter()
    for node, operation in operations.items():
        if operation.name not in CONVOLUTIONS:
            continue
        module = _innermost_module(traced, node)
        seen[module] += 1
        name = module if seen[module] == 1 else f"{module}#{seen[module]}"
        named[name] = (node, len(named))
    return named


def _innermost_module(traced: Traced, node: fx.Node) -> str:
    calls = traced.calls.get(node, ())
    return calls[-1].partition("#")[0] if calls else str(node.name)


def _tap_convolution(name: str, node: fx.Node, depth: int, operations: Operations, tap: str) -> TapPoint:
    if tap == "convolution":
        return TapPoint(name, node, "convolution", depth)
    parts: list[str] = []
    norm = _only_user(node, operations)
    if norm is not None and operations[norm].name == "batch_norm":
        node, parts = norm, ["batch norm"]
    activation = _activation_after(node, operations)
    if activation is not None:
        node, activation_name = activation
        parts.append(activation_name)
    return TapPoint(name, node, " + ".join(parts) or "convolution", depth)


def _only_user(node: fx.Node, operations: Operations) -> fx.Node | None:
    """The only node that uses this tensor, skipping operations without effect; None if there are several."""
    users = list(node.users)
    while len(users) == 1 and operations[users[0]].name in _NO_EFFECT:
        users = list(users[0].users)
    return users[0] if len(users) == 1 else None


def _activation_after(node: fx.Node, operations: Operations) -> tuple[fx.Node, str] | None:
    user = _only_user(node, operations)
    if user is not None:
        name = operations[user].name
        return (user, name.replace("_", " ")) if name in ACTIVATIONS else None
    return _gate(node, operations)


def _gate(node: fx.Node, operations: Operations) -> tuple[fx.Node, str] | None:
    """An activation written out as ``x * g(x)``: swish, hard swish, mish."""
    products = [user for user in node.users if operations[user].name == "mul"]
    starts = [user for user in node.users if user not in products]
    if len(products) != 1 or len(starts) != 1 or len(products[0].all_input_nodes) != 2:
        return None
    end, names = starts[0], []
    while end is not products[0]:
        names.append(operations[end].name)
        users = list(end.users)
        if names[-1] not in _GATE_PARTS or len(end.all_input_nodes) != 1 or len(users) != 1:
            return None
        end = users[0]
    scaled = _only_user(end, operations)  # x * relu6(x + 3) / 6
    if scaled is not None and operations[scaled].name in ("mul", "div") and len(scaled.all_input_nodes) == 1:
        end = scaled
    gates = {("sigmoid",): "silu", ("softplus", "tanh"): "mish", ("hardsigmoid",): "hardswish"}
    if "relu6" in names or "hardtanh" in names or "clamp" in names:
        return end, "hardswish"
    return (end, gates.get(tuple(names), "gate")) if set(names) & ACTIVATIONS else None


def _tap_modules(traced: Traced, glob: str, convolutions: list[fx.Node]) -> list[TapPoint]:
    """The outputs of modules of any kind whose names match `glob`."""
    inside: dict[str, list[fx.Node]] = {}
    for node in traced.module.graph.nodes:
        for name in traced.calls.get(node, ()):
            if fnmatchcase(name, glob):
                inside.setdefault(name, []).append(node)
    order = {node: k for k, node in enumerate(traced.module.graph.nodes)}
    points = []
    for name, nodes in inside.items():
        output = _output_node(nodes)
        shape = traced.tensor_shape(output) if output is not None else None
        if output is None or shape is None or len(shape) not in (2, 4):
            if name != glob:
                continue
            raise RayselError(f"layer {name!r} has no single output of 2 or 4 dimensions; name another with --layers")
        depth = sum(order[node] < order[output] for node in convolutions)
        kind = traced.kinds.get(name.partition("#")[0], "module")
        points.append(TapPoint(name, output, f"output of {kind}", depth))
    return points


def _output_node(nodes: list[fx.Node]) -> fx.Node | None:
    """The node of a module's call whose value is used outside of it; None if there is not exactly one."""
    own = set(nodes)
    outputs = [node for node in nodes if any(user not in own for user in node.users)]
    return outputs[-1] if len(outputs) == 1 else None


def no_match(glob: str, convolutions: Iterable[str]) -> str:
    """The error message for a glob that matches nothing."""
    names = list(convolutions)
    more = f", ... ({len(names)} convolutions)" if len(names) > _SHOWN_NAMES else ""
    return f"no layer matches {glob!r}; this network has {', '.join(names[:_SHOWN_NAMES]) + more or 'no convolution'}"
