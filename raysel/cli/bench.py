"""``raysel bench``: how fast it is, on this machine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from raysel.cli import arguments

bench = typer.Typer(help="Measure this machine.", no_args_is_help=True, rich_markup_mode=None)


@bench.callback()
def _bench() -> None:
    """Measure this machine."""


@bench.command()
def merge(
    images: Annotated[int, typer.Option(help="Simulated images.", min=1)] = 1_281_167,
    neurons: Annotated[
        list[int] | None, typer.Option(help="Neurons; may be given again (2000 and 27000).", min=1)
    ] = None,
    depth: Annotated[
        list[int] | None, typer.Option(help="Depth of a ranking; may be given again (100, 400).", min=1)
    ] = None,
    as_json: arguments.AsJson = False,
) -> None:
    """What the driver of a scan can carry: candidates, fold, snapshots and memory at the true size, simulated."""
    from raysel.cli.output import print_table
    from raysel.pipeline.merge_simulation import MergeLoad, simulate_merge
    from raysel.pipeline.progress import Reporter

    told, reporter = [], Reporter()
    for of_neurons in neurons or [2000, 27_000]:
        for of_depth in depth or [100, 400]:
            load = MergeLoad(images=images, neurons=of_neurons, depth=of_depth)
            name = f"{of_neurons:,} neurons, depth {of_depth}"
            with tempfile.TemporaryDirectory() as folder, reporter.stage(name, "images", images) as stage:
                carried = simulate_merge(load, Path(folder), stage.advance)
            told.append(carried.as_json())
    if as_json:
        print(json.dumps(told))
        return
    rows = [{**each.pop("load"), **each} for each in told]
    print_table([name for name in rows[0] if name not in ("call_images", "lag_images", "seed")], rows)
