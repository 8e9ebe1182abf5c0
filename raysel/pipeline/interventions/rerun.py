"""The stage of interventions: actors run the jobs, each of whose results is a file, so that a killed run resumes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from raysel.config import NetworkConfig
from raysel.errors import RayselError
from raysel.interventions import INTERVENTIONS, Intervention, chosen, measured
from raysel.neurons import Tap
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.context import Run
from raysel.pipeline.derive.inputs import Inputs
from raysel.pipeline.derive.machines import clear_machines, fill_machines
from raysel.pipeline.derive.task_runner import TaskRunner
from raysel.pipeline.interventions.jobs import Entries, Job, jobs_of
from raysel.pipeline.progress import Stage
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.state import RunningState
from raysel.store import RUNS_PREFIX, get_snapshot, put_snapshot


def with_interventions(run: Run, state: RunningState, taps: tuple[Tap, ...], neurons: pa.Table) -> pa.Table:
    """The neurons table with the columns of the interventions that the configuration names.

    Args:
        run: the run.
        state: after the scan.
        taps: with the receptive fields that crops are cut to.
        neurons: a row per neuron; the columns of all interventions are null.

    Raises:
        RayselError: an image cannot be read any more, the network has changed, or what a worker raised.
    """
    interventions = chosen(run.config.derive.interventions)
    if not interventions:
        return neurons
    rankings, options = state.rankings(), run.config.derive
    most = min(options.n_max, options.intervention_images or options.n_max)
    n = rankings.taking_part(most, options.min_relative_activation)
    entries = Entries.of(taps, rankings, n)
    found = _responses(run, entries, interventions)
    ends, activations = np.cumsum(n), rankings.activations
    for intervention in interventions:
        rows: list[dict[str, Any]] = []
        for neuron, (end, count) in enumerate(zip(ends.tolist(), n.tolist(), strict=True)):
            g = found[intervention.name][end - count : end]
            rows.append(measured(intervention, g, activations[neuron, :count]) if count else {})
        for column in intervention.columns:
            values = pa.array([row.get(column.name) for row in rows], column.type)
            neurons = neurons.set_column(neurons.schema.get_field_index(column.name), column, values)
    return neurons


def _responses(run: Run, entries: Entries, interventions: Sequence[Intervention]) -> dict[str, NDArray[np.float32]]:
    """Intervention -> float32 [entries, variants]."""
    found = {each.name: np.full((len(entries), each.variants), np.nan, np.float32) for each in interventions}
    jobs, missing = list(jobs_of(entries, interventions)), []
    with run.reporter.stage("interventions", "jobs", len(jobs)) as stage, as_raysel_error_from_worker():
        for job in jobs:
            known = get_snapshot(run.folder, f"{_folder(run)}/{job.name}")
            if known is None or len(known.get("responses", ())) != len(job.rows):
                missing.append(job)
            else:
                found[job.intervention][job.rows] = known["responses"]
        stage.resume_at(len(jobs) - len(missing))
        _run_jobs(run, entries, missing, found, stage)
    return found


def _run_jobs(run: Run, entries: Entries, jobs: list[Job], found: dict[str, NDArray[np.float32]], stage: Stage) -> None:
    if not jobs:
        return
    from raysel.network import with_absolute_paths  # with torch, which other options of derive do not need

    run.load()  # fails here, in one line, if it is not the network of the scan
    config, layout = run.config.scan, ScanLayout.of(run.config.scan, run.cluster(), len(jobs))
    ids = np.unique(entries.image)
    inputs = Inputs.of(run.source, run.network.preprocessing, run.images, ids, run.config.derive.cache_gb)
    shared = ray.put(inputs)
    retries = config.task_retries if config.actor_restarts else 0
    resources = layout.actor_resources
    remote = ray.remote(max_restarts=config.actor_restarts, max_task_retries=retries, **resources)(InterventionActor)
    network = with_absolute_paths(run.config.network)
    settings = _Settings(network, run.network.weights_digest, layout.batch, layout.device)
    actors: list[Any] = []
    try:
        fill_machines(inputs, shared, TaskRunner(config, run.cluster()), run.reporter.say)
        actors += [remote.remote(settings, shared) for _ in range(min(layout.workers, len(jobs)))]
        for job, values in _results(actors, entries, jobs, config.no_progress_timeout_s):
            found[job.intervention][job.rows] = values
            put_snapshot(run.folder, f"{_folder(run)}/{job.name}", {"responses": values})
            stage.advance(1)
    finally:
        for actor in actors:
            ray.kill(actor)
        clear_machines(shared)


def _results(
    actors: list[Any], entries: Entries, jobs: list[Job], limit: int
) -> Iterator[tuple[Job, NDArray[np.float32]]]:
    """Each job as it ends, and its responses. An actor gets its first job when it has a place in the cluster."""
    waiting, left = deque(jobs), len(jobs)
    running = {actor.__ray_ready__.remote(): actor for actor in actors}
    while left:
        ended, _ = ray.wait(list(running), timeout=limit if limit >= 0 else None)
        if not ended:
            raise RayselError(
                f"no job of the interventions ended for {limit} s (no_progress_timeout_s): look at the cluster, then "
                "run again to resume"
            )
        actor = running.pop(ended[0])
        if (result := ray.get(ended[0])) is not True:
            left -= 1
            yield result
        if waiting:
            job = waiting.popleft()
            running[actor.run.remote(job, entries.take(job.rows))] = actor


def _folder(run: Run) -> str:
    return f"{RUNS_PREFIX}/{run.fingerprints.index}/interventions"


@dataclass(frozen=True)
class _Settings:
    network: NetworkConfig
    weights_digest: str
    batch: int
    device: str


class InterventionActor:
    """Runs jobs. It keeps no results, so a job that runs again gives the same."""

    def __init__(self, settings: _Settings, inputs: Inputs) -> None:
        from raysel.pipeline.scan.actor import actor_network  # torch is for the actors only

        self._network = actor_network(settings.network, settings.weights_digest, settings.device)
        self._batch, self._inputs = settings.batch, inputs

    def run(self, job: Job, entries: Entries) -> tuple[Job, NDArray[np.float32]]:
        """The responses of the job's entries, float32 [entries, variants]."""
        from raysel.pipeline.interventions.responses import responses

        pixels, rows, _ = self._inputs.gather(entries.image)
        return job, responses(self._network, INTERVENTIONS[job.intervention], entries, pixels, rows, self._batch)
