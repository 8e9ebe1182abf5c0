"""``raysel find``: which neurons of an index are selective, and to what."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from raysel.cli.arguments import AsJson, IndexPlace
from raysel.errors import RayselError

if TYPE_CHECKING:
    from raysel.store import Range

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
    "color_name",
    "class_selectivity",
    "population_code",
    "concept",
    "label",
)
"""Columns of the table for people, which also shows the name of the label. JSON and CSV have every column."""

RangeText = Annotated[str | None, Parameter(metavar="MIN..MAX", allow_leading_hyphen=True)]

_SPARE = ("population_code", "chroma", "a_max", "hue", "n")


def find(
    index: IndexPlace,
    /,
    *,
    layer: Annotated[str | None, Parameter(metavar="GLOB")] = None,
    color: RangeText = None,
    class_: RangeText = None,
    where: Annotated[tuple[str, ...], Parameter(metavar="COLUMN=MIN..MAX", negative="")] = (),
    sort: Annotated[str | None, Parameter(metavar="COLUMN")] = None,
    limit: int | None = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, Parameter(name="--csv")] = False,
) -> None:
    """List neurons.

    Args:
        layer: Only layers that match this glob.
        color: Range of color selectivity, such as 0.5.. or 0.2..0.4
        class_: Range of class selectivity.
        where: Range of any other column, such as sharpness=0.5.. or color_names.red=0.8.., or text, such as
            color_name=red, which may be a glob. Repeat the option to give several.
        sort: Column to sort by, highest numbers first. By default the selectivity that a range was given for.
        limit: At most this many neurons.
        as_csv: Print CSV with every column.
    """
    from raysel.cli.output import plain_rows, print_csv, print_json, print_table
    from raysel.store import open_index

    if as_json and as_csv:
        raise RayselError("--json and --csv exclude each other: give one of them")
    color_range, class_range = parse_range(color, "--color"), parse_range(class_, "--class")
    opened = open_index(index)
    ranges, texts = parse_conditions(where)
    found = opened.find(layer, color_range, class_range, ranges=ranges, texts=texts, sort=sort, limit=limit)
    rows = plain_rows(found)
    if as_json:
        print_json(rows)
    elif as_csv:
        print_csv(found.column_names, rows)
    elif rows:
        named = ["name"] if opened.class_names else []
        asked = [sort, *ranges, *texts]
        more = [column for column in dict.fromkeys(asked) if column and column not in _SHOWN]
        spare = [name for name in _SPARE if name not in asked]
        shown = [
            {**row, **{column: _value(row, column) for column in more}, "name": opened.class_names.get(row["label"])}
            for row in rows
        ]
        print_table([*_SHOWN, *more, *named], shown, spare)
    if not rows:
        print("no neuron of this index meets all conditions", file=sys.stderr)


def parse_conditions(where: tuple[str, ...]) -> tuple[dict[str, Range], dict[str, str]]:
    """Parse ``COLUMN=MIN..MAX`` and ``COLUMN=TEXT``: column -> range, and column -> glob.

    Raises:
        RayselError: one of them has another form.
    """
    ranges: dict[str, Range] = {}
    texts: dict[str, str] = {}
    for condition in where:
        column, equals, text = condition.partition("=")
        if not (column and equals and text):
            raise RayselError(f"--where {condition!r} is not a condition: write COLUMN=MIN..MAX or COLUMN=TEXT")
        bounds = parse_range(text, f"--where {column}") if _RANGE.fullmatch(text) else None
        if bounds is None:
            texts[column] = text
        else:
            ranges[column] = bounds
    return ranges, texts


def _value(row: dict[str, Any], column: str) -> Any:
    """The value of a column, or of a part of one: ``color_names.red``."""
    name, _, part = column.partition(".")
    return row[column] if column in row else (row[name] or {}).get(part)


def parse_range(text: str | None, option: str) -> Range | None:
    """Parse ``MIN..MAX``, ``MIN..`` or ``..MAX`` into (least, most), either of which may be None; None if no text.

    Raises:
        RayselError: the text is not a range, or the range is empty.
    """
    if text is None:
        return None
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.group(1) is match.group(2) is None:
        raise RayselError(f"{option} {text!r} is not a range: write MIN..MAX, MIN.. or ..MAX, such as 0.2..0.4")
    least, most = (None if bound is None else float(bound) for bound in match.groups())
    if least is not None and most is not None and least > most:
        raise RayselError(f"{option} {text!r} is empty: write the smaller number first")
    return least, most
