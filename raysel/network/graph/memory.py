"""In-place operations: makes what a graph computes visible in its edges, where code relies on shared memory.

After ``y.add_(x)`` a later ``f(y)`` sees x, whether or not the code uses the result of ``add_``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx


def overwritten(tensor: Any, *_written: torch.Tensor) -> Any:
    """The same tensor, after an operation has written other tensors into its memory through one of its views."""
    return tensor


class Memory:
    """Which nodes share memory, and which of them write to it, observed while a graph runs."""

    def __init__(self) -> None:
        self._blocks: dict[fx.Node, dict[int, int]] = {}
        """By node and address: the number of the block of memory. An address alone is used again after it is freed."""
        self._layouts: dict[fx.Node, tuple[Any, ...] | None] = {}
        self._written: dict[fx.Node, set[int]] = {}
        self._count = 0

    def versions(self, values: dict[fx.Node, Any]) -> dict[fx.Node, list[int]]:
        """Torch's counters of the writes to each tensor."""
        return {node: [_version(tensor) for tensor in _tensors(value)] for node, value in values.items()}

    def note(self, node: fx.Node, inputs: dict[fx.Node, Any], before: dict[fx.Node, list[int]], value: Any) -> None:
        """Notes one operation: its inputs, their `versions` before it ran, and its result."""
        known = {address: block for source in inputs for address, block in self._blocks[source].items()}
        blocks: dict[int, int] = {}
        for tensor in _tensors(value):
            address = _address(tensor)
            if address not in known:
                self._count += 1
                known[address] = self._count
            blocks[address] = known[address]
        self._blocks[node], self._layouts[node] = blocks, _layout(value)
        after = self.versions(inputs)
        self._written[node] = {
            self._blocks[source][_address(tensor)]
            for source, value in inputs.items()
            for tensor, old, new in zip(_tensors(value), before[source], after[source], strict=True)
            if old != new
        }

    def follow_writes(self, graph: fx.Graph, shapes: dict[fx.Node, Any]) -> bool:
        """Makes every user of a tensor use the last operation that wrote to its memory before.

        Where that operation returned another view of the memory, an `overwritten` node joins both.

        Args:
            graph: is changed.
            shapes: as in `Traced`; new nodes are added.

        Returns:
            False if the graph did not change.
        """
        order = {node: k for k, node in enumerate(graph.nodes)}
        members: dict[int, list[fx.Node]] = defaultdict(list)
        changed = False
        for node in list(graph.nodes):
            for block in sorted(self._written.get(node, ())):
                for member in list(members[block]):
                    later = {user for user in member.users if order[user] > order[node]}
                    if not later:
                        continue
                    changed = True
                    if self._layouts[member] is None or self._layouts[member] != self._layouts[node]:
                        result = _join(graph, member, node, shapes)
                        order[result], self._layouts[result] = order[node], self._layouts[member]
                        members[block].append(result)
                    else:
                        result = node
                    member.replace_all_uses_with(result, delete_user_cb=later.__contains__)
            for block in set(self._blocks.get(node, {}).values()):
                members[block].append(node)
        return changed


def _join(graph: fx.Graph, member: fx.Node, writer: fx.Node, shapes: dict[fx.Node, Any]) -> fx.Node:
    """A node for the tensor of `member` after `writer`, which writes its inputs if it returns nothing."""
    written = [source for source in writer.all_input_nodes if source is not member]
    with graph.inserting_after(writer):
        result = graph.call_function(overwritten, (member, *(written if shapes[writer] is None else [writer])))
    result.meta = dict(writer.meta)
    shapes[result] = shapes[member]
    return result


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _version(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # unlike its data_ptr, on the device meta too


def _layout(value: Any) -> tuple[Any, ...] | None:
    """What makes two tensors in one block of memory the same; None for several tensors."""
    if not isinstance(value, torch.Tensor):
        return None
    return value.storage_offset(), value.dtype, tuple(value.shape), value.stride()
