"""``raysel grayscale-error``: the error of a classifier in color and in gray."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from raysel.cli.arguments import AsJson
from raysel.cli.options import ActorOptions, ClassifierOptions, ClusterOptions, LabeledSourceOptions
from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.marks import with_changes


def grayscale_error(
    network: ClassifierOptions = None,
    source: LabeledSourceOptions = None,
    actors: ActorOptions = None,
    cluster: ClusterOptions = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Measure it."""
    tables: dict[str, Any] = {"network": network, "source": source, "scan": actors, "cluster": cluster}
    config = with_changes(RunConfig(), {name: typed or {} for name, typed in tables.items()})
    needed = {"--network": config.network.network, "--images": config.source.images}
    if missing := [option for option, value in needed.items() if not value]:
        raise RayselError(f"nothing to classify without {', '.join(missing)}: see raysel grayscale-error --help")
    from raysel.pipeline.interventions.grayscale_error import grayscale_error as measure
    from raysel.pipeline.progress import Reporter

    reporter = Reporter()
    found = measure(config, reporter)
    if as_json:
        print(json.dumps({**asdict(found), "seconds": {k: round(v, 3) for k, v in reporter.seconds.items()}}))
        return
    print(f"{found.images:,} images, {found.without_class:,} without a class of the network, {found.bad:,} unreadable")
    for name, errors in (("color", found.color), ("gray", found.gray)):
        print(f"{name:<6} top-1 error {errors['top1_error']:6.1%}   top-5 error {errors['top5_error']:6.1%}")
