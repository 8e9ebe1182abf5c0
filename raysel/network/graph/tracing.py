"""Traces a module into a graph of operations on one batch of images, with the shape of every tensor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from raysel.errors import type_and_first_line
from raysel.network.graph.memory import Memory
from raysel.network.graph.silence import silenced

PROBE_BATCH = 2
"""Images in the batch whose shapes are recorded; not 1, so that squeeze() and broadcasting keep its dimension."""


@dataclass(frozen=True)
class Traced:
    """A traced network.

    Attributes:
        module: the graph and its weights; its only placeholder is the batch of images.
        shapes: by node: the `TensorShape` of its tensor, a tuple of them for several tensors, or else the plain value.
        calls: by node: the names of the modules that it was called in, outermost first; a module's second call is
            ``name#2``.
        kinds: by name of a module: the name of its class.
        batch: the only batch size that the graph takes; None: any.
    """

    module: fx.GraphModule
    shapes: dict[fx.Node, Any]
    calls: dict[fx.Node, tuple[str, ...]]
    kinds: dict[str, str]
    batch: int | None = None

    def tensor_shape(self, node: fx.Node) -> tuple[int, ...] | None:
        """Shape of the node's tensor; None if its value is not a single tensor."""
        shape = self.shapes.get(node)
        return shape if isinstance(shape, TensorShape) else None


class TensorShape(tuple[int, ...]):
    """Shape of a tensor; its own type distinguishes it from a torch.Size that the network computes."""


def holds_tensors(shape: Any) -> bool:
    """True for the entry of `Traced.shapes` for one or several tensors, False for a plain value."""
    return isinstance(shape, TensorShape) or (isinstance(shape, tuple) and any(map(holds_tensors, shape)))


class _Tracer(fx.Tracer):
    """Keeps raysel's own modules whole if they name the operation that they are.

    The names of weights come from a table: for each use of a weight fx.Tracer compares all weights of the network.
    """

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self._names = {tensor: name for name, tensor in (*root.named_parameters(), *root.named_buffers())}

    def create_arg(self, a: Any) -> Any:
        name = self._names.get(a) if isinstance(a, torch.Tensor) else None
        return super().create_arg(a) if name is None else self.create_node("get_attr", name, (), {})

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        name = self._names.get(attr_val) if isinstance(attr_val, nn.Parameter) else None
        if name is None:
            return super().getattr(attr, attr_val, parameter_proxy_cache)
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return hasattr(m, "raysel_operation") or super().is_leaf_module(m, module_qualified_name)


class UntraceableError(Exception):
    """A tracer cannot turn the network's code into a graph."""


def trace(module: nn.Module, input_size: tuple[int, int]) -> Traced:
    """Traces `module` (in eval mode) symbolically with torch.fx.

    Raises:
        UntraceableError: its code depends on the values of tensors, or torch.fx cannot follow it for another reason.
    """
    module.eval()
    tracer = _Tracer(module)
    try:
        with silenced():
            graph = tracer.trace(module)
    except (Exception, SystemExit) as error:  # the network's code can raise anything on a proxy
        raise UntraceableError(f"torch.fx: {type_and_first_line(error)}") from error
    _bind_defaults(graph)
    graph_module = fx.GraphModule(module, graph)
    shapes = shapes_of(graph_module, input_size)
    calls = {node: calls_around(node) for node in graph_module.graph.nodes}
    kinds = {name: type(child).__name__ for name, child in module.named_modules()}
    return Traced(graph_module, shapes, calls, kinds)


def calls_around(node: fx.Node) -> tuple[str, ...]:
    """Names of the modules that `node` was called in; torch's name for a module's second call is ``name@1``."""
    names = []
    for key, (path, _kind) in (node.meta.get("nn_module_stack") or {}).items():
        _, at, repetition = key.rpartition("@")
        name = path.partition("@")[0]
        names.append(f"{name}#{int(repetition) + 1}" if at else name)
    return tuple(name for name in names if name)


def _bind_defaults(graph: fx.Graph) -> None:
    """Replaces all arguments of forward but the images by their defaults."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    for node in placeholders[1:]:
        if not node.args:
            raise UntraceableError(f"forward has a second argument without a default, {node.target!r}")
        default = node.args[0]
        for user in list(node.users):
            user.args = fx.map_arg(user.args, partial(_replaced, node, default))
            user.kwargs = fx.map_arg(user.kwargs, partial(_replaced, node, default))
        graph.erase_node(node)


def _replaced(old: fx.Node, new: Any, node: fx.Node) -> Any:
    return new if node is old else node


class _ShapeRecorder(fx.Interpreter):
    """Runs the graph to record shapes; convolutions, most of the work, run with one filter on one channel only.

    Fake tensors and the device ``meta`` would compute nothing, but importing torch._dynamo for them takes longer.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, Any] = {}
        self.memory = Memory()

    def run_node(self, n: fx.Node) -> Any:
        inputs = {source: self.env[source] for source in n.all_input_nodes}
        versions = self.memory.versions(inputs)
        value = super().run_node(n)
        self.shapes[n] = _shape_of(value)
        self.memory.note(n, inputs, versions, value)
        return value

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module: Any = self.fetch_attr(str(target))
        if type(module) is not nn.Conv2d or module.padding_mode != "zeros" or module._forward_hooks or kwargs:
            return super().call_module(target, args, kwargs)
        (images,) = args
        padding, dilation = module.padding, module.dilation
        return _conv2d_shaped(images, module.weight, None, module.stride, padding, dilation, module.groups)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target in (torch.conv2d, torch.ops.aten.conv2d.default):
            return _conv2d_shaped(*args, **kwargs)
        return super().call_function(target, args, kwargs)


def _conv2d_shaped(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Zeros of the shape that ``torch.conv2d`` returns."""
    if input.ndim != 4 or input.shape[1] != weight.shape[1] * groups or len(weight) % groups:
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)  # raises
    one = torch.conv2d(input[:1, :1], weight[:1, :1], None, stride, padding, dilation)
    return input.new_zeros(len(input), len(weight), *one.shape[2:])


def _shape_of(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return TensorShape(value.shape)
    if isinstance(value, (tuple, list)) and any(isinstance(item, torch.Tensor) for item in value):
        return tuple(_shape_of(item) for item in value)
    return value


def shapes_of(module: fx.GraphModule, input_size: tuple[int, int], batch: int = PROBE_BATCH) -> dict[fx.Node, Any]:
    """Shapes of all nodes for a batch of images; operations in place are followed, which can add nodes to the graph.

    Raises:
        UntraceableError: the network does not take images of this size.
    """
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    probe = torch.zeros(batch, 3, *input_size, device=device)
    recorder = _ShapeRecorder(module)
    with torch.no_grad():  # in inference mode torch does not count writes
        try:
            recorder.run(probe)
        except (Exception, SystemExit) as error:  # the network's code can raise anything
            raise UntraceableError(f"forward of {list(probe.shape)}: {type_and_first_line(error)}") from error
    if recorder.memory.follow_writes(module.graph, recorder.shapes):
        module.recompile()
    return recorder.shapes
