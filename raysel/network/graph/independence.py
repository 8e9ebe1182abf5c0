"""Whether activations of an image depend on this image alone: not on others of its batch, and not on chance."""

from __future__ import annotations

from collections.abc import Iterable

from torch import fx

from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import REDUCTIONS, Operation, reduced_dims

_NORMALIZED_OVER = frozenset(("softmax", "log_softmax", "normalize"))
_REDUCED = frozenset((*REDUCTIONS, "norm", "linalg_vector_norm"))
_DROPOUT = "dropout"
_RANDOM = frozenset(
    (
        *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like"),
        *("bernoulli", "normal", "uniform", "exponential", "multinomial"),
    )
)


def operation_over_images(graph: OperationGraph, read: Iterable[fx.Node]) -> str | None:
    """The first operation before the nodes `read` that computes one number from several images of a batch.

    It is a reduction over all dimensions or over the first one, or a batch norm by the statistics of the batch.

    Returns:
        Its name; None if there is none.
    """
    found = next((node for node in _before(graph, read) if _is_over_images(node, graph)), None)
    if found is None:
        return None
    return "batch norm without stored statistics" if graph.name(found) == "instance_norm" else graph.name(found)


def random_operation(graph: OperationGraph, read: Iterable[fx.Node]) -> str | None:
    """The name of the first operation before the nodes `read` whose result is random; None if there is none."""
    return next((graph.name(node) for node in _before(graph, read) if _is_random(graph.operations[node])), None)


def _before(graph: OperationGraph, read: Iterable[fx.Node]) -> list[fx.Node]:
    """The nodes that the nodes `read` depend on, and these, in the order of the graph."""
    needed = set(read)
    for node in reversed(graph.order):
        if node in needed:
            needed.update(node.all_input_nodes)
    return [node for node in graph.order if node in needed]


def _is_over_images(node: fx.Node, graph: OperationGraph) -> bool:
    operation, sources = graph.operations[node], graph.sources(node)
    if operation.arguments.get("over_images"):
        return bool(sources)  # or it standardizes weights
    shape = graph.shape(sources[0]) if sources else None
    if not shape or operation.name not in _REDUCED | _NORMALIZED_OVER:
        return False
    return 0 in reduced_dims(operation, len(shape), default=1 if operation.name in _NORMALIZED_OVER else None)


def _is_random(operation: Operation) -> bool:
    if operation.name == _DROPOUT:
        return operation.arguments.get("training") is True and operation.setting("p", 0.5) != 0
    return operation.name in _RANDOM
