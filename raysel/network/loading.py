"""From a configuration to a network that runs."""

from __future__ import annotations

from torch import nn

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.files import absolute_if_exists, redact_uri
from raysel.marks import map_paths
from raysel.network.forward import Forward
from raysel.network.graph.exporting import trace_by_export, trace_program
from raysel.network.graph.tracing import Traced, UntraceableError, trace
from raysel.network.graph_forward import GraphForward
from raysel.network.hooked_forward import HookedForward, called_modules, choose_modules
from raysel.network.importers.importer import RANDOM, ImportedNetwork
from raysel.network.importers.registry import import_network
from raysel.network.network import Network, Tap
from raysel.network.preprocessing import with_average_image
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.network.taps import find_tap_points, no_match
from raysel.network.weights import digest
from raysel.neurons import ReceptiveField

Size = tuple[int, int]


def load(config: NetworkConfig) -> Network:
    """Imports, traces and taps the network that `config` names.

    It is traced with torch.fx, or with torch.export if torch.fx cannot follow its code. If neither can, its
    convolutions are read at their own outputs, and `Tap.reading` says so.

    Raises:
        RayselError: the network is unknown, its weights are missing, do not fit or need code to be read, a glob matches
            no layer, or the network does not take images of its input size.
    """
    imported, shown = import_network(config), redact_uri(config.network)
    preprocessing, average_image = with_average_image(config.preprocessing or imported.preprocessing)
    try:
        size = preprocessing.input_size
    except ValueError as error:
        raise RayselError(f"{shown}: {error}") from error
    try:
        taps, forward = _tap(config, imported, size)
    except UntraceableError as error:
        raise RayselError(
            f"{shown} does not take images of {size[0]} x {size[1]} pixels, three channels: {error}"
        ) from error
    weights_digest = digest(imported.module, average_image)
    return Network(shown, preprocessing, taps, weights_digest, forward, imported.classes, average_image)


def with_absolute_paths(config: NetworkConfig) -> NetworkConfig:
    """`config` with absolute paths of its local files, for processes in another working directory."""
    return map_paths(config, lambda path: path if path == RANDOM else absolute_if_exists(path))


def _tap(config: NetworkConfig, imported: ImportedNetwork, size: Size) -> tuple[tuple[Tap, ...], Forward]:
    traced = _trace(imported, size)
    return _tap_modules(config, imported.module, size) if traced is None else _tap_graph(config, traced, size)


def _trace(imported: ImportedNetwork, size: Size) -> Traced | None:
    """The network's graph; None if no tracer can follow its code."""
    if imported.program is not None:
        return trace_program(imported.program, size)
    for tracer in (trace, trace_by_export):
        try:
            return tracer(imported.module, size)
        except UntraceableError:
            continue
    return None


def _tap_graph(config: NetworkConfig, traced: Traced, size: Size) -> tuple[tuple[Tap, ...], Forward]:
    fields = TensorReceptiveFields(traced, size)
    points = find_tap_points(traced, config.layers, config.tap)
    taps = []
    for point in points:
        shape = traced.tensor_shape(point.node) or ()
        field = fields.receptive_field(point.node)
        taps.append(Tap(point.layer, shape[1], _map_size(shape), field, point.reading, point.depth))
    return tuple(taps), GraphForward(traced, [point.node for point in points])


def _tap_modules(config: NetworkConfig, module: nn.Module, size: Size) -> tuple[tuple[Tap, ...], Forward]:
    called = called_modules(module, size)
    chosen = choose_modules(called, config.layers)
    if not chosen:
        raise RayselError(no_match(" ".join(config.layers), [call.name for call in called if call.convolution]))
    whole = ReceptiveField.whole_input(size, "the network cannot be traced")
    taps = []
    for call, depth in chosen:
        reading = f"{'convolution' if call.convolution else 'output'} (the network cannot be traced)"
        taps.append(Tap(call.name, call.shape[1], _map_size(call.shape), whole, reading, depth))
    return tuple(taps), HookedForward(module, [tap.layer for tap in taps])


def _map_size(shape: tuple[int, ...]) -> Size:
    return (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
