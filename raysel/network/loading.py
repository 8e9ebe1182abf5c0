"""From a configuration to a network that runs."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.export import ExportedProgram

from raysel.config import NetworkConfig, Preprocessing
from raysel.errors import RayselError
from raysel.network.average import with_average
from raysel.network.forward import GraphForward
from raysel.network.graph.exporting import trace_by_export, trace_program
from raysel.network.graph.tracing import Traced, UntraceableError, trace
from raysel.network.hooks import READING, HookedForward, calls_of, chosen
from raysel.network.importers.finding import find, find_program
from raysel.network.network import Forward, Network, Tap
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.network.taps import find_tap_points, no_match
from raysel.network.weights import digest
from raysel.neurons import ReceptiveField

Size = tuple[int, int]


def load(config: NetworkConfig) -> Network:
    """Builds, loads, traces and taps the network that `config` names.

    It is traced with torch.fx, else with torch.export; where neither can follow its code, its convolutions are read at
    their own outputs, and `Tap.reading` says so.

    Raises:
        RayselError: unknown network; weights that do not fit, with the first few keys; a pickle with code in it; layer
            globs that match nothing; a network that does not take images of its input size.
    """
    source: nn.Module | ExportedProgram
    if config.network.endswith(".pt2"):
        source, preprocessing = find_program(config)
        module: nn.Module = source.module()
        classes: tuple[str, ...] = ()
    else:
        module, preprocessing, classes = find(config)
        source = module
    preprocessing, average = with_average(config.preprocessing or preprocessing)
    size = _input_size(config, preprocessing)
    try:
        taps, forward = _tapped(config, source, size)
    except UntraceableError as error:
        raise RayselError(
            f"{config.network} does not take images of {size[0]} x {size[1]} pixels, three channels: {error}"
        ) from error
    return Network(config.network, preprocessing, taps, digest(module, average), forward, classes, average)


def _input_size(config: NetworkConfig, preprocessing: Preprocessing) -> Size:
    try:
        return preprocessing.input_size
    except ValueError as error:
        raise RayselError(f"{config.network}: {error}") from error


def _tapped(config: NetworkConfig, source: nn.Module | ExportedProgram, size: Size) -> tuple[tuple[Tap, ...], Forward]:
    if isinstance(source, ExportedProgram):
        return _from_graph(config, trace_program(source, size), size)
    tracers: tuple[Callable[[nn.Module, Size], Traced], ...] = (trace, trace_by_export)
    for tracer in tracers:
        try:
            traced = tracer(source, size)
        except UntraceableError:
            continue
        return _from_graph(config, traced, size)
    return _from_hooks(config, source, size)


def _from_graph(config: NetworkConfig, traced: Traced, size: Size) -> tuple[tuple[Tap, ...], Forward]:
    places = find_tap_points(traced, config.layers, config.tap)
    fields = TensorReceptiveFields(traced, size)
    taps = []
    for place in places:
        shape = traced.tensor_shape(place.node) or ()
        field = fields.receptive_field(place.node)
        taps.append(Tap(place.layer, shape[1], _map_size(shape), field, place.reading, place.depth))
    return tuple(taps), GraphForward(traced, [place.node for place in places])


def _from_hooks(config: NetworkConfig, module: nn.Module, size: Size) -> tuple[tuple[Tap, ...], Forward]:
    called = calls_of(module, size)
    calls = chosen(called, config.layers)
    if not calls:
        raise RayselError(no_match(" ".join(config.layers), [call.name for call in called if call.convolution]))
    whole = ReceptiveField(size=max(size), stride=0.0, offset=0.0, input_size=size, exact=False)
    taps = tuple(
        Tap(
            call.name,
            call.shape[1],
            _map_size(call.shape),
            whole,
            READING if call.convolution else "output (the network cannot be traced)",
            depth,
        )
        for call, depth in calls
    )
    return taps, HookedForward(module, [tap.layer for tap in taps])


def _map_size(shape: tuple[int, ...]) -> Size:
    return (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
