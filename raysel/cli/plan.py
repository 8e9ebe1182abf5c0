"""``raysel plan``: what there is to index, found without reading any image."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import cache
from typing import Annotated

import typer

from raysel.cli import arguments


def plan(
    images: Annotated[str, typer.Argument(help="Folder, shards or table of images. Path or URI.", metavar="SOURCE")],
    out: Annotated[
        str | None, typer.Option(help="Keep the list beside the index that is to be here.", metavar="DIR")
    ] = None,
    kind: arguments.Kind = None,
    uri_column: arguments.UriColumn = None,
    shards: arguments.Shards = None,
    as_json: arguments.AsJson = False,
) -> None:
    """List a source once: images, shards, classes and faults; an unchanged one is not listed again.

    Tar headers, Parquet footers and folder trees are walked in parallel on Ray; images are not read.
    """
    from raysel.config import ClusterConfig
    from raysel.files import Folder
    from raysel.images import open_source
    from raysel.pipeline.cluster import connected
    from raysel.pipeline.plan import images_list, save_plan
    from raysel.pipeline.progress import Reporter

    source = open_source(images, kind or "auto", uri_column)
    folder = Folder.at(out) if out else None
    with ExitStack() as open_things:
        cluster = cache(lambda: open_things.enter_context(connected(ClusterConfig())))
        found, walked = images_list(source, shards, folder, cluster, Reporter())
    if folder and walked:
        save_plan(folder, source, found)
    told = {
        "images": len(found.images),
        "shards": len(found.shards),
        "classes": len(found.classes),
        "faults": len(found.faults),
        "skipped": found.skipped,
        "digest": found.digest,
    }
    if as_json:
        print(json.dumps(told))
        return
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("images", "shards", "classes", "faults"))
    kept_where = f": kept beside {out}" if out else ""
    print(f"{counts}, {told['skipped']:,} other files skipped{kept_where}")
