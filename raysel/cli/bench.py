"""``raysel bench``: how fast this machine is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from cyclopts.types import PositiveInt

from raysel.cli.arguments import AsJson


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
    from raysel.cli.output import print_table
    from raysel.pipeline.merge_simulation import MergeLoad, simulate_merge
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
