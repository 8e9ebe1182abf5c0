"""Running a traced network: the graph cut behind its last tap, with a visit inserted where each tap is computed."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import fx

from raysel.network.graph.digest import digest
from raysel.network.graph.operations import describe
from raysel.network.graph.simplify import simplify
from raysel.network.graph.tracing import Traced
from raysel.network.network import Visit


class GraphForward:
    """The part of a graph that its taps need, as one generated function.

    The generated code frees every tensor after its last use, and calls `visit` between two operations: an operation
    that works in place behind a tap cannot change what was seen.
    """

    def __init__(self, traced: Traced, nodes: Sequence[fx.Node]) -> None:
        self._batch = traced.batch
        self._taps = len(nodes)
        graph = traced.module.graph
        operations = {node: describe(node, traced) for node in graph.nodes}
        in_place = {node for node, operation in operations.items() if operation.in_place}
        images = next(node for node in graph.nodes if node.op == "placeholder")
        with graph.inserting_after(images):
            visit = graph.placeholder("visit_tap")
        keep = {images, visit}
        for k, node in reversed(list(enumerate(nodes))):
            with graph.inserting_after(node):
                keep.add(graph.call_function(operator.call, (visit, k, node)))
        _cut(graph, keep, in_place)
        self.digest = digest(traced.module, graph)
        simplify(traced.module, graph, operations)
        self._module = fx.GraphModule(traced.module, graph).eval()
        self._module.to(memory_format=torch.channels_last)
        self._module.requires_grad_(False)

    def to(self, device: str) -> None:
        """Moves the weights."""
        self._module.to(device)

    def __call__(self, inputs: torch.Tensor, visit: Visit) -> None:
        """Runs float32[B, 3, H, W]; `visit` gets each tap's map as [B, C, h, w]."""

        def as_map(k: int, tensor: torch.Tensor) -> None:
            visit(k, tensor if tensor.ndim == 4 else tensor[:, :, None, None])

        if self._batch is None or self._batch == len(inputs):
            self._module(inputs, as_map)
        else:
            self._in_parts(inputs, as_map)

    def _in_parts(self, inputs: torch.Tensor, visit: Visit) -> None:
        """A graph of a fixed batch size runs part by part, the last part filled up with copies of its last image."""
        batch = self._batch or 1
        parts: list[list[torch.Tensor]] = [[] for _ in range(self._taps)]
        for part in inputs.split(batch):
            filled = torch.cat([part, part[-1:].expand(batch - len(part), -1, -1, -1)])
            self._module(filled, lambda k, map_: parts[k].append(map_.clone()))
        for k, maps in enumerate(parts):
            visit(k, torch.cat(maps)[: len(inputs)])


def _cut(graph: fx.Graph, keep: set[fx.Node], in_place: set[fx.Node]) -> None:
    """Erases what no kept node needs; an operation in place before the last kept node may be needed and stays."""
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
