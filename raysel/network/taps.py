"""Where a network is read: convolutions after their own norm and activation, modules by name, or blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from torch import fx

from raysel.errors import RayselError
from raysel.network.block_outputs import find_blocks
from raysel.network.graph.channel_gates import gate_nodes, works_on_one_position
from raysel.network.graph.module_calls import ModuleCalls
from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import CONVOLUTIONS
from raysel.network.graph.tracing import Traced
from raysel.network.readings import after_convolution

ChannelsDim = Callable[[fx.Node], int | None]

_SHOWN_NAMES = 8
_SHOWN_GLOBS = 4
BLOCKS = "blocks"
"""Chooses the outputs of all blocks, in the place of a glob."""


@dataclass(frozen=True)
class TapPoint:
    """A node whose tensor is read; `layer`, `reading` and `depth` are those of the `Tap`."""

    layer: str
    node: fx.Node
    reading: str
    depth: int
    channels_dim: int = 1


class TapPoints(NamedTuple):
    """The points that were chosen, in the order of the graph, and the convolutions of gates that were left out."""

    points: tuple[TapPoint, ...]
    note: str | None = None


def find_tap_points(
    traced: Traced,
    layers: tuple[str, ...],
    tap: Literal["activation", "convolution"],
    channels_dim: ChannelsDim,
) -> TapPoints:
    """The points that the globs `layers` choose, and a note about convolutions that match but are left out.

    A glob chooses convolutions, but those of channel gates, which compute a factor per channel, only if it matches no
    others. One that matches no convolution chooses modules of any other kind. `BLOCKS` chooses the outputs of all
    blocks.

    Args:
        traced: the network.
        layers: globs over names of modules, or `BLOCKS`.
        tap: where convolutions are read.
        channels_dim: the dimension of the channels in a node's tensor; None if it is neither a map nor a vector.

    Raises:
        RayselError: a glob matches no module of the graph, the output of a named module is neither a map nor a vector,
            or there is no block.
    """
    finder = _TapFinder(traced, tap, channels_dim)
    chosen: dict[str, TapPoint] = {}
    for glob in layers:
        points = finder.blocks() if glob == BLOCKS else finder.matching(glob)
        chosen |= {point.layer: point for point in points}
    points = sorted(chosen.values(), key=lambda point: (finder.graph.order[point.node], point.depth))
    left_out = [name for name in finder.left_out if name not in chosen]
    return TapPoints(tuple(points), finder.note(left_out) if left_out else None)


class _TapFinder:
    """Finds the tap points of one network.

    Attributes:
        graph: its operations.
        left_out: convolutions of channel gates that a glob matches but does not choose.
    """

    def __init__(self, traced: Traced, tap: Literal["activation", "convolution"], channels_dim: ChannelsDim) -> None:
        self.graph = OperationGraph(traced)
        self._calls = ModuleCalls(traced, self.graph)
        self._convolutions = self._named_convolutions()
        gates = gate_nodes(self.graph)
        self._gates = {
            name
            for name, node in self._convolutions.items()
            if node in gates and works_on_one_position(node, self.graph)
        }
        self.left_out: list[str] = []
        self._tap = tap
        self._channels_dim = channels_dim

    def matching(self, glob: str) -> list[TapPoint]:
        """The convolutions that match `glob`; if none does, the other modules that match it."""
        names = [name for name in self._convolutions if fnmatchcase(name, glob)]
        ordinary = [name for name in names if name not in self._gates]
        if ordinary:
            self.left_out += [name for name in names if name in self._gates]
        points = [self._convolution(name) for name in ordinary or names]
        if not points and glob != "*":  # "*" means every convolution and nothing else
            points = self._modules(glob)
        if not points:
            raise RayselError(no_match(glob, self._convolutions))
        return points

    def blocks(self) -> list[TapPoint]:
        """The outputs of all blocks."""
        blocks = find_blocks(self.graph, self._calls, self._channels_dim, self._convolutions)
        if not blocks:
            raise RayselError(
                "this network has no blocks: no module returns a sum or a concatenation of maps; name layers by globs"
            )
        return [self._point(block.layer, block.node, block.reading) for block in blocks]

    def note(self, left_out: list[str]) -> str:
        """What the user should know about the convolutions in `left_out`."""
        globs = list(dict.fromkeys(map(self._glob, left_out)))
        shown = " ".join(f"--layers '{glob}'" for glob in globs[:_SHOWN_GLOBS])
        more = " ..." if len(globs) > _SHOWN_GLOBS else ""
        return f"convolutions of channel gates are left out ({len(left_out)}); {shown}{more} reads them"

    def _glob(self, gate: str) -> str:
        """The shortest glob with the end of the name of `gate` that matches convolutions of gates only."""
        parts = gate.split(".")
        ordinary = self._convolutions.keys() - self._gates
        globs = ("*." + ".".join(parts[k:]) for k in range(len(parts) - 1, 0, -1))
        return next((glob for glob in globs if not any(fnmatchcase(name, glob) for name in ordinary)), gate)

    def _named_convolutions(self) -> dict[str, fx.Node]:
        """Every convolution by its module's name; ``name#2`` is a module's second convolution."""
        named: dict[str, fx.Node] = {}
        seen: Counter[str] = Counter()
        for node, operation in self.graph.operations.items():
            if operation.name in CONVOLUTIONS:
                module = next((call.partition("#")[0] for call in self._calls.around(node)[::-1]), str(node.name))
                seen[module] += 1
                named[module if seen[module] == 1 else f"{module}#{seen[module]}"] = node
        return named

    def _convolution(self, name: str) -> TapPoint:
        node = self._convolutions[name]
        end, parts = after_convolution(node, self.graph)
        channels = self._channels_dim(end)
        if self._tap == "convolution" or not parts or channels is None:
            return TapPoint(name, node, "convolution", self._depth(node))
        return TapPoint(name, end, " + ".join(parts), self._depth(node), channels)

    def _modules(self, glob: str) -> list[TapPoint]:
        """The outputs of modules of any kind whose names match `glob`."""
        points = []
        for name in self._calls.inside:
            if not fnmatchcase(name, glob):
                continue
            output = self._calls.output(name)
            if output is not None and self._channels_dim(output) is not None:
                points.append(self._point(name, output, f"output of {self._calls.kind(name)}"))
            elif name == glob:
                raise RayselError(
                    f"layer {name!r} has no single output that is a map or a vector per image; "
                    "name another with --layers"
                )
        return points

    def _point(self, layer: str, node: fx.Node, reading: str) -> TapPoint:
        return TapPoint(layer, node, reading, self._depth(node), self._channels_dim(node) or 1)

    def _depth(self, node: fx.Node) -> int:
        """Number of convolutions before `node` in the graph."""
        order = self.graph.order
        return sum(order[convolution] < order[node] for convolution in self._convolutions.values())


def no_match(glob: str, convolutions: Iterable[str]) -> str:
    """The error message for a glob that matches nothing."""
    names = list(convolutions)
    more = f", ... ({len(names)} convolutions)" if len(names) > _SHOWN_NAMES else ""
    return f"no layer matches {glob!r}; this network has {', '.join(names[:_SHOWN_NAMES]) + more or 'no convolution'}"
