"""The modules that a traced network calls: what runs inside of each call, and what it returns."""

from __future__ import annotations

from torch import fx

from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import CONVOLUTIONS
from raysel.network.graph.tracing import Traced


class ModuleCalls:
    """Calls of modules by name; a module's second call is ``name#2``.

    Attributes:
        inside: the nodes that run inside of each call, in the order of the graph.
    """

    def __init__(self, traced: Traced, graph: OperationGraph) -> None:
        self._traced, self._graph = traced, graph
        self.inside: dict[str, list[fx.Node]] = {}
        for node in traced.module.graph.nodes:
            for name in self.around(node):
                self.inside.setdefault(name, []).append(node)

    def around(self, node: fx.Node) -> tuple[str, ...]:
        """The calls that `node` runs in, outermost first."""
        return self._traced.calls.get(node, ())

    def outer(self, name: str) -> tuple[str, ...]:
        """The calls that call `name` runs in, outermost first."""
        around = self.around(self.inside[name][0])
        return around[: around.index(name)]

    def kind(self, name: str) -> str:
        """The name of the class of the called module."""
        return self._traced.kinds.get(name.partition("#")[0], "module")

    def output(self, name: str) -> fx.Node | None:
        """The node whose tensor is used outside of the call; None if there is not exactly one."""
        outputs = [node for node in self.inside[name] if self._is_used_outside(name, node)]
        return outputs[0] if len(outputs) == 1 else None

    def convolutions(self, name: str) -> int:
        """Number of convolutions inside of the call."""
        return sum(self._graph.name(node) in CONVOLUTIONS for node in self.inside[name])

    def _is_used_outside(self, name: str, node: fx.Node) -> bool:
        return self._graph.has_tensor(node) and any(name not in self.around(user) for user in node.users)
