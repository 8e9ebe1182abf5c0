"""The stream of a scan: what the calls of its actors find, merged in groups if there are many calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysel.network import with_absolute_paths
from raysel.neurons import first_neurons
from raysel.pipeline.context import Run
from raysel.pipeline.scan.actor import ActorSettings, ScanActor
from raysel.pipeline.scan.actor_stream import ASIDE_CPUS, ActorStream
from raysel.pipeline.scan.call_result import CallResult, merge_rows, rows_per_merge
from raysel.pipeline.scan.layout import scan_calls


def call_results(
    runs: Sequence[Run], stream: ActorStream, missing: NDArray[np.int64], cutoffs: Any
) -> Iterator[CallResult]:
    """What the networks' neurons do on some images; in long scans each result is of several calls.

    Args:
        runs: one, or several that differ in the weights of their networks only.
        stream: from the images to a pool of actors.
        missing: ids of the images, int64.
        cutoffs: Ray's handle of the `CutoffKeeper`.

    Raises:
        MachineLost: the stream must begin again, over the images that it has not delivered.
        RayselError: nothing moved for longer than the configuration allows.
    """
    config, neurons = runs[0].config.scan, sum(first_neurons(run.network.taps)[-1] for run in runs)
    settings = ActorSettings(
        tuple((with_absolute_paths(run.config.network), run.network.weights_digest) for run in runs),
        stream.layout.batch,
        stream.layout.device,
        neurons,
        cutoffs,
    )
    calls = stream.through(missing, ScanActor, settings=settings)
    rows = rows_per_merge(scan_calls(config, len(missing)), config.call_images * neurons)
    if rows > 1:
        calls = calls.map_batches(
            partial(merge_rows, depth=config.rank_depth),
            batch_size=rows,
            batch_format="pyarrow",
            num_cpus=ASIDE_CPUS,
            max_retries=config.task_retries,
        )
    for table in stream.tables(calls):
        yield CallResult.from_rows(table)
