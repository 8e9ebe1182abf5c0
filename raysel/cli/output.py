"""Rows on standard output: a readable table, or JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from raysel.store import spelled

_NEVER_WRAP = 10_000
_LONG_HEADING = 10
_IN_ONE_LINE = ("neuron",)
"""Columns of text that is copied to other commands."""


def print_json(value: Any) -> None:
    """Print a JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def print_csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Print a header line and a line per row; null is an empty field, a list is JSON in its field."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_field(row[column]) for column in columns] for row in rows)


def print_table(columns: Sequence[str], rows: Sequence[dict[str, Any]], spare: Sequence[str] = ()) -> None:
    """Print a table that fits the terminal, or, elsewhere, aligned text without line breaks.

    Args:
        columns: keys of the rows, from left to right.
        rows: one value per column.
        spare: columns that are left out, in this order, if the terminal is too narrow for all columns.
    """
    console = _console()
    if not console.is_terminal:
        _console(_NEVER_WRAP).print(_table(columns, rows, None, str))
        return
    table = _table(columns, rows, box.SIMPLE_HEAD, _in_lines)
    for omitted in spare:
        if _console(_NEVER_WRAP).measure(table).maximum <= console.width:
            break
        columns = [column for column in columns if column != omitted]
        table = _table(columns, rows, box.SIMPLE_HEAD, _in_lines)
    console.print(table)


def _table(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], frame: box.Box | None, heading: Callable[[str], str]
) -> Table:
    table = Table(box=frame, pad_edge=False, header_style="bold")
    for column in columns:
        number = any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in rows)
        kept = number or column in _IN_ONE_LINE
        table.add_column(heading(column), justify="right" if number else "left", no_wrap=kept, overflow="fold")
    for row in rows:
        table.add_row(*(spelled(row[column]) for column in columns))
    return table


def _in_lines(column: str) -> str:
    """The heading broken after underscores, into lines of at most `_LONG_HEADING` letters where that is possible."""
    lines = [""]
    for part in column.replace("_", "_\n").splitlines():
        if lines[-1] and len(lines[-1] + part) > _LONG_HEADING:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _console(width: int | None = None) -> Console:
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _field(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
