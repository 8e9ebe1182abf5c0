"""From a configuration to a network that runs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import fx, nn

from raysel.config import NetworkConfig
from raysel.errors import RayselError, type_and_first_line
from raysel.files import absolute_if_exists, redact_uri
from raysel.marks import map_paths
from raysel.network.channel_layout import channels_first
from raysel.network.forward import Forward
from raysel.network.graph.exporting import trace_by_export, trace_program
from raysel.network.graph.independence import operation_over_images, random_operation
from raysel.network.graph.operation_graph import OperationGraph
from raysel.network.graph.tracing import Traced, UntraceableError, trace
from raysel.network.graph_forward import GraphForward
from raysel.network.hooked_forward import HookedForward, called_modules, choose_modules, never_called
from raysel.network.importers.importer import RANDOM, ImportedNetwork
from raysel.network.importers.registry import import_network
from raysel.network.network import Network
from raysel.network.preprocessing import Normalization, with_average_image
from raysel.network.receptive_field.propagation import TensorReceptiveFields
from raysel.network.taps import BLOCKS, find_tap_points, no_match
from raysel.network.weights import digest
from raysel.neurons import ReceptiveField, Tap

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
    normalize = Normalization(preprocessing, average_image)
    try:
        tapped = _tap(config, imported, size, normalize)
    except UntraceableError as error:
        raise RayselError(
            f"{shown} does not take images of {size[0]} x {size[1]} pixels, three channels: {error}"
        ) from error
    weights_digest = digest(imported.module, average_image)
    notes = (*imported.notes, *tapped.notes)
    network = Network(
        name=shown,
        preprocessing=preprocessing,
        taps=tapped.taps,
        weights_digest=weights_digest,
        forward=tapped.forward,
        normalize=normalize,
        dtype=config.dtype,
        notes=notes,
    )
    if config.dtype != "float32":
        _check_precision(network)
    return network


def _check_precision(network: Network) -> None:
    """Run a black image, as only a forward shows whether every operation takes what the one before it returns.

    Raises:
        RayselError: the network does not run in its precision.
    """
    try:
        network.run(torch.zeros(1, *network.preprocessing.input_size, 3, dtype=torch.uint8), lambda tap, map_: None)
    except Exception as error:  # the network's code can raise anything
        raise RayselError(
            f"{network.name} does not run in {network.dtype} ({type_and_first_line(error)}): leave --dtype out"
        ) from error


def with_absolute_paths(config: NetworkConfig) -> NetworkConfig:
    """`config` with absolute paths of its local files, for processes in another working directory."""
    return map_paths(config, lambda path: path if path == RANDOM else absolute_if_exists(path))


class _Tapped(NamedTuple):
    taps: tuple[Tap, ...]
    forward: Forward
    notes: tuple[str, ...] = ()


def _tap(config: NetworkConfig, imported: ImportedNetwork, size: Size, normalize: Normalization) -> _Tapped:
    traced = _trace(imported, size)
    if traced is not None:
        return _tap_graph(config, traced, size)
    return _tap_modules(config, imported.module, [normalize(images) for images in _probes(size)])


def _probes(size: Size) -> list[torch.Tensor]:
    """Images that may take different branches of a network: black, gray, white and noise, two of each."""
    noise = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return [*(torch.full_like(noise, value) for value in (0, 128, 255)), noise]


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


def _tap_graph(config: NetworkConfig, traced: Traced, size: Size) -> _Tapped:
    fields = TensorReceptiveFields(traced, size)
    points, note = find_tap_points(traced, config.layers, config.tap, fields.channels_dim)
    taps = []
    for point in points:
        shape = channels_first(traced.tensor_shape(point.node) or (), point.channels_dim)
        field = fields.receptive_field(point.node)
        taps.append(Tap(point.layer, shape[1], _map_size(shape), field, point.reading, point.depth))
    if any(tap.receptive_field.fixed and tap.map_size != (1, 1) for tap in taps):
        without = TensorReceptiveFields(traced, size, local=True)
        local = [without.receptive_field(point.node) for point in points]
        taps = [
            replace(t, local=None if each == t.receptive_field else each) for t, each in zip(taps, local, strict=True)
        ]
    nodes = [point.node for point in points]
    traced, batch_note = _each_image_by_itself(config, traced, nodes)
    forward = GraphForward(traced, nodes, [point.channels_dim for point in points])
    return _Tapped(tuple(taps), forward, tuple(each for each in (note, batch_note) if each))


def _each_image_by_itself(config: NetworkConfig, traced: Traced, read: list[fx.Node]) -> tuple[Traced, str | None]:
    """The graph, for batches of one image if images of a batch influence each other before the nodes `read`, which a
    note then says.

    Raises:
        RayselError: their values are random.
    """
    graph = OperationGraph(traced)
    if (random := random_operation(graph, read)) is not None:
        raise RayselError(
            f"{redact_uri(config.network)}: {random} gives other values in every forward; if it is meant for training, "
            "make it depend on self.training, or leave the layers behind it out with --layers"
        )
    over = None if traced.batch == 1 else operation_over_images(graph, read)
    if over is None:
        return traced, None
    if traced.batch is not None:
        raise RayselError(
            f"{redact_uri(config.network)}: {over} mixes the {traced.batch} images of a batch: export the program with "
            "a batch of one image, or of any size"
        )
    return replace(traced, batch=1), f"{over} mixes the images of a batch, so each image runs alone"


def _tap_modules(config: NetworkConfig, module: nn.Module, probes: list[torch.Tensor]) -> _Tapped:
    if BLOCKS in config.layers:
        raise RayselError(f"the network cannot be traced, so its {BLOCKS} are not known: name modules with --layers")
    called = called_modules(module, probes)
    skipped = ", ".join(never_called(module, called))
    notes = (f"never called for black, gray, white and noise images, so not read: {skipped}",) if skipped else ()
    chosen = choose_modules(called, config.layers)
    if not chosen:
        fault = no_match(" ".join(config.layers), [call.name for call in called if call.convolution])
        raise RayselError("; ".join((fault, *notes)))
    size = (int(probes[0].shape[2]), int(probes[0].shape[3]))
    whole = ReceptiveField.whole_input(size, "the network cannot be traced")
    taps = []
    for call, depth in chosen:
        caveat = "" if call.always else "; not called for every image"
        reading = f"{'convolution' if call.convolution else 'output'} (the network cannot be traced{caveat})"
        shape = channels_first(call.shape, call.channels_dim)
        taps.append(Tap(call.name, shape[1], _map_size(shape), whole, reading, depth))
    return _Tapped(tuple(taps), HookedForward(module, [call for call, _ in chosen]), notes)


def _map_size(shape: tuple[int, ...]) -> Size:
    return (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
