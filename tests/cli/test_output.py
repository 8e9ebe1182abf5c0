"""Rows as readable tables, JSON and CSV."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest

from raysel.cli.output import print_csv, print_json, print_table
from raysel.store import plain_rows, spelled


def test_names_are_shown_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["[red]stop[/red]", "[0].jpg", ":smile:", "a  b", "ünï"]
    print_table(["name"], [{"name": name} for name in names])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == ["name", *names]


def test_a_name_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name"], [{"name": "a\x1b[2Jb\r\nc"}])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (0.12345, "0.123"),
        (0.99951, "1.000"),
        (-45.678, "-45.68"),
        (-115.806, "-115.8"),
        (12345.6, "12346"),
        (2.5e6, "2.500e+06"),
        (7, "7"),
        (0.0, "0.000"),
        ([1, 0.5], "1, 0.500"),
    ],
)
def test_readable_values(value: object, text: str) -> None:
    assert spelled(value) == text


def test_rows_for_json(capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table(
        {
            "single": pa.array([0.1, None, float("nan")], pa.float32()),
            "double": pa.array([0.1, float("inf"), None], pa.float64()),
            "name": ["ü", None, '"'],
        }
    )
    rows = plain_rows(table)
    assert rows[0] == {"single": 0.1, "double": 0.1, "name": "ü"}
    assert rows[1] == {"single": None, "double": None, "name": None}
    print_json(rows)
    assert json.loads(capsys.readouterr().out) == rows


def test_csv_quotes_where_needed(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(["a", "b"], [{"a": 'x,"y"', "b": None}, {"a": ["p", "q"], "b": True}])
    assert capsys.readouterr().out == 'a,b\n"x,""y""",\n"[""p"", ""q""]",True\n'


def test_a_narrow_terminal_leaves_out_the_spare_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    row = {"layer": "features.3.squeeze", "channel": 12, "hue_of_it": 12.5, "label": "motorcycle"}
    widths = {}
    for columns in (80, 45, 30):
        monkeypatch.setenv("COLUMNS", str(columns))
        print_table(list(row), [row], spare=("hue_of_it", "channel"))
        out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        assert all(len(line) <= columns for line in out.splitlines())
        widths[columns] = {name for name in row if name in out}
    assert widths[80] == set(row)
    assert widths[45] == set(row) - {"hue_of_it"}
    assert widths[30] == {"layer", "label"}
