"""Traces by torch.export: for code that torch.fx cannot follow, and for programs that were exported to a file."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram

from raysel.errors import type_and_first_line
from raysel.network.graph.silence import silenced
from raysel.network.graph.tracing import PROBE_BATCH, Traced, UntraceableError, calls_around, shapes_of


def trace_by_export(module: nn.Module, input_size: tuple[int, int]) -> Traced:
    """Traces `module` (in eval mode) for this size of image: code that depends on shapes is followed, on values not.

    Raises:
        UntraceableError: torch.export cannot follow its code, or it does not take images of this size.
    """
    module.eval()
    images = torch.zeros(PROBE_BATCH, 3, *input_size)
    try:
        with silenced():
            program = torch.export.export(module, (images,), dynamic_shapes=({0: Dim.AUTO},), strict=False)
    except (Exception, SystemExit) as error:  # the network's code can raise anything
        raise UntraceableError(f"torch.export: {type_and_first_line(error)}") from error
    return trace_program(program, input_size)


def trace_program(program: ExportedProgram, input_size: tuple[int, int]) -> Traced:
    """The graph of an exported program; its batch size may be fixed.

    Raises:
        UntraceableError: the program has several inputs, or does not take images of this size.
    """
    module: Any = program.module()
    for node in list(module.graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":  # checks shapes
            module.graph.erase_node(node)
    module.graph.set_codegen(fx.CodeGen())
    graph_module = fx.GraphModule(module, module.graph)
    inputs = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise UntraceableError(f"the program takes {len(inputs)} inputs instead of one batch of images")
    batch = input_shape(program)[0]
    shapes = shapes_of(graph_module, input_size, batch or PROBE_BATCH)
    calls = {node: calls_around(node) for node in graph_module.graph.nodes}
    kinds = {
        path: str(kind).rpartition(".")[2].removesuffix("'>")
        for node in graph_module.graph.nodes
        for path, kind in (node.meta.get("nn_module_stack") or {}).values()
    }
    return Traced(graph_module, shapes, calls, kinds, batch)


def input_shape(program: ExportedProgram) -> tuple[int | None, ...]:
    """[batch, channels, height, width] of a program's first input; None for a side that may vary."""
    name = program.graph_signature.user_inputs[0]
    node = next(node for node in program.graph.nodes if node.name == name)
    return tuple(side if isinstance(side, int) else None for side in node.meta["val"].shape)
