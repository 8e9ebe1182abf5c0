"""semanticlens: its collection of the images that activate each channel most, by the maximum over space."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from semanticlens.component_visualization.activation_based import ActivationComponentVisualizer
from semanticlens.component_visualization.aggregators import aggregate_conv_max

from raysel.bench.contenders.peer_images import prepared
from raysel.bench.contenders.report import Report
from raysel.bench.scan_job import TOP, ScanJob
from raysel.bench.scores import Top
from raysel.network import computing_in

_BATCH = 32


def run(job: ScanJob, _settings: dict[str, Any], _work: Path) -> Report:
    """See `raysel.bench.contenders.report.Contender`. It keeps activations in bfloat16, so that many are equal."""
    images, bare, layers, results = prepared(job)
    tool = ActivationComponentVisualizer(
        bare.module, images, images, layers, TOP, device=job.device, aggregate_fn=aggregate_conv_max
    )
    with computing_in(job.network.dtype, job.device):
        found = tool.run(batch_size=_BATCH, num_workers=job.cores)
    results[-1] = time.monotonic(), results[-1][1]
    ids = torch.cat([found[layer].sample_ids for layer in layers])
    activations = torch.cat([found[layer].activations for layer in layers]).float()
    top = Top(ids.masked_fill(activations <= 0, -1).numpy(), activations.numpy())
    return Report(results, settings={"batch": _BATCH, "threads": job.cores, "workers": job.cores}, top=top)
