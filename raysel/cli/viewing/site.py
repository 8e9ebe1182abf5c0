"""``raysel site``: the explorer of an index as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, IndexPlace
from raysel.cli.output import print_json
from raysel.errors import RayselError
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

    if ":/" in str(out):
        raise RayselError(f"--out {out} is a URI: give a local folder, and copy it to the bucket")
    opened = open_index(index)
    with Reporter().stage("site", "neurons", opened.manifest.counts.neurons) as stage:
        files = write_site(opened, out, name, stage.advance)
    if as_json:
        print_json({"out": str(out), "files": files})
    else:
        print(f"{out / 'index.html'} and {files - 1:,} more files: a bucket or any web server can serve the folder")
