"""The derive stage: CPU tasks per chunk of neurons, and one per layer that writes the layer's tables."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from raysel.config import DeriveConfig
from raysel.neurons import Rankings, Tap, first_neurons
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.derive.chunk import Chunk, Labels, derive_chunk
from raysel.pipeline.derive.chunk_files import ChunkFiles
from raysel.pipeline.derive.inputs import Cost, Inputs
from raysel.pipeline.derive.machines import clear_machines, fill_machines
from raysel.pipeline.derive.task_runner import TaskRunner
from raysel.pipeline.progress import Stage
from raysel.pipeline.scan.state import RunningState
from raysel.selectivity import check_plugins, plugin_versions
from raysel.store import FileEntry

if TYPE_CHECKING:  # tasks import this module, and need no torch
    from raysel.pipeline.context import Run

CHUNK_NEURONS = 32
"""Neurons of one layer in one task."""


@dataclass(frozen=True)
class Derived:
    """What derive made, and what it cost this time."""

    taps: tuple[Tap, ...]
    """With the receptive fields that crops were cut to."""
    neurons: pa.Table
    """A row per neuron, with every index."""
    files: list[FileEntry]
    """Features and sheets, a file each per layer."""
    images_needed: int
    """Distinct images of the chunks that were derived."""
    crops: int
    """Crops of all neurons."""
    cost: Cost


@dataclass(frozen=True)
class _Work:
    """What there is to derive, and from what."""

    chunks: list[Chunk]
    """The chunks of all layers, in order."""
    missing: list[Chunk]
    """Those that have no file yet."""
    needed: NDArray[np.int64]
    """Ascending ids of the images of the missing chunks."""
    labels: Labels
    files: ChunkFiles

    @classmethod
    def of(cls, run: Run, state: RunningState, taps: tuple[Tap, ...]) -> _Work:
        files, options = ChunkFiles(run.tables), run.config.derive
        n = state.rankings().taking_part(options.n_max, options.min_relative_activation)
        chunks, present = list(chunks_of(taps, state.rankings(), n)), files.present()
        missing = [chunk for chunk in chunks if files.name(chunk) not in present]
        return cls(chunks, missing, images_needed(missing), Labels.of(run.images, state.covered, run.concepts), files)


def derive(run: Run, state: RunningState, taps: tuple[Tap, ...]) -> Derived:
    """Features, contact sheets and indexes of all neurons. Chunks that an earlier run derived are not derived again.

    `taps`: with the receptive fields that crops are cut to.

    Raises:
        RayselError: an image cannot be read any more, a chunk is damaged, a file cannot be written, or no task ended
            for ``no_progress_timeout_s``.
    """
    work = _Work.of(run, state, taps)
    done, neurons = len(work.chunks) - len(work.missing), sum(len(chunk.n) for chunk in work.chunks)
    if done:
        run.reporter.say(f"derive: resuming: {done:,} of {len(work.chunks):,} chunks are done")
    run.cluster()
    with run.reporter.stage("derive", "neurons", neurons) as stage, as_raysel_error_from_worker():
        stage.resume_at(neurons - sum(len(chunk.n) for chunk in work.missing))
        layers, cost = _results(run, work, stage)
    return Derived(
        taps=taps,
        neurons=pa.concat_tables([rows for rows, _ in layers]),
        files=[entry for _, written in layers for entry in written],
        images_needed=len(work.needed),
        crops=sum(int(chunk.n.sum()) for chunk in work.chunks),
        cost=cost,
    )


def chunks_of(taps: Sequence[Tap], rankings: Rankings, n: NDArray[np.int64]) -> Iterator[Chunk]:
    """All neurons, in order, cut into chunks of one layer each. `n`: how many entries of each ranking take part."""
    for tap, first in zip(taps, first_neurons(taps), strict=False):
        for channel in range(0, tap.channels, CHUNK_NEURONS):
            rows = slice(first + channel, first + min(channel + CHUNK_NEURONS, tap.channels))
            yield Chunk(tap, channel, rankings[rows], n[rows])


def images_needed(chunks: list[Chunk]) -> NDArray[np.int64]:
    """Ascending ids of the images that take part in any neuron's feature."""
    ids = np.unique(np.concatenate([chunk.images().ravel() for chunk in chunks])) if chunks else np.empty(0, np.int64)
    return ids[ids >= 0]


def _results(run: Run, work: _Work, stage: Stage) -> tuple[list[tuple[pa.Table, list[FileEntry]]], Cost]:
    """Each layer's rows of the neurons table and the files written for it, in order; and what it cost.

    A layer is written as soon as its last chunk is there, while chunks of others are derived.
    """
    runner, options = TaskRunner(run.config.scan, run.cluster()), run.config.derive
    names = {
        layer: [work.files.name(chunk) for chunk in chunks]
        for layer, chunks in groupby(work.chunks, lambda chunk: chunk.tap.layer)
    }
    left = Counter(chunk.tap.layer for chunk in work.missing)
    waiting: deque[Chunk | str] = deque([*(layer for layer in names if not left[layer]), *work.missing])
    inputs = Inputs.of(run.source, run.network.preprocessing, run.images, work.needed, options.cache_gb)
    shared, labels, plugins = ray.put(inputs), ray.put(work.labels), plugin_versions()

    def start(job: Chunk | str) -> ray.ObjectRef:
        if isinstance(job, str):
            return runner.task(_write_layer).remote(work.files, job, names[job], plugins)
        return runner.task(_derive_chunk).remote(job, shared, labels, options, work.files, plugins)

    written = {}
    try:
        cost = fill_machines(inputs, shared, runner, run.reporter.say)
        for job, result in runner.results(waiting, start):
            if isinstance(job, str):
                written[job] = result
                continue
            cost.add(result)
            stage.advance(len(job.n))
            left[job.tap.layer] -= 1
            if not left[job.tap.layer]:
                waiting.appendleft(job.tap.layer)
    finally:
        clear_machines(shared)
    return [written[layer] for layer in names], cost


@ray.remote(num_cpus=1)
def _write_layer(
    files: ChunkFiles, layer: str, names: list[str], plugins: dict[str, str]
) -> tuple[pa.Table, list[FileEntry]]:
    check_plugins(plugins)
    return files.write_layer(layer, names)


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def _derive_chunk(
    chunk: Chunk, inputs: Inputs, labels: Labels, config: DeriveConfig, files: ChunkFiles, plugins: dict[str, str]
) -> Cost:
    check_plugins(plugins)
    rows, cost = derive_chunk(chunk, inputs, labels, config)
    files.put(files.name(chunk), rows)
    return cost
