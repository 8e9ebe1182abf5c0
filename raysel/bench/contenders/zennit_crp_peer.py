"""zennit-crp: its feature visualization, which ranks images by activation and by relevance."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from crp.visualization import FeatureVisualization
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlusFlat

from raysel.bench.contenders.peer_images import prepared
from raysel.bench.contenders.report import Report
from raysel.bench.scan_job import TOP, ScanJob
from raysel.bench.scores import Top
from raysel.network import computing_in

_BATCH = 32


def run(job: ScanJob, _settings: dict[str, Any], work: Path) -> Report:
    """See `raysel.bench.contenders.report.Contender`. ``max_target="max"``, ``abs_norm=False``, sample size `TOP`."""
    images, bare, layers, results = prepared(job)
    concepts = dict.fromkeys(layers, ChannelConcept())
    tool = FeatureVisualization(
        CondAttribution(bare.module), images, concepts, max_target="max", abs_norm=False, path=str(work / "crp")
    )
    tool.ActMax.SAMPLE_SIZE = tool.RelMax.SAMPLE_SIZE = TOP
    composite = EpsilonPlusFlat(canonizers=[SequentialMergeBatchNorm()])
    with computing_in(job.network.dtype, job.device):
        tool.run(composite, 0, len(images), batch_size=_BATCH, checkpoint=len(images))
    results[-1] = time.monotonic(), results[-1][1]
    tables = {kind: [np.load(tool.ActMax.PATH / f"{layer}_{kind}.npy") for layer in layers] for kind in ("data", "rel")}
    ids, activations = (np.concatenate([_filled(each) for each in tables[kind]]) for kind in ("data", "rel"))
    top = Top(np.where(activations > 0, ids, -1), activations.astype(np.float32))
    return Report(results, settings={"batch": _BATCH, "threads": job.cores}, top=top)


def _filled(table: np.ndarray) -> np.ndarray:
    """[images, channels] as [channels, `TOP`]."""
    return np.pad(table.T, ((0, 0), (0, TOP - len(table))), constant_values=-1)
