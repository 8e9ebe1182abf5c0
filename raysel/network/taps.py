"""Where a network is read: its convolutions, each behind its own batch norm and activation, or modules by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import fx

from raysel.errors import RayselError
from raysel.network.graph.operations import CONVOLUTIONS, Operation, describe
from raysel.network.graph.tracing import Traced

ACTIVATIONS = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish"),
        *("hardsigmoid", "hardtanh", "hardshrink", "softshrink", "sigmoid", "logsigmoid", "log_sigmoid", "tanh"),
        *("tanhshrink", "softplus", "softsign", "threshold", "clamp", "clip", "clamp_min", "clamp_max"),
    )
)
_PASSES = frozenset(("identity", "dropout", "contiguous"))  # in eval mode they change nothing
_GATE_PARTS = ACTIVATIONS | {"add", "mul", "div"}
_MANY_NAMES = 8


@dataclass(frozen=True)
class TapPoint:
    """One place to read: the node whose tensor is read, and what to call it."""

    layer: str
    node: fx.Node
    reading: str
    depth: int


def find_tap_points(
    traced: Traced, layers: tuple[str, ...], tap: Literal["activation", "convolution"]
) -> tuple[TapPoint, ...]:
    """The places that the globs `layers` choose, in the order of the graph.

    A glob chooses convolutions; one that matches none chooses modules of any other kind.

    Raises:
        RayselError: a glob matches no module of the graph, or a module's output is no map and no vector.
    """
    operations = {node: describe(node, traced) for node in traced.module.graph.nodes}
    convolutions = _named_convolutions(traced, operations)
    chosen: dict[str, TapPoint] = {}
    for glob in layers:
        names = [name for name in convolutions if fnmatchcase(name, glob)]
        places = [_of_convolution(name, *convolutions[name], operations, tap) for name in names]
        if not places and glob != "*":  # which means every convolution, and nothing else where there is none
            places = _of_modules(traced, glob, operations, [node for node, _ in convolutions.values()])
        if not places:
            raise RayselError(no_match(glob, convolutions))
        chosen |= {place.layer: place for place in places}
    order = {node: k for k, node in enumerate(traced.module.graph.nodes)}
    return tuple(sorted(chosen.values(), key=lambda place: (order[place.node], place.depth)))


def _named_convolutions(traced: Traced, operations: dict[fx.Node, Operation]) -> dict[str, tuple[fx.Node, int]]:
    """Node and depth of every convolution by its module's name; ``name#2`` is the second convolution of one module."""
    named: dict[str, tuple[fx.Node, int]] = {}
    seen: Counter[str] = Counter()
    for node, operation in operations.items():
        if operation.name not in CONVOLUTIONS:
            continue
        module = _innermost(traced, node)
        seen[module] += 1
        name = module if seen[module] == 1 else f"{module}#{seen[module]}"
        named[name] = (node, len(named))
    return named


def _innermost(traced: Traced, node: fx.Node) -> str:
    calls = traced.calls.get(node, ())
    return calls[-1].partition("#")[0] if calls else str(node.name)


def _of_convolution(name: str, node: fx.Node, depth: int, operations: dict[fx.Node, Operation], tap: str) -> TapPoint:
    if tap == "convolution":
        return TapPoint(name, node, "convolution", depth)
    parts: list[str] = []
    norm = _only_user(node, operations)
    if norm is not None and operations[norm].name == "batch_norm":
        node, parts = norm, ["batch norm"]
    activation = _activation_behind(node, operations)
    if activation is not None:
        node, kind = activation
        parts.append(kind)
    return TapPoint(name, node, " + ".join(parts) or "convolution", depth)


def _only_user(node: fx.Node, operations: dict[fx.Node, Operation]) -> fx.Node | None:
    """The one node that uses this one's tensor, seen through what changes nothing; None if there are several."""
    users = list(node.users)
    while len(users) == 1 and operations[users[0]].name in _PASSES:
        users = list(users[0].users)
    return users[0] if len(users) == 1 else None


def _activation_behind(node: fx.Node, operations: dict[fx.Node, Operation]) -> tuple[fx.Node, str] | None:
    user = _only_user(node, operations)
    if user is not None:
        name = operations[user].name
        return (user, name.replace("_", " ")) if name in ACTIVATIONS else None
    return _gate(node, operations)


def _gate(node: fx.Node, operations: dict[fx.Node, Operation]) -> tuple[fx.Node, str] | None:
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


def _of_modules(
    traced: Traced, glob: str, operations: dict[fx.Node, Operation], convolutions: list[fx.Node]
) -> list[TapPoint]:
    """Outputs of the modules, of any kind, whose names match `glob`."""
    inside: dict[str, list[fx.Node]] = {}
    for node in traced.module.graph.nodes:
        for name in traced.calls.get(node, ()):
            if fnmatchcase(name, glob):
                inside.setdefault(name, []).append(node)
    order = {node: k for k, node in enumerate(traced.module.graph.nodes)}
    places = []
    for name, nodes in inside.items():
        output = _output_of(nodes)
        shape = traced.tensor_shape(output) if output is not None else None
        if output is None or shape is None or len(shape) not in (2, 4):
            if name != glob:
                continue
            raise RayselError(f"layer {name!r} has no single output of 2 or 4 dimensions; name another with --layers")
        depth = sum(order[node] < order[output] for node in convolutions)
        places.append(TapPoint(name, output, _kind_of(traced, name), depth))
    return places


def _output_of(nodes: list[fx.Node]) -> fx.Node | None:
    """The one node of a module's call whose value is used outside of it."""
    own = set(nodes)
    outputs = [node for node in nodes if any(user not in own for user in node.users)]
    return outputs[-1] if len(outputs) == 1 else None


def _kind_of(traced: Traced, name: str) -> str:
    return f"output of {traced.kinds.get(name.partition('#')[0], 'module')}"


def no_match(glob: str, convolutions: Iterable[str]) -> str:
    """The line for a glob that matches nothing."""
    names = list(convolutions)
    some = ", ".join(names[:_MANY_NAMES]) + (f", ... ({len(names)} convolutions)" if len(names) > _MANY_NAMES else "")
    return f"no layer matches {glob!r}; this network has {some or 'no convolution'}"
