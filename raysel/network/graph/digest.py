"""Digests of what a network computes, without its weights: two networks of the same weights may differ in a stride."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import fx, nn

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device)


def digest_of_graph(module: nn.Module, graph: fx.Graph) -> str:
    """sha256 (hex) over the operations of `graph` in order, with their settings and operands."""
    numbers = {node: k for k, node in enumerate(graph.nodes)}
    total = hashlib.sha256()
    for node in graph.nodes:
        # The name of a module or a weight identifies the weights; other names are only the tracer's.
        target = node.target if node.op in ("call_module", "call_method", "get_attr") else _text(node.target, numbers)
        line = [node.op, target, _text(node.args, numbers), _text(node.kwargs, numbers)]
        if node.op == "call_module":
            line.append(_settings(module.get_submodule(str(node.target))))
        elif node.op in ("placeholder", "output"):
            line = [node.op]
        total.update(f"{line}\n".encode())
    return total.hexdigest()


def digest_of_modules(module: nn.Module, names: list[str]) -> str:
    """sha256 (hex) for a network without a graph: over its modules with their settings, and the `names` of its taps."""
    settings = [(name, _settings(child)) for name, child in module.named_modules()]
    return hashlib.sha256(f"{settings} {names}".encode()).hexdigest()


def _settings(module: nn.Module) -> str:
    """A module's class and all its plain attributes, sorted by name."""
    settings = {
        name: _text(value, {})
        for name, value in sorted(vars(module).items())
        if not name.startswith("_") and name != "training" and isinstance(value, (*_PLAIN, tuple, list))
    }
    return f"{type(module).__name__} {settings}"


def _text(value: Any, numbers: dict[fx.Node, int]) -> str:
    """A value as text that is the same in every process, without addresses."""
    if isinstance(value, fx.Node):
        return f"%{numbers[value]}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_text(item, numbers) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_text(item, numbers)}' for key, item in sorted(value.items()))}}}"
    if isinstance(value, slice):
        return f"slice{_text((value.start, value.stop, value.step), numbers)}"
    if isinstance(value, _PLAIN):
        return repr(value)
    return str(getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or type(value).__name__)
