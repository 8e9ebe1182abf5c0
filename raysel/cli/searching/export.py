"""``raysel export``: an index for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, IndexPlace
from raysel.query import By


def export(
    index: IndexPlace,
    /,
    *,
    atlas: Annotated[Path, Parameter(metavar="FILE.parquet")],
    by: By = "images",
    as_json: AsJson = False,
) -> None:
    """Write a file.

    Args:
        atlas: Parquet file to write.
        by: What makes neurons neighbors, as in raysel similar: their best images, their classes or their features.
    """
    from raysel.cli.output import print_json
    from raysel.pipeline.progress import Reporter
    from raysel.query import open_searchable, write_atlas

    opened = open_searchable(index)
    with Reporter().stage("export", "neurons", opened.manifest.counts.neurons) as stage:
        neurons = write_atlas(opened, atlas, by, stage.advance)
    if as_json:
        print_json({"file": str(atlas), "neurons": neurons})
    else:
        print(f"{neurons:,} neurons in {atlas}")
