"""``raysel bench``: how fast this machine is, and what a large run costs."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from raysel.cli.arguments import AsJson, IndexPlace
from raysel.cli.options import BenchNetworkOptions, BenchScanOptions, BenchSourceOptions
from raysel.config import NetworkConfig, ScanConfig, SourceConfig
from raysel.errors import RayselError, did_you_mean


def scan(
    network: BenchNetworkOptions = None,
    source: BenchSourceOptions = None,
    options: BenchScanOptions = None,
    *,
    against: Annotated[str, Parameter(metavar="NAME,...")] = "bound,forward,loop",
    rounds: PositiveInt = 3,
    as_json: AsJson = False,
) -> None:
    """Compare the scan with what the machine allows and with other ways to do the same.

    Args:
        against: Some of bound, forward, loop, semanticlens, zennit-crp.
        rounds: How often each of them runs, in turns. The figures are medians.
    """
    given = {"--network": (network or {}).get("network"), "--images": (source or {}).get("images")}
    if missing := [option for option, value in given.items() if not value]:
        raise RayselError(f"nothing to measure without {', '.join(missing)}: see raysel bench scan --help")
    from raysel.bench.contenders.report import BASELINES
    from raysel.bench.contest import contest
    from raysel.bench.scan_job import ScanJob
    from raysel.cli.output import print_json, print_table
    from raysel.pipeline.progress import Reporter

    names = [name for name in against.split(",") if name]
    for name in names:
        if name not in BASELINES:
            raise RayselError(f"--against {name}: {did_you_mean(name, BASELINES)}")
    typed = ScanConfig(**(options or {}))
    cores = typed.workers or len(os.sched_getaffinity(0))
    job = ScanJob(NetworkConfig(**(network or {})), SourceConfig(**(source or {})), cores, typed.batch_size, typed.gpus)
    with tempfile.TemporaryDirectory(prefix="raysel-bench-") as folder:
        found = contest(job, names, rounds, Path(folder), Reporter().say)
    if as_json:
        print_json(found)
        return
    columns = ["steady_images_per_second", "start_seconds", "steady_cpu_ms_per_image", "ratio", "exact"]
    rows = [{"contender": name} | {each: found[name].get(each) for each in columns} for name in ("raysel", *names)]
    print_table(["contender", *columns], rows)


def merge(
    *,
    images: PositiveInt = 1_281_167,
    neurons: tuple[PositiveInt, ...] = (2000, 27_000),
    depth: tuple[PositiveInt, ...] = (100, 400),
    as_json: AsJson = False,
) -> None:
    """Measure what the driver of a scan can handle: candidates, merging, snapshots and memory, simulated at full size.

    Args:
        images: Simulated images.
        neurons: Neurons of the network. Repeat the option to measure several numbers.
        depth: Images that a ranking keeps. Repeat the option to measure several numbers.
    """
    from raysel.bench.merge_simulation import MergeLoad, simulate_merge
    from raysel.cli.output import print_table
    from raysel.pipeline.progress import Reporter

    results, reporter = [], Reporter()
    for load in (MergeLoad(images=images, neurons=each, depth=kept) for each in neurons for kept in depth):
        name = f"{load.neurons:,} neurons, depth {load.depth}"
        with tempfile.TemporaryDirectory() as folder, reporter.stage(name, "images", images) as stage:
            results.append(simulate_merge(load, Path(folder), stage.advance).as_json())
    if as_json:
        print(json.dumps(results))
        return
    rows = [{**each.pop("load"), **each} for each in results]
    print_table([name for name in rows[0] if name not in ("call_images", "lag_images", "seed")], rows)


def plan(
    index: IndexPlace,
    /,
    *,
    images: PositiveInt = 1_281_167,
    workers: tuple[PositiveInt, ...] = (1, 4, 16, 64),
    as_json: AsJson = False,
) -> None:
    """Plan a run.

    Args:
        images: Images of the run.
        workers: GPUs of the run, or cores if the index was made on CPUs. Repeat the option for several numbers.
    """
    from raysel.cli.output import print_table
    from raysel.files import Folder
    from raysel.pipeline.operations.machine_hours import MeasuredRates, machine_hours
    from raysel.store import read_manifest

    rates = MeasuredRates.of(read_manifest(Folder.at(index).require_readable()))
    rows = []
    for each in workers:
        cost = machine_hours(rates, images, each)
        rows.append({**asdict(cost), "hours": cost.hours})
    if as_json:
        print(json.dumps({"images": images, "rates": asdict(rates), "plans": rows}))
        return
    actor = "GPU" if rates.gpu else "core"
    needs = f", {rates.cores_per_gpu:.1f} cores decode for one GPU" if rates.gpu else ""
    speeds = f"{rates.forward:,.0f} images/s per {actor} and {rates.decode:,.0f} decoded per core"
    print(f"{images:,} images at {speeds}{needs}")
    columns = ["workers", "cores", "scan_hours", "derive_hours", "hours", "gpu_hours", "core_hours"]
    print_table(columns if rates.gpu else [name for name in columns if name not in ("cores", "gpu_hours")], rows)
