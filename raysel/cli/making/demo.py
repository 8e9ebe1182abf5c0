"""``raysel demo``: a first index, from packages alone."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raysel.cli.arguments import AsJson
from raysel.cli.making.index import print_outcome
from raysel.cli.output import print_table
from raysel.query import Question, find
from raysel.report import draw_features
from raysel.store import Index, open_index

_SHOWN = ("layer", "channel", "rf_size", "color_selectivity", "hue", "class_selectivity", "class_excess", "label")
_PER_LAYER = 2


def demo(
    folder: Annotated[Path, Parameter(name="FOLDER")] = Path("demo"),
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Make the demo's index and show it.

    Args:
        folder: Folder for its images and its index.
    """
    from raysel.demo.demo_config import demo_config
    from raysel.pipeline.progress import Reporter
    from raysel.pipeline.run import index as run_index

    reporter = Reporter()
    outcome = run_index(demo_config(folder), reporter)
    made = open_index(outcome.index)
    picture = folder / "features.png"
    if outcome.computed or not picture.exists():
        draw_features(made).save(picture)
    if not as_json:
        _show(made, outcome.index, picture)
    print_outcome(outcome, as_json, reporter.seconds)


def _show(index: Index, where: str, picture: Path) -> None:
    for title, column in (("color", "color_selectivity"), ("class", "class_excess")):
        print(f"\nThe most {title}-selective neurons of each layer")
        rows = [
            row
            for layer in index.layers
            for row in find(index, Question(layer=layer, sort=column, limit=_PER_LAYER)).table.to_pylist()
        ]
        print_table(_SHOWN, rows)
    (strongest,) = find(index, Question(sort="color_selectivity", limit=1))
    typed = os.path.basename(sys.argv[0]) == "raysel" and not shutil.which("raysel")
    program = os.path.relpath(sys.argv[0]) if typed else "raysel"
    print(f"\nThe index is in {where}, its clearest neuron features are in {picture}. Next:")
    print(f"  {program} find {where} --color 0.5.. --class 0.8..")
    print(f"  {program} show {where} {strongest.address} --out neuron.png")
    print(f"  {program} verify {where}\n")
