"""``raysel evolution``: how selectivity changes from checkpoint to checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, check_local
from raysel.cli.output import print_json, print_table
from raysel.errors import RayselError
from raysel.store import neuron_address

_PACKAGES = ("matplotlib", "wordcloud", "jinja2")
_SHOWN = ("color_over_0.4", "class_over_0.6", "excess_over_0.6", "overlap_previous", "overlap_last")


def evolution(
    *indexes: Annotated[str, Parameter(name="INDEXES")],
    out: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    neuron: Annotated[tuple[str, ...], Parameter(metavar="LAYER:CHANNEL", negative="")] = (),
    as_json: AsJson = False,
) -> None:
    """Compare checkpoints.

    Args:
        indexes: Paths or URIs of the indexes, of a folder of indexes such as raysel watch makes, or a glob. They are
            ordered by the step in their names.
        out: Folder for a page with figures and for its tables: new, empty, or with an earlier evolution, which is
            replaced.
        neuron: Show the features of this neuron on the page. Repeat the option to show several. By default those whose
            selectivity has grown most.
    """
    try:
        from raysel.checkpoints.evolution.evolution_page import summary, write_evolution
        from raysel.checkpoints.evolution.series import open_series
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise RayselError(f"an evolution needs the package {error.name}: pip install 'raysel[report]'") from None
    check_local(out)
    if neuron and out is None:
        raise RayselError("--neuron chooses what the page shows: give --out as well")
    series = open_series(indexes)
    files = [] if out is None else write_evolution(series, out, tuple(map(neuron_address, neuron)))
    found = summary(series)
    if as_json:
        print_json({**found, "out": out and str(out), "files": files})
        return
    columns = ["layer", "checkpoint" if series.axis == "checkpoint" else "step", "neurons", "dead"]
    columns += [name for name in _SHOWN if any(name in row for row in found["layers"])]
    print_table(columns, _by_layer(found["layers"]))
    if out is not None:
        print(f"\n{out / files[0]} and {len(files) - 1} files beside it")


def _by_layer(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows layer by layer, each from the first checkpoint to the last."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    return sorted(rows, key=lambda row: layers.index(row["layer"]))
