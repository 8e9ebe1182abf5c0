"""``raysel bench``: how fast this machine is, and what a large run costs."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from raysel.cli.arguments import AsJson, IndexPlace
from raysel.cli.options import BenchNetworkOptions, BenchScanOptions, BenchSourceOptions
from raysel.config import NetworkConfig, ScanConfig, SourceConfig
from raysel.errors import RayselError, did_you_mean

if TYPE_CHECKING:
    from raysel.bench.scan_job import ScanJob


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
    job = _job(network, source, options, "bench scan")
    from raysel.bench.contenders.report import BASELINES
    from raysel.bench.contest import contest
    from raysel.cli.output import print_json, print_table
    from raysel.pipeline.progress import Reporter

    names = list(dict.fromkeys(name.strip() for name in against.split(",") if name.strip()))
    for name in names:
        if name not in BASELINES:
            raise RayselError(f"--against {name}: {did_you_mean(name, BASELINES)}")
    with tempfile.TemporaryDirectory(prefix="raysel-bench-") as folder:
        found = contest(job, names, rounds, Path(folder), Reporter().say)
    if as_json:
        print_json(found)
        return
    columns = ["steady_images_per_second", "start_seconds", "steady_cpu_ms_per_image", "ratio", "exact"]
    rows = [{"contender": name} | {each: found[name].get(each) for each in columns} for name in ("raysel", *names)]
    print_table(["contender", *columns], rows)


def decode(
    network: BenchNetworkOptions = None,
    source: BenchSourceOptions = None,
    *,
    rounds: PositiveInt = 3,
    as_json: AsJson = False,
) -> None:
    """Measure how many images a core decodes per second, by format, at the network's preprocessing.

    Args:
        rounds: How often each image is decoded; its least time counts.
    """
    job = _job(network, source, None, "bench decode")
    from raysel.bench.decode_rates import decode_rates

    _print_rows(decode_rates(job.images(), rounds), as_json)


def derive(index: IndexPlace, /, *, as_json: AsJson = False) -> None:
    """Measure what a crop costs, in decodes of an image: derives the index again, in a temporary folder."""
    from raysel.bench.derive_cost import derive_cost
    from raysel.cli.output import print_json, print_table

    with tempfile.TemporaryDirectory(prefix="raysel-bench-") as folder:
        found = derive_cost(index, Path(folder))
    if as_json:
        print_json(found)
    else:
        print_table(list(found), [found])


def start(*, network: str = "torchvision:squeezenet1_1", rounds: PositiveInt = 3, as_json: AsJson = False) -> None:
    """Measure the fixed cost of commands.

    Args:
        network: Network of the run over 30 images, untrained.
        rounds: How often each command runs, in turns. The figures are medians.
    """
    from raysel.bench.start_times import start_times

    with tempfile.TemporaryDirectory(prefix="raysel-bench-") as folder:
        found = start_times(network, Path(folder), rounds)
    _print_rows(found, as_json)


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


def _job(
    network: dict[str, Any] | None, source: dict[str, Any] | None, options: dict[str, Any] | None, command: str
) -> ScanJob:
    """What to measure.

    Raises:
        RayselError: there is no network, or there are no images.
    """
    given = {"--network": (network or {}).get("network"), "--images": (source or {}).get("images")}
    if missing := [option for option, value in given.items() if not value]:
        raise RayselError(f"nothing to measure without {', '.join(missing)}: see raysel {command} --help")
    from raysel.bench.scan_job import ScanJob

    typed = ScanConfig(**(options or {}))
    cores = typed.workers or len(os.sched_getaffinity(0))
    parts = NetworkConfig(**(network or {})), SourceConfig(**(source or {}))
    return ScanJob(*parts, cores, typed.batch_size, typed.gpus)


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows with the same keys, as a table or as JSON."""
    from raysel.cli.output import print_json, print_table

    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), rows)
