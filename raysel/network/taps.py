"""Where a network is read: its convolutions, each after its own batch norm and activation, or modules by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import fx

from raysel.errors import RayselError
from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import CONVOLUTIONS
from raysel.network.graph.tracing import Traced
from raysel.network.readings import after_convolution

ChannelsDim = Callable[[fx.Node], int | None]

_SHOWN_NAMES = 8


@dataclass(frozen=True)
class TapPoint:
    """A node whose tensor is read; `layer`, `reading` and `depth` are those of the `Tap`."""

    layer: str
    node: fx.Node
    reading: str
    depth: int
    channels_dim: int = 1


def find_tap_points(
    traced: Traced,
    layers: tuple[str, ...],
    tap: Literal["activation", "convolution"],
    channels_dim: ChannelsDim = lambda _node: 1,
) -> tuple[TapPoint, ...]:
    """The points that the globs `layers` choose, in the order of the graph.

    A glob chooses convolutions; one that matches no convolution chooses modules of any other kind.

    Args:
        traced: the network.
        layers: globs over names of modules.
        tap: where convolutions are read.
        channels_dim: the dimension of the channels in a node's tensor; None if it is neither a map nor a vector.

    Raises:
        RayselError: a glob matches no module of the graph, or the output of a named module is neither a map nor a
            vector.
    """
    graph = OperationGraph(traced)
    convolutions = _named_convolutions(traced, graph)
    chosen: dict[str, TapPoint] = {}
    for glob in layers:
        names = [name for name in convolutions if fnmatchcase(name, glob)]
        points = [_tap_convolution(name, *convolutions[name], graph, tap, channels_dim) for name in names]
        if not points and glob != "*":  # "*" means every convolution and nothing else
            points = _tap_modules(traced, graph, glob, [node for node, _ in convolutions.values()], channels_dim)
        if not points:
            raise RayselError(no_match(glob, convolutions))
        chosen |= {point.layer: point for point in points}
    return tuple(sorted(chosen.values(), key=lambda point: (graph.order[point.node], point.depth)))


def _named_convolutions(traced: Traced, graph: OperationGraph) -> dict[str, tuple[fx.Node, int]]:
    """Node and depth of every convolution by its module's name; ``name#2`` is a module's second convolution."""
    named: dict[str, tuple[fx.Node, int]] = {}
    seen: Counter[str] = Counter()
    for node, operation in graph.operations.items():
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


def _tap_convolution(
    name: str, node: fx.Node, depth: int, graph: OperationGraph, tap: str, channels_dim: ChannelsDim
) -> TapPoint:
    end, parts = after_convolution(node, graph)
    channels = channels_dim(end)
    if tap == "convolution" or not parts or channels is None:
        return TapPoint(name, node, "convolution", depth)
    return TapPoint(name, end, " + ".join(parts), depth, channels)


def _tap_modules(
    traced: Traced,
    graph: OperationGraph,
    glob: str,
    convolutions: list[fx.Node],
    channels_dim: ChannelsDim,
) -> list[TapPoint]:
    """The outputs of modules of any kind whose names match `glob`."""
    inside: dict[str, list[fx.Node]] = {}
    for node in traced.module.graph.nodes:
        for name in traced.calls.get(node, ()):
            if fnmatchcase(name, glob):
                inside.setdefault(name, []).append(node)
    points = []
    for name, nodes in inside.items():
        output = _output_node(nodes, graph)
        channels = channels_dim(output) if output is not None else None
        if output is None or channels is None:
            if name != glob:
                continue
            raise RayselError(
                f"layer {name!r} has no single output that is a map or a vector per image; name another with --layers"
            )
        depth = sum(graph.order[node] < graph.order[output] for node in convolutions)
        kind = traced.kinds.get(name.partition("#")[0], "module")
        points.append(TapPoint(name, output, f"output of {kind}", depth, channels))
    return points


def _output_node(nodes: list[fx.Node], graph: OperationGraph) -> fx.Node | None:
    """The node of a module's call whose tensor is used outside of it; None if there is not exactly one."""
    own = set(nodes)
    outputs = [node for node in nodes if graph.has_tensor(node) and any(user not in own for user in node.users)]
    return outputs[-1] if len(outputs) == 1 else None


def no_match(glob: str, convolutions: Iterable[str]) -> str:
    """The error message for a glob that matches nothing."""
    names = list(convolutions)
    more = f", ... ({len(names)} convolutions)" if len(names) > _SHOWN_NAMES else ""
    return f"no layer matches {glob!r}; this network has {', '.join(names[:_SHOWN_NAMES]) + more or 'no convolution'}"
