"""The blocks of a network: where it adds maps, as residual blocks do, or concatenates them, as inception modules do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import fx

from raysel.network.graph.channel_gates import gate_nodes
from raysel.network.graph.module_calls import ModuleCalls
from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.operations import CONVOLUTIONS
from raysel.network.readings import after_block

ChannelsDim = Callable[[fx.Node], int | None]

_WEIGHTED = (*CONVOLUTIONS, "linear")


@dataclass(frozen=True)
class Block:
    """The output of a block; `layer` and `reading` are those of the `Tap`."""

    layer: str
    node: fx.Node
    reading: str


@dataclass(frozen=True)
class _Join:
    """A sum or a concatenation of maps.

    Attributes:
        kind: ``sum`` or ``concatenation``.
        start: the operation that joins the maps.
        end: the node at which the result is read, after its own norm and activation; a map.
        parts: the names of this norm and activation.
        home: the innermost call of a module that contains it and a layer with weights; "" for the network itself.
        returned: True if `home` returns the tensor of `end` and no other.
    """

    kind: str
    start: fx.Node
    end: fx.Node
    parts: tuple[str, ...]
    home: str
    returned: bool


def find_blocks(
    graph: OperationGraph, calls: ModuleCalls, channels_dim: ChannelsDim, taken: Collection[str]
) -> list[Block]:
    """The outputs of all blocks.

    A sum of maps is one if a module returns it, or if it is not inside of a module that returns a sum or concatenation;
    of ``a + b + c`` only the last sum is. A concatenation of channels is one if a module returns it that is not inside
    of another block; of concatenations that grow, as in dense blocks, only the last is. A module that returns neither,
    such as a block without a shortcut, is a block too if one of its class is, or one in its place of another stage.

    A block is named after the module that returns it. If none does, its name is that of the module around it with
    ``.sum``, numbered from the second on: ``stage2.0.sum#2``.

    Args:
        graph: the network's operations.
        calls: the calls of its modules.
        channels_dim: the dimension of the channels in a node's tensor; None if it is neither a map nor a vector.
        taken: names that blocks must not have.
    """
    joins = _joins(graph, calls, channels_dim)
    sums = _sums_of_blocks(joins, graph, calls)
    homes = {join.home for join in sums if join.returned}
    modules = _alike(homes, calls, channels_dim)
    homes |= {block.layer for block in modules}
    sums = [join for join in sums if join.returned or homes.isdisjoint(calls.around(join.start))]
    concatenations = _concatenations_of_blocks(joins, homes, graph, calls)
    homes |= {join.home for join in concatenations}
    modules += _alike(homes, calls, channels_dim)
    return _named([*sums, *concatenations], taken) + modules


def _joins(graph: OperationGraph, calls: ModuleCalls, channels_dim: ChannelsDim) -> list[_Join]:
    """All sums and concatenations of maps that do not belong to a channel gate."""
    weighted = {name for node in graph.order if graph.name(node) in _WEIGHTED for name in calls.around(node)}
    gates = gate_nodes(graph)
    found = []
    for node in graph.order:
        kind = None if node in gates else _kind(node, graph, channels_dim)
        if kind is None:
            continue
        home = next((name for name in reversed(calls.around(node)) if name in weighted), "")
        end, parts = after_block(node, graph, set(calls.inside[home]) if home else graph.order)
        output = calls.output(home) if home else None
        returned = output is not None and graph.computed(output) is end
        if output is not None and returned:
            end = output  # tokens may have become a map, or channels been shuffled
        if len(graph.shape(end) or ()) == 4 and channels_dim(end) is not None:
            found.append(_Join(kind, node, end, tuple(parts), home, returned))
    return found


def _kind(node: fx.Node, graph: OperationGraph, channels_dim: ChannelsDim) -> str | None:
    """``sum`` for a sum of tensors of equal shape, ``concatenation`` for one along the channels, else None."""
    shape, sources = graph.shape(node), graph.sources(node)
    if shape is None or len(sources) < 2:
        return None
    if graph.name(node) == "add":
        return "sum" if all(graph.shape(source) == shape for source in sources) else None
    if graph.name(node) != "cat":
        return None
    dim = graph.operations[node].setting("dim", 0) % len(shape)
    return "concatenation" if dim == channels_dim(node) else None


def _sums_of_blocks(joins: list[_Join], graph: OperationGraph, calls: ModuleCalls) -> list[_Join]:
    returning = {join.home for join in joins if join.returned}
    homes = {join.start: join.home for join in joins if join.kind == "sum"}

    def is_block(join: _Join) -> bool:
        user = graph.only_user(join.start)
        continued = user is not None and homes.get(user) == join.home
        return join.returned or not (continued or returning.intersection(calls.around(join.start)))

    return [join for join in joins if join.kind == "sum" and is_block(join)]


def _concatenations_of_blocks(
    joins: list[_Join], blocks: Collection[str], graph: OperationGraph, calls: ModuleCalls
) -> list[_Join]:
    """Those that are neither inside of other `blocks` or of each other, nor a part of the next one."""
    found = [join for join in joins if join.kind == "concatenation" and join.returned]
    starts, around = {join.start for join in found}, {*blocks, *(join.home for join in found)}
    return [
        join
        for join in found
        if starts.isdisjoint(graph.users(join.end)) and around.isdisjoint(set(calls.around(join.start)) - {join.home})
    ]


def _alike(known: set[str], calls: ModuleCalls, channels_dim: ChannelsDim) -> list[Block]:
    """Further modules that return a map: of the class of a `known` one, or in the place of one in another stage.

    They are neither inside of known ones nor around them.
    """
    kinds = {calls.kind(name) for name in known} - {"Sequential"}
    places = {place for name in known if (place := _place(name)).count("0") > 1}
    outer = {around for name in known for around in calls.outer(name)}
    found = []
    for name in calls.inside:
        if name in known or name in outer or not known.isdisjoint(calls.outer(name)):
            continue
        kind = calls.kind(name)
        alike = kind in kinds or (_place(name) in places and calls.convolutions(name) > 1)
        output = calls.output(name) if alike else None
        if output is not None and channels_dim(output) is not None:
            found.append(Block(name, output, f"output of {kind}"))
    return found


def _place(name: str) -> str:
    """The name with 0 for every number: the same for ``blocks.0.1`` and ``blocks.2.3``."""
    return re.sub(r"\d+", "0", name.partition("#")[0])


def _named(joins: list[_Join], taken: Collection[str]) -> list[Block]:
    counts: Counter[str] = Counter()
    blocks = []
    for join in joins:
        name = join.home
        if not join.returned or name in taken:
            name = f"{name}.{join.kind}" if name else join.kind
            counts[name] += 1
            name = f"{name}#{counts[name]}" if counts[name] > 1 else name
        blocks.append(Block(name, join.end, " + ".join((join.kind, *join.parts))))
    return blocks
