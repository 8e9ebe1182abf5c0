"""``raysel index``: from a network and images to an index."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raysel.cli import arguments
from raysel.cli.options import network_options, run_config

if TYPE_CHECKING:
    from raysel.pipeline.run import Outcome


def index(
    network: Annotated[
        str | None,
        typer.Option(help="torchvision:NAME, chatfield:vgg-m, or package.module:factory.", metavar="NETWORK"),
    ] = None,
    weights: arguments.Weights = None,
    images: Annotated[
        str | None,
        typer.Option(
            help="Folder of images; folder, glob or file of tar or Parquet shards; table of URIs.", metavar="SOURCE"
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Folder or URI of the index.", metavar="DIR")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="CSV, Parquet or list, a row per image; else as the source says.", metavar="FILE"),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Its column with the label ('label').", metavar="NAME")
    ] = None,
    label_key: Annotated[
        str | None, typer.Option(help="Its column with the image's path ('key', 'path', 'file', ...).", metavar="NAME")
    ] = None,
    layers: arguments.Layers = None,
    network_args: arguments.NetworkArgs = None,
    unsafe_pickle: arguments.UnsafePickle = None,
    tap: arguments.Tap = None,
    preprocessing: arguments.PreprocessingFile = None,
    kind: arguments.Kind = None,
    uri_column: arguments.UriColumn = None,
    shards: arguments.Shards = None,
    sample: Annotated[
        float | None, typer.Option(help="Only this share of the images, the same on every run.", metavar="FRACTION")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many images, chosen likewise.", metavar="N")] = None,
    label_map: Annotated[
        str | None, typer.Option(help="CSV, JSON or meta.mat: which label to use for which.", metavar="FILE")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="CSV or JSON: what labels are called (ImageNet's are known).", metavar="FILE")
    ] = None,
    max_bad: Annotated[
        float | None, typer.Option(help="Stop if more than this share of the images is bad (0.01).", metavar="SHARE")
    ] = None,
    snapshot_every: Annotated[
        float | None, typer.Option(help="Keep the state of the scan so often, for a restart (30).", metavar="SECONDS")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Actors of a CPU scan; by default one per CPU.", metavar="K")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="Actors with a GPU each, instead.", metavar="K")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images in one forward (16 on CPU, 64 on GPU).", metavar="K")
    ] = None,
    rank_depth: Annotated[
        int | None, typer.Option(help="Images that a neuron's ranking keeps (400).", metavar="K")
    ] = None,
    n_max: Annotated[
        int | None, typer.Option(help="At most so many of them build its feature (100).", metavar="N")
    ] = None,
    min_relative_activation: Annotated[
        float | None, typer.Option(help="Only those with this share of the highest activation (0.7).", metavar="SHARE")
    ] = None,
    receptive_field: Annotated[
        str | None,
        typer.Option(help="Crops show all that is seen ('theoretical'), or 95 % of it ('effective').", metavar="WHICH"),
    ] = None,
    class_threshold: Annotated[
        float | None,
        typer.Option(help="Share of activation that the counted classes cover: th of Eq. 4 (1).", metavar="TH"),
    ] = None,
    cache_gb: Annotated[
        float | None, typer.Option(help="Disk per machine for decoded images (20).", metavar="GB")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; by default $RAY_ADDRESS, else a local Ray.", metavar="HOST:PORT")
    ] = None,
    num_cpus: Annotated[int | None, typer.Option(help="CPUs of a local Ray; by default all.", metavar="K")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="All these options in TOML, a table per stage; what is typed goes first.", metavar="FILE"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an index that was made with other settings.")
    ] = False,
    as_json: arguments.AsJson = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show what Ray says, too.")] = False,
) -> None:
    """Index what every neuron of a network is selective to.

    Runs the network once over all images, on Ray, and writes for each neuron its best images, the crops that it saw in
    them, its feature and its selectivity. The same command again computes nothing that is there already.
    """
    run = run_config(
        out,
        replace,
        config,
        {
            "source": {
                "images": images,
                "kind": kind,
                "uri_column": uri_column,
                "shards": shards,
                "sample": sample,
                "limit": limit,
                "label_map": label_map,
                "classes": classes,
                "max_bad": max_bad,
                "labels": labels,
                "label_column": label_column,
                "label_key": label_key,
            },
            "network": network_options(network, weights, network_args, unsafe_pickle, layers, tap, preprocessing),
            "scan": {
                "workers": workers,
                "gpus": gpus,
                "batch_size": batch_size,
                "rank_depth": rank_depth,
                "snapshot_every_s": snapshot_every,
            },
            "derive": {
                "n_max": n_max,
                "min_relative_activation": min_relative_activation,
                "receptive_field": receptive_field,
                "class_threshold": class_threshold,
                "cache_gb": cache_gb,
            },
            "cluster": {"address": address, "num_cpus": num_cpus},
        },
    )
    # Both before Ray is imported, which reads them once.
    if verbose:
        os.environ["RAY_BACKEND_LOG_LEVEL"] = "info"
    if run.cluster.address:
        os.environ["RAY_ADDRESS"] = run.cluster.address
    from raysel.pipeline.progress import Reporter
    from raysel.pipeline.run import index as run_index

    reporter = Reporter()
    outcome = run_index(run, reporter, verbose=verbose)
    tell(outcome, as_json, reporter.seconds)


def tell(outcome: Outcome, as_json: bool, seconds_now: dict[str, float]) -> None:
    """The end of a run: one line of totals, or one JSON object.

    Args:
        outcome: of the run.
        as_json: the object instead of the line.
        seconds_now: stage -> how long it took in this very run. A manifest cannot tell of its own publication, so this
            goes before the stages that it tells of, unless nothing was computed.
    """
    manifest = outcome.manifest
    now = {stage: round(spent, 3) for stage, spent in seconds_now.items()}
    stages = {**manifest.stages, **now} if outcome.computed else manifest.stages
    counts, seconds = manifest.counts, sum(stages.values())
    scanned = int(manifest.counters.get("scan.images", 0))
    rate = scanned / stages["scan"] if scanned else None
    if as_json:
        summary = {
            "index": outcome.index,
            "neurons": counts.neurons,
            "dead": counts.dead,
            "images": counts.images,
            "quarantined": counts.quarantined,
            "seconds": round(seconds, 3),
            "images_per_second": rate and round(rate, 3),
            "stages": stages,
        }
        print(json.dumps(summary))
        return
    skipped = f", {counts.skipped:,} other files skipped" if counts.skipped else ""
    print(
        f"{counts.neurons:,} neurons ({counts.dead:,} dead) over {counts.images:,} images "
        f"({counts.quarantined:,} in quarantine{skipped})"
        + (f" in {seconds:,.0f} s" if outcome.computed else ", indexed already")
        + (f", {rate:,.0f} images/s" if outcome.computed and rate else "")
        + f": {outcome.index}",
        file=sys.stdout,
    )
