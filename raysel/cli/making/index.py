"""``raysel index``: from a network and images to an index. ``raysel derive``: again, from the rankings of an index."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, IndexPlace
from raysel.cli.options import ActorOptions, ClusterOptions, DeriveOptions, LabelOptions, RunOptions
from raysel.cli.toml import run_config
from raysel.errors import RayselError

if TYPE_CHECKING:
    from raysel.pipeline.publish import Outcome


def index(
    options: RunOptions = None,
    *,
    config: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    as_json: AsJson = False,
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"))] = False,
) -> None:
    """Make an index.

    Args:
        config: TOML file with any of these options; raysel config --example prints one. Typed options take precedence.
        verbose: Show Ray's own messages, too.
    """
    run = run_config(options or {}, config)
    needed = {"--network": run.network.network, "--images": run.source.images, "--out": run.out}
    if missing := [option for option, value in needed.items() if not value]:
        raise RayselError(f"nothing to index without {', '.join(missing)}: see raysel index --help")
    if verbose:
        _show_ray()
    run.check()
    from raysel.files import Folder
    from raysel.pipeline.cluster import Connection
    from raysel.store import published_manifest

    with Connection(run.cluster, verbose=verbose) as connection:
        if published_manifest(Folder.at(run.out).require_readable()) is None:
            connection.begin()  # while torch is imported and the network is loaded
        from raysel.pipeline.progress import Reporter
        from raysel.pipeline.run import index as run_index

        reporter = Reporter()
        outcome = run_index(run, reporter, connection)
    print_outcome(outcome, as_json, reporter.seconds)


def derive(
    index: IndexPlace,
    /,
    options: DeriveOptions = None,
    labels: LabelOptions = None,
    actors: ActorOptions = None,
    cluster: ClusterOptions = None,
    *,
    out: Annotated[str | None, Parameter(metavar="PATH")] = None,
    replace: bool = False,
    images: Annotated[str | None, Parameter(metavar="PATH")] = None,
    as_json: AsJson = False,
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"))] = False,
) -> None:
    """Derive again.

    Args:
        out: Path or URI of the new index. By default INDEX itself is replaced.
        replace: Replace the index at --out.
        images: Where the images are now, if they were moved.
        verbose: Show Ray's own messages, too.
    """
    from raysel.pipeline.derive.again import derive_again
    from raysel.pipeline.progress import Reporter

    if verbose:
        _show_ray()
    tables = {"derive": options, "source": labels, "scan": actors, "cluster": cluster}
    changes: dict[str, Any] = {name: typed or {} for name, typed in tables.items()}
    if out:
        changes |= {"out": out, "replace": replace}
    reporter = Reporter()
    outcome = derive_again(index, changes, reporter, images=images, verbose=verbose)
    print_outcome(outcome, as_json, reporter.seconds)


def print_outcome(outcome: Outcome, as_json: bool, seconds_now: dict[str, float]) -> None:
    """Print the totals of a run: one line, or one JSON object.

    Args:
        outcome: the run's outcome.
        as_json: print the object instead of the line.
        seconds_now: stage -> duration in this very run. A manifest cannot contain the time of its own publication, so
            these replace the stages of the manifest, unless nothing was computed.
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
        + (f" in {seconds:,.0f} s" if outcome.computed else ", already indexed")
        + (f", {rate:,.0f} images/s" if outcome.computed and rate else "")
        + f": {outcome.index}"
    )


def _show_ray() -> None:
    """Let Ray's C++ core say what it does. Call this before Ray is imported."""
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "info"
