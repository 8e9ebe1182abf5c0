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

_NEVER_WRAP = 10_000
_LONG_HEADING = 10


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
    table = _table(columns, rows, box.SIMPLE_HEAD, _in_two_lines)
    for omitted in spare:
        if _console(_NEVER_WRAP).measure(table).maximum <= console.width:
            break
        columns = [column for column in columns if column != omitted]
        table = _table(columns, rows, box.SIMPLE_HEAD, _in_two_lines)
    console.print(table)


def spelled(value: Any) -> str:
    """A value as readable text: about four digits, a dash for null."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _figures(value)
    if isinstance(value, list):
        return ", ".join(spelled(entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {spelled(share)}" for name, share in _visible_shares(value))
    # Names come from files: control characters could move the cursor of a terminal.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value))


def _visible_shares(shares: dict[str, float]) -> list[tuple[str, float]]:
    """The shares that are at least 0.001, largest first."""
    return sorted(((name, share) for name, share in shares.items() if share >= 0.001), key=lambda item: -item[1])


def _figures(value: float) -> str:
    size = abs(value)
    if size >= 1e6:
        return f"{value:.3e}"
    decimals = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:.{decimals}f}"


def _table(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], frame: box.Box | None, heading: Callable[[str], str]
) -> Table:
    table = Table(box=frame, pad_edge=False, header_style="bold")
    for column in columns:
        number = any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in rows)
        table.add_column(heading(column), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        table.add_row(*(spelled(row[column]) for column in columns))
    return table


def _in_two_lines(column: str) -> str:
    return column.replace("_", "_\n", 1) if len(column) > _LONG_HEADING else column


def _console(width: int | None = None) -> Console:
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _field(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
