"""``raysel site``: the explorer of an index as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, IndexPlace, check_local
from raysel.cli.output import print_json
from raysel.store import open_index


def site(
    index: IndexPlace,
    /,
    *,
    out: Annotated[Path, Parameter(metavar="DIR")],
    name: str | None = None,
    as_json: AsJson = False,
) -> None:
    """Write a static site.

    Args:
        out: Folder to write to: new, empty, or with an earlier site, which is replaced.
        name: Name of the index on its pages. By default that of its folder.
    """
    from raysel.explorer.site import write_site
    from raysel.pipeline.progress import Reporter

    check_local(out)
    opened = open_index(index)
    with Reporter().stage("site", "neurons", opened.manifest.counts.neurons) as stage:
        files = write_site(opened, out, name, stage.advance)
    if as_json:
        print_json({"out": str(out), "files": files})
    else:
        print(f"{out / 'index.html'} and {files - 1:,} more files: a bucket or any web server can serve the folder")
