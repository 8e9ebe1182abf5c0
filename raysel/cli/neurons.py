"""Neurons that answer a question, on standard output or in a file: a table for people, JSON, CSV or Parquet."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pyarrow.parquet as pq

from raysel.cli.arguments import Form, cannot_write
from raysel.cli.output import print_csv, print_json, print_table
from raysel.errors import RayselError
from raysel.query import NeuronTable, columns_for_people, plain_rows, selected

_SPARE = ("class_excess", "color_name", "class_selectivity_a", "color_selectivity_a")
_LONGEST_NAME = 24
_FEW = 20
"""Neurons that people see unless they set a limit."""


def print_neurons(
    neurons: NeuronTable,
    form: Form,
    asked: Sequence[str] = (),
    limit: int | None = None,
    none: str = "no neuron of this index meets all conditions",
) -> None:
    """Give neurons out.

    Args:
        neurons: rows in order.
        form: how. Without names of columns, programs see all and people a few.
        asked: columns that the question is about, which people see, too.
        limit: most neurons, as the user set it; None: all for programs, the first few for people.
        none: what to say, on stderr, if there are none.
    """
    index, table = neurons.index, neurons.table
    if form.columns is not None:
        names = [name.strip() for name in form.columns.split(",") if name.strip()]
        if not names:
            raise RayselError("--columns names no column: write names separated by commas")
        table = selected(index, table, names)
    elif not (form.json or form.csv or form.parquet):
        table = selected(index, table, list(columns_for_people(index, table, asked)))
    if form.parquet:
        try:
            pq.write_table(table, form.parquet)
        except OSError as error:
            raise cannot_write(form.parquet, error) from None
        print(f"{len(table)} neurons in {form.parquet}")
    elif form.json:
        print_json(plain_rows(table))
    elif form.csv:
        print_csv(table.column_names, plain_rows(table))
    elif len(table):
        shown = table if limit else table.slice(0, _FEW)
        rows = [{**row, **_shortened(row)} for row in shown.to_pylist()]
        print_table(table.column_names, rows, [name for name in _SPARE if name not in asked])
        if len(shown) < len(table):
            print(f"the first {len(shown)} of {len(table):,} neurons: --limit {len(table)} shows all", file=sys.stderr)
    if not len(table):
        print(none, file=sys.stderr)


def _shortened(row: dict[str, object]) -> dict[str, str]:
    """The name of a class with all its synonyms is longer than the rest of the row."""
    name = row.get("name")
    return {"name": f"{name[: _LONGEST_NAME - 1]}…"} if isinstance(name, str) and len(name) > _LONGEST_NAME else {}
