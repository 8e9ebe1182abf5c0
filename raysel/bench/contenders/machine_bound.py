"""What the machine allows: ``cores / (decode + forward)``, both measured alone, on one thread, with all cores busy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from threading import Barrier
from typing import Any, NamedTuple

import numpy as np
import torch

from raysel.bench.contenders.report import Report
from raysel.bench.scan_job import ScanJob
from raysel.network import computing_in, keep_freed_memory

_BATCHES = (4, 8, 16, 32, 64)
_IMAGES = 192
"""Images that a process measures."""
_TRIED_IMAGES = 64
"""Images with which it tries each batch."""
_WAIT_S = 600


class Part(NamedTuple):
    """Seconds for one image."""

    wall: float
    cpu: float


class Measured(NamedTuple):
    """What one process measured."""

    decoding: Part
    forward: Part | None
    """None if another process runs the GPU's."""
    batch: int


def run(job: ScanJob, settings: dict[str, Any], _work: Path) -> Report:
    """See `raysel.bench.contenders.report.Contender`.

    On a CPU a process per core first decodes, then runs the module forward, each together with all others. A GPU runs
    one of these processes' forwards while the CPUs decode: the slower of both is the bound.
    """
    context = get_context("spawn")
    barrier = context.Barrier(job.cores)
    with context.Pool(job.cores, _share, (barrier,)) as pool:
        tasks = [(job.to_json(), settings, number) for number in range(job.cores)]
        measured = pool.starmap(_measure, tasks, chunksize=1)
    parts = [each.decoding for each in measured], [each.forward for each in measured if each.forward]
    decode_s, forward_s = (mean(part.wall for part in each) for each in parts)
    rate = min(job.cores / decode_s, job.gpus / forward_s) if job.gpus else job.cores / (decode_s + forward_s)
    return Report(
        rate=rate,
        cpu_ms=1e3 * sum(mean(part.cpu for part in each) for each in parts),
        settings={
            "batch": measured[0].batch,
            "decode_ms": round(1e3 * decode_s, 3),
            "forward_ms": round(1e3 * forward_s, 3),
        },
    )


_barrier: Barrier


def _share(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _measure(job_text: str, settings: dict[str, Any], number: int) -> Measured:
    """What process `number` measures. If one fails, the others fail too: they would wait for it."""
    try:
        return _measured(job_text, settings, number)
    except BaseException:
        _barrier.abort()
        raise


def _measured(job_text: str, settings: dict[str, Any], number: int) -> Measured:
    torch.set_num_threads(1)
    keep_freed_memory()
    job = ScanJob.from_json(job_text)
    files = job.images()
    contents = [files.content(k % len(files)) for k in range(number, number + _IMAGES * job.cores, job.cores)]
    pixels = torch.from_numpy(np.stack([files.decoded(each) for each in contents]))
    decoding = _timed(lambda: [files.decoded(each) for each in contents], _IMAGES)
    if job.gpus and number:
        return Measured(decoding, None, 0)
    bare = job.bare
    module = bare.module.to(memory_format=torch.channels_last)

    def forward(images: int, batch: int) -> Callable[[], object]:
        def run_all() -> None:
            for start in range(0, images, batch):
                module(bare.normalize(pixels[start : start + batch]))
            if job.gpus:
                torch.cuda.synchronize()

        return run_all

    alone = bool(job.gpus)
    with torch.inference_mode(), computing_in(job.network.dtype, job.device):
        batch = settings.get("batch") or _best(lambda size: _timed(forward(_TRIED_IMAGES, size), _TRIED_IMAGES, alone))
        return Measured(decoding, _timed(forward(_IMAGES, batch), _IMAGES, alone), batch)


def _best(seconds: Callable[[int], Part], batches: Sequence[int] = _BATCHES) -> int:
    seconds(batches[0])  # warm
    return min(batches, key=lambda batch: seconds(batch).wall)


def _timed(work: Callable[[], object], images: int, alone: bool = False) -> Part:
    """Time for one image, while the other processes do the same unless it runs `alone`."""
    if not alone:
        _barrier.wait(_WAIT_S)
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return Part((time.perf_counter() - wall) / images, (time.thread_time() - cpu) / images)
