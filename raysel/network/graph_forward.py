"""The forward of a traced network: its graph up to the last tap, with a visit inserted after each tap."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import fx

from raysel.network.forward import Visit, as_map, use_channels_last
from raysel.network.graph.digest import digest_of_graph
from raysel.network.graph.operations import describe
from raysel.network.graph.simplification import simplify
from raysel.network.graph.tracing import Traced


class GraphForward:
    """The part of a graph that its taps need, as one generated function.

    The generated code frees every tensor after its last use. It calls `visit` before the next operation, which may
    overwrite the map.
    """

    def __init__(self, traced: Traced, taps: Sequence[fx.Node], channels_dims: Sequence[int]) -> None:
        self._batch = traced.batch
        self._channels_dims = channels_dims
        graph = traced.module.graph
        operations = {node: describe(node, traced) for node in graph.nodes}
        in_place = {node for node, operation in operations.items() if operation.in_place}
        images = next(node for node in graph.nodes if node.op == "placeholder")
        with graph.inserting_after(images):
            visit = graph.placeholder("visit_tap")
        keep = {images, visit}
        for k, node in reversed(list(enumerate(taps))):
            with graph.inserting_after(node):
                keep.add(graph.call_function(operator.call, (visit, k, node)))
        _cut(graph, keep, in_place)
        self.digest = digest_of_graph(traced.module, graph)
        simplify(traced.module, graph, operations)
        self._module = fx.GraphModule(traced.module, graph).eval()
        use_channels_last(self._module)
        self._module.requires_grad_(False)

    def to(self, device: str) -> None:
        """Moves the weights."""
        self._module.to(device)

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """See `Forward`."""

        def visit_map(tap: int, output: torch.Tensor) -> None:
            visit(tap, as_map(output, self._channels_dims[tap]))

        if self._batch is None or self._batch == len(inputs):
            self._module(inputs, visit_map)
        else:
            self._in_parts(inputs, visit_map)

    def _in_parts(self, inputs: torch.Tensor, visit: Visit) -> None:
        """Runs a graph of a fixed batch size part by part; copies of its last image fill the last part."""
        batch = self._batch or 1
        parts: list[list[torch.Tensor]] = [[] for _ in self._channels_dims]
        for part in inputs.split(batch):
            filled = torch.cat([part, part[-1:].expand(batch - len(part), -1, -1, -1)])
            self._module(filled, lambda tap, map_: parts[tap].append(map_.clone()))
        for tap, maps in enumerate(parts):
            visit(tap, torch.cat(maps)[: len(inputs)])


def _cut(graph: fx.Graph, keep: set[fx.Node], in_place: set[fx.Node]) -> None:
    """Erases what no kept node needs; in-place operations before the last kept node stay, as it may need them."""
    last_seen = False
    for node in reversed(list(graph.nodes)):
        if node in keep:
            last_seen = True
        elif node.users or (last_seen and node in in_place):
            continue
        else:
            graph.erase_node(node)
    if not any(node.op == "output" for node in graph.nodes):
        graph.output(None)
