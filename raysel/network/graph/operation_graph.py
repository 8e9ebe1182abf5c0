"""The operations of a traced graph, and which of them use a tensor."""

from __future__ import annotations

import torch
from torch import fx

from raysel.network.graph.operations import Operation, describe
from raysel.network.graph.tracing import TensorShape, Traced

_NO_EFFECT = frozenset(("identity", "dropout", "contiguous"))  # in eval mode
_REARRANGED = frozenset(("reshape", "permute", "transpose", "channel_shuffle", "squeeze", "unsqueeze"))
_PLAIN = (bool, int, float, complex, str, type(None), torch.Size, torch.dtype, torch.device, torch.layout)


class OperationGraph:
    """Answers what a node does and what follows it.

    Attributes:
        operations: the description of every node.
        order: the place of every node in the graph.
    """

    def __init__(self, traced: Traced) -> None:
        self._shapes = traced.shapes
        self.operations: dict[fx.Node, Operation] = {node: describe(node, traced) for node in traced.module.graph.nodes}
        self.order = {node: k for k, node in enumerate(self.operations)}
        self._of_images: set[fx.Node] = set()
        for node in self.operations:
            if node.op == "placeholder" or (
                self.has_tensor(node) and not self._of_images.isdisjoint(node.all_input_nodes)
            ):
                self._of_images.add(node)

    def name(self, node: fx.Node) -> str:
        """The canonical name of the node's operation."""
        return self.operations[node].name

    def shape(self, node: fx.Node) -> TensorShape | None:
        """Shape of the node's tensor; None if its value is not a single tensor."""
        shape = self._shapes.get(node)
        return shape if isinstance(shape, TensorShape) else None

    def sources(self, node: fx.Node) -> list[fx.Node]:
        """The node's operands that depend on the images."""
        return [source for source in node.all_input_nodes if source in self._of_images]

    def is_per_channel(self, node: fx.Node | None, name: str) -> bool:
        """True for an ``add`` or ``mul`` (`name`) of a map and constants: one number per channel."""
        if node is None or self.name(node) != name or len(self.sources(node)) != 1:
            return False
        constants = [self._shapes[source] for source in node.all_input_nodes if source not in self._of_images]
        per_channel = (self._shapes[node][1], 1, 1)
        return len(constants) == 1 and isinstance(constants[0], TensorShape) and constants[0][-3:] == per_channel

    def has_tensor(self, node: fx.Node) -> bool:
        """False if the node reads a size, a dtype or a plain value, or checks something."""
        return not isinstance(self._shapes.get(node), _PLAIN) or self.operations[node].in_place or node.op == "output"

    def users(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that use the values of the node's tensor, behind operations without effect."""
        users = [user for user in node.users if self.has_tensor(user)]
        while len(users) == 1 and self._has_no_effect(users[0]):
            users = [user for user in users[0].users if self.has_tensor(user)]
        return users

    def computed(self, node: fx.Node) -> fx.Node:
        """The node that computes the values of the node's tensor, which may then be rearranged in memory."""
        while len(self.sources(node)) == 1 and (self._has_no_effect(node) or self.name(node) in _REARRANGED):
            (node,) = self.sources(node)
        return node

    def _has_no_effect(self, node: fx.Node) -> bool:
        adds_nothing = self.name(node) == "add" and len(node.all_input_nodes) == 1 and 0 in node.args
        return adds_nothing or self.name(node) in _NO_EFFECT

    def only_user(self, node: fx.Node) -> fx.Node | None:
        """The only node of `users`; None if there are several."""
        users = self.users(node)
        return users[0] if len(users) == 1 else None
