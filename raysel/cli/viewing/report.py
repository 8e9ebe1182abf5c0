"""``raysel report``: the figures of the paper for an index, on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, IndexPlace, check_local
from raysel.cli.output import print_json
from raysel.errors import RayselError
from raysel.store import open_index

_PACKAGES = ("matplotlib", "wordcloud", "jinja2")


def report(
    index: IndexPlace,
    /,
    *,
    out: Annotated[Path, Parameter(metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Write a report.

    Args:
        out: Folder to write to: new, empty, or with an earlier report, which is replaced.
    """
    try:
        from raysel.report.page import write_report
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise RayselError(f"a report needs the package {error.name}: pip install 'raysel[report]'") from None
    check_local(out)
    files = write_report(open_index(index), out)
    if as_json:
        print_json({"out": str(out), "files": files})
    else:
        print(f"{out / files[0]} and {len(files) - 1} files of its figures")
