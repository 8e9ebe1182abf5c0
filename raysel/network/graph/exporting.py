"""Graphs by torch.export: for code that torch.fx cannot follow, and for programs that were exported to a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram

from raysel.errors import RayselError, type_and_first_line
from raysel.network.graph.tracing import Traced, UntraceableError, calls_around, shapes_of

_BATCH = 2


def trace_by_export(module: nn.Module, input_size: tuple[int, int]) -> Traced:
    """Traces `module` by running it on shapes: branches by shape are followed, branches by value are not.

    Raises:
        UntraceableError: torch.export cannot follow it, or it does not take images of this size.
    """
    module.eval()
    images = torch.zeros(_BATCH, 3, *input_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (images,), dynamic_shapes=({0: Dim.AUTO},), strict=False)
    except Exception as error:  # whatever the network's own code does
        raise UntraceableError(f"torch.export: {type_and_first_line(error)}") from error
    return trace_program(program, input_size)


def trace_program(program: ExportedProgram, input_size: tuple[int, int]) -> Traced:
    """The graph of an exported program of one input; its batch may be fixed.

    Raises:
        UntraceableError: it has several inputs, or does not take images of this size.
    """
    module: Any = program.module()
    for node in list(module.graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":  # checks of shapes; raysel's shapes are its own
            module.graph.erase_node(node)
    module.graph.set_codegen(fx.CodeGen())
    graph_module = fx.GraphModule(module, module.graph)
    inputs = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise UntraceableError(f"the program takes {len(inputs)} inputs instead of one batch of images")
    batch = input_shape(program)[0]
    shapes = shapes_of(graph_module, input_size, batch or _BATCH)
    calls = {node: calls_around(node) for node in graph_module.graph.nodes}
    kinds = {
        path: str(kind).rpartition(".")[2].removesuffix("'>")
        for node in graph_module.graph.nodes
        for path, kind in (node.meta.get("nn_module_stack") or {}).values()
    }
    return Traced(graph_module, shapes, calls, kinds, batch)


def read_program(path: str, unsafe_pickle: bool) -> ExportedProgram:
    """Reads a ``.pt2`` file.

    Raises:
        RayselError: no such file, not a program, or `unsafe_pickle` was not given: PyTorch unpickles parts of it.
    """
    if not Path(path).is_file():
        raise RayselError(f"no program at {path}")
    if not unsafe_pickle:
        raise RayselError(
            f"{path} is an exported program, which may run code when it is read: give --unsafe-pickle if you trust it, "
            "or name the network as package.module:factory with its weights as .safetensors"
        )
    try:
        return torch.export.load(path)
    except Exception as error:  # whatever a broken archive does to its reader
        raise RayselError(f"{path} is no torch.export program: {type_and_first_line(error)}") from error


def input_shape(program: ExportedProgram) -> tuple[int | None, ...]:
    """[batch, channels, height, width] of a program's first input; None where it is free."""
    name = program.graph_signature.user_inputs[0]
    node = next(node for node in program.graph.nodes if node.name == name)
    return tuple(side if isinstance(side, int) else None for side in node.meta["val"].shape)
