"""From rankings to neuron features and indexes: CPU tasks per chunk of neurons, a writer per layer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysel.config import DeriveConfig, RunConfig, ScanConfig
from raysel.errors import RayselError
from raysel.network import Tap
from raysel.neurons import Rankings
from raysel.pipeline.derive.chunk import Chunk, Labels, derive_chunk
from raysel.pipeline.derive.chunk_files import ChunkFiles
from raysel.pipeline.derive.inputs import Inputs, Tally
from raysel.pipeline.progress import Stage
from raysel.pipeline.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.scan.extractor import first_neurons
from raysel.store import FileEntry, neurons_schema

FILL_IMAGES = 128
"""Images that one task decodes onto its machine's disk."""
CHUNK_NEURONS = 32
"""Neurons of one layer in one task."""
_REMOVE_S = 60


@dataclass
class Derived:
    """What derive has made, and what it has cost this time."""

    neurons: pa.Table = field(default_factory=lambda: neurons_schema().empty_table())
    """A row per neuron, with every index."""
    files: list[FileEntry] = field(default_factory=list)
    """Features and sheets, a file each per layer."""
    images_needed: int = 0
    """Distinct images that took part."""
    tally: Tally = field(default_factory=Tally)
    """Reading and decoding."""
    kernel_s: float = 0.0
    """CPU seconds of crops, features and indexes, decoding not counted."""
    crops: int = 0


def chunks_of(taps: tuple[Tap, ...], rankings: Rankings, n: NDArray[np.int64]) -> Iterator[Chunk]:
    """All neurons, in order, cut into chunks of one layer each."""
    for tap, first in zip(taps, first_neurons(taps), strict=False):
        for channel in range(0, tap.channels, CHUNK_NEURONS):
            channels = range(channel, min(channel + CHUNK_NEURONS, tap.channels))
            rows = slice(first + channels.start, first + channels.stop)
            yield Chunk(tap, channels.start, rankings[rows], n[rows])


def images_needed(chunks: list[Chunk]) -> NDArray[np.int64]:
    """Ascending ids of the images that take part in any neuron's feature."""
    ids = np.unique(np.concatenate([chunk.images().ravel() for chunk in chunks])) if chunks else np.empty(0, np.int64)
    return ids[ids >= 0]


def derive(
    chunks: list[Chunk], inputs: Inputs, labels: Labels, config: RunConfig, files: ChunkFiles, stage: Stage
) -> Derived:
    """Features, sheets and indexes of all neurons of `chunks`; those that are in `files` already are not derived again.

    Args:
        chunks: of all layers, in order.
        inputs: at least the images of the chunks that are not in `files`.
        labels: of the source's images.
        config: of the run.
        files: where chunks are put, and from which layers are written.
        stage: counts neurons.

    Raises:
        RayselError: what a task refused, or no task ended for ``no_progress_timeout_s``.
    """
    moving = TaskRunner(config.scan)
    derived = Derived(images_needed=len(inputs.ids), crops=sum(int(chunk.n.sum()) for chunk in chunks))
    shared, shared_labels = ray.put(inputs), ray.put(labels)
    present = files.present()
    layers = [
        _Layer(layer, list(of_layer), files, moving) for layer, of_layer in groupby(chunks, lambda each: each.tap.layer)
    ]
    waiting = deque((layer, chunk) for layer in layers for chunk in layer.missing(present))
    stage.advance(sum(len(chunk.n) for chunk in chunks) - sum(len(chunk.n) for _, chunk in waiting))
    running: dict[ray.ObjectRef, tuple[_Layer, Chunk]] = {}
    try:
        with as_raysel_error_from_worker():
            _fill(shared, inputs, derived.tally, moving)
            while waiting or running:
                while waiting and len(running) < _in_flight():
                    layer, chunk = waiting.popleft()
                    name = files.name(chunk.tap.layer, chunk.first_channel)
                    task = moving.task(_chunk)
                    running[task.remote(chunk, name, shared, shared_labels, config.derive, files)] = layer, chunk
                for ref in moving.next(list(running)):
                    layer, chunk = running.pop(ref)
                    tally, kernel_s = ray.get(ref)
                    derived.tally.add(tally)
                    derived.kernel_s += kernel_s
                    stage.advance(len(chunk.n))
                    layer.one_is_done()
            for rows, written in moving.all([layer.writing for layer in layers]):
                derived.neurons = pa.concat_tables([derived.neurons, rows])
                derived.files += written
    finally:
        removing = [_remove.options(**_on(node)).remote(shared) for node in _nodes()]
        ray.wait(removing, num_returns=len(removing), timeout=_REMOVE_S)  # what stays goes after a day
    derived.neurons = derived.neurons.cast(neurons_schema())
    return derived


