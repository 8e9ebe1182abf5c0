"""Whole runs of raysel over the zoo, and what they leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from raysel.config import DeriveConfig, NetworkConfig, RunConfig, ScanConfig, SourceConfig
from raysel.pipeline.progress import Reporter
from raysel.pipeline.publish import Outcome
from raysel.pipeline.run import index
from raysel.store import Manifest

BATCH = 8
LAYERS = ("first", "second", "whole", "hot", "clash")
# Small slices and calls, so that several actors get some. One actor is the default: each takes seconds to start.
SCAN = ScanConfig(workers=1, batch_size=BATCH, call_images=8, slice_images=16, rank_depth=40)
DERIVE = DeriveConfig(n_max=20)


def zoo_run(out: Path, images: str, log: Path, **scan: Any) -> RunConfig:
    """A run over the zoo that writes down in `log` where it decodes and runs the network; see `tests.networks.zoo`."""
    return RunConfig(
        out=str(out),
        source=SourceConfig(images=images),
        network=NetworkConfig(network="tests.networks:zoo", network_args={"log": str(log)}, layers=LAYERS),
        scan=replace(SCAN, **scan),
        derive=DERIVE,
    )


def run(config: RunConfig) -> Outcome:
    """Run it on the tests' Ray."""
    return index(config, Reporter())


def digests(manifest: Manifest) -> dict[str, str]:
    """Name below the folder of the tables -> sha256."""
    return {entry.name.removeprefix(f"{manifest.data}/"): entry.sha256 for entry in manifest.files}


def table(out: str | Path, manifest: Manifest, name: str) -> Any:
    """A table of the index, read as any Parquet reader does."""
    return pq.ParquetFile(Path(out) / manifest.data / name).read()


Event = tuple[str, int, str, float, str]
"""(event, process, actor or -, its GPUs, worker or driver)"""


def notes(log: Path) -> list[Event]:
    """Every line of a log."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(event, int(pid), actor, float(gpus), kind) for event, pid, actor, gpus, kind in lines]
