"""A DataLoader with a bare forward, which computes nothing of its outputs: tuned over batch, threads and workers."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from raysel.bench.contenders.image_batches import image_batches
from raysel.bench.contenders.report import Report
from raysel.bench.scan_job import BareNetwork, ImageFiles, ScanJob
from raysel.network import computing_in, keep_freed_memory

_BATCHES = (4, 8, 16, 32, 64)
_TRIAL_S, _TRIAL_BATCHES = 1.5, 4


def run(job: ScanJob, settings: dict[str, Any], _work: Path) -> Report:
    """See `raysel.bench.contenders.report.Contender`. The search is part of the first round's start."""
    keep_freed_memory()
    files, bare = job.images(), job.bare
    bare.module.to(memory_format=torch.channels_last)
    settings = settings or _tuned(job, files, bare)
    return Report(_results(job, files, bare, settings), settings=settings)


def _tuned(job: ScanJob, files: ImageFiles, bare: BareNetwork) -> dict[str, Any]:
    """Batch and threads with one worker per thread that is left, then workers with the best of these."""

    def rate(settings: dict[str, Any]) -> float:
        results = _results(job, files, bare, settings, trial=True)
        seconds = results[-1][0] - results[0][0]
        return sum(images for _, images in results[1:]) / seconds if seconds else 0.0

    threads = sorted({1, max(job.cores // 2, 1), job.cores})
    tried = [
        {"batch": batch, "threads": count, "workers": max(job.cores - count, 1)}
        for batch, count in product(_BATCHES, threads)
        if batch * 2 <= len(files)
    ] or [{"batch": 1, "threads": 1, "workers": 1}]
    best = max(tried, key=rate)
    return max([{**best, "workers": workers} for workers in sorted({1, best["workers"], job.cores})], key=rate)


def _results(
    job: ScanJob, files: ImageFiles, bare: BareNetwork, settings: dict[str, Any], trial: bool = False
) -> list[tuple[float, int]]:
    """Times of the batches with their numbers of images; of the first ones in a trial."""
    torch.set_num_threads(settings["threads"])
    results: list[tuple[float, int]] = []
    with torch.inference_mode(), computing_in(job.network.dtype, job.device):
        for pixels in image_batches(files, settings["batch"], settings["workers"], pinned=bool(job.gpus)):
            bare.module(bare.normalize(pixels))
            if job.gpus:
                torch.cuda.synchronize()
            results.append((time.monotonic(), len(pixels)))
            if trial and len(results) > _TRIAL_BATCHES and results[-1][0] - results[0][0] > _TRIAL_S:
                break
    return results