class _Layer:
    """A layer on its way: it is written as soon as its last chunk is done, while others' chunks run."""

    def __init__(self, layer: str, chunks: list[Chunk], files: ChunkFiles, moving: TaskRunner) -> None:
        self._layer, self._chunks, self._files, self._moving = layer, chunks, files, moving
        self._names = [files.name(layer, chunk.first_channel) for chunk in chunks]
        self._left = 0
        self.writing: Any = None

    def missing(self, present: set[str]) -> list[Chunk]:
        """Its chunks that are not there yet."""
        missing = [chunk for chunk, name in zip(self._chunks, self._names, strict=True) if name not in present]
        self._left = len(missing)
        if not missing:
            self._write()
        return missing

    def one_is_done(self) -> None:
        """One of the missing chunks is there."""
        self._left -= 1
        if not self._left:
            self._write()

    def _write(self) -> None:
        self.writing = self._moving.task(_write_layer).remote(self._files, self._layer, self._names)


def _in_flight() -> int:
    """Enough tasks that no CPU waits for the driver, and few enough that rankings do not pile up in memory."""
    return 4 * max(1, int(ray.cluster_resources().get("CPU", 1)))


@dataclass(frozen=True)
class TaskRunner:
    """How often tasks may die, and how long none may end."""

    config: ScanConfig

    def task(self, function: Any, **options: Any) -> Any:
        """The function as a task that runs again when its worker or machine dies."""
        return function.options(max_retries=self.config.task_retries, **options)

    def next(self, running: list[ray.ObjectRef]) -> list[ray.ObjectRef]:
        """The tasks that have ended, one at least."""
        limit = self.config.no_progress_timeout_s
        ended, _ = ray.wait(running, timeout=None if limit < 0 else limit)
        if not ended:
            raise RayselError(
                f"no task of derive ended for {limit} s (no_progress_timeout_s): see what the cluster does, and run "
                "again: it goes on where it was"
            )
        return ended

    def all(self, refs: list[ray.ObjectRef]) -> list[Any]:
        """What all of the tasks return."""
        left = list(refs)
        while left:
            ended = set(self.next(left))
            left = [ref for ref in left if ref not in ended]
        return ray.get(refs)


def _fill(shared: ray.ObjectRef, inputs: Inputs, tally: Tally, moving: TaskRunner) -> None:
    """Decode onto every machine's disk what its tasks will want."""
    nodes = _nodes()
    waiting = deque((part, node) for part in inputs.parts(FILL_IMAGES) for node in nodes)
    running: list[ray.ObjectRef] = []
    while waiting or running:
        while waiting and len(running) < _in_flight():
            part, node = waiting.popleft()
            running.append(moving.task(_fill_part, **_on(node)).remote(shared, part))
        ready = set(moving.next(running))
        running = [ref for ref in running if ref not in ready]
        for spent in ray.get(list(ready)):
            tally.add(spent)


def _nodes() -> list[str]:
    """Machines that can run a CPU task."""
    return [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def _on(node: str) -> dict[str, NodeAffinitySchedulingStrategy]:
    # Soft: if the machine is gone by then, another does the work for itself.
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=True)}


@ray.remote(num_cpus=1)
def _fill_part(inputs: Inputs, ids: NDArray[np.int64]) -> Tally:
    inputs.clear_leftovers()
    return inputs.fill(ids)


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def _chunk(
    chunk: Chunk, name: str, inputs: Inputs, labels: Labels, config: DeriveConfig, files: ChunkFiles
) -> tuple[Tally, float]:
    derived, pictures = derive_chunk(chunk, inputs, labels, config)
    files.put(name, derived.rows, pictures)
    return derived.tally, derived.kernel_s


@ray.remote(num_cpus=1)
def _write_layer(files: ChunkFiles, layer: str, names: list[str]) -> tuple[pa.Table, list[FileEntry]]:
    return files.write_layer(layer, names)


@ray.remote(num_cpus=0)
def _remove(inputs: Inputs) -> None:
    inputs.remove()
