"""``raysel find``: which neurons of an index are selective, and to what."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from raysel.cli import arguments
from raysel.cli.output import plain_rows, print_csv, print_json, print_table
from raysel.errors import RayselError
from raysel.store import Range, open_index

_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")

_SHOWN = (
    "layer",
    "channel",
    "a_max",
    "n",
    "color_selectivity",
    "chroma",
    "hue",
    "class_selectivity",
    "population_code",
    "label",
)
"""Columns of the table for people, with the name of the label beside them; JSON and CSV have all, and no name."""

_SPARE = ("population_code", "chroma", "a_max", "hue", "n")


def find(
    index: arguments.IndexPlace,
    layer: Annotated[str | None, typer.Option(help="Only layers that match this glob.", metavar="GLOB")] = None,
    color: Annotated[
        str | None, typer.Option(help="Range of color selectivity, such as 0.5.. or 0.2..0.4", metavar="MIN..MAX")
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", help="Range of class selectivity.", metavar="MIN..MAX")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="Column to sort by, highest numbers first; by default what was asked for.", metavar="COLUMN"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many neurons.", metavar="K")] = None,
    as_json: arguments.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with every column.")] = False,
) -> None:
    """List the neurons of an index by what they are selective to."""
    if as_json and as_csv:
        raise RayselError("--json and --csv exclude each other: give one of them")
    color_range, class_range = parse_range(color, "--color"), parse_range(class_, "--class")
    opened = open_index(index)
    found = opened.find(layer, color_range, class_range, sort=sort, limit=limit)
    rows = plain_rows(found)
    if as_json:
        print_json(rows)
    elif as_csv:
        print_csv(found.column_names, rows)
    elif rows:
        named = ["name"] if opened.class_names else []
        columns = [*_SHOWN, *([sort] if sort and sort not in _SHOWN else []), *named]
        spare = [name for name in _SPARE if name != sort]
        print_table(columns, [{**row, "name": opened.class_names.get(row["label"])} for row in rows], spare)
    if not rows:
        print("no neuron of this index meets all conditions", file=sys.stderr)


def parse_range(text: str | None, option: str) -> Range | None:
    """(least, most) of ``MIN..MAX``, ``MIN..`` or ``..MAX``; None for no text.

    Raises:
        RayselError: the text is none of these, or the range holds nothing.
    """
    if text is None:
        return None
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.group(1) is match.group(2) is None:
        raise RayselError(f"{option} {text!r} is no range: write MIN..MAX, MIN.. or ..MAX, such as 0.5.. or 0.2..0.4")
    least, most = (None if bound is None else float(bound) for bound in match.groups())
    if least is not None and most is not None and least > most:
        raise RayselError(f"{option} {text!r} holds nothing: the smaller number comes first")
    return least, most
