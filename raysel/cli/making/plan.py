"""``raysel plan``: the images of a source, listed without reading any image."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson
from raysel.cli.options import ClusterOptions, SourceOptions
from raysel.config import ClusterConfig, SourceConfig
from raysel.marks import options as declared


def plan(
    images: Annotated[str, Parameter(name="SOURCE", help=declared(SourceConfig)["images"].text)],
    /,
    options: SourceOptions = None,
    cluster: ClusterOptions = None,
    *,
    out: Annotated[str | None, Parameter(metavar="DIR")] = None,
    as_json: AsJson = False,
) -> None:
    """List a source.

    Args:
        out: Save the list for the index that will be written here.
    """
    from raysel.files import Folder
    from raysel.images import open_source
    from raysel.pipeline.cluster import Connection
    from raysel.pipeline.plan import images_list, save_plan
    from raysel.pipeline.progress import Reporter
    from raysel.store import locked

    config, reporter = SourceConfig(images=images, **(options or {})), Reporter()
    source = open_source(images, config.kind, config.uri_column, config.label_column)
    folder = Folder.at(out) if out else None
    with Connection(ClusterConfig(**(cluster or {}))) as connect:
        found, walked = images_list(source, config.shards, folder, connect, reporter)
    if folder and walked:
        with locked(folder, reporter.say):
            save_plan(folder, source, found)
    counts = {
        "images": len(found.images),
        "shards": len(found.shards),
        "classes": len(found.classes),
        "faults": len(found.faults),
        "skipped": found.skipped,
    }
    if as_json:
        print(json.dumps({**counts, "digest": found.digest}))
        return
    line = ", ".join(f"{count:,} {name}" for name, count in counts.items() if name != "skipped")
    print(f"{line}, {counts['skipped']:,} other files skipped" + (f": saved for {folder.shown}" if folder else ""))
