"""raysel find: what it prints is what the index says."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import raysel
from raysel.cli.find import parse_range
from raysel.errors import RayselError
from tests.store.synthetic import CLASS_NAMES, Synthetic, build
from tests.typed import Ended, raysel_here


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("index"), seed=2)


def _run(made: Synthetic, *arguments: str) -> Ended:
    return raysel_here(Path.cwd(), "find", made.folder.path, *arguments)


def _out(made: Synthetic, *arguments: str) -> str:
    ended = _run(made, *arguments)
    assert ended.status == 0, ended.err
    return ended.out


def _addresses(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["layer"], int(row["channel"])) for row in rows]


@pytest.mark.parametrize(
    ("text", "range_"),
    [
        ("0.5..", (0.5, None)),
        ("..0.3", (None, 0.3)),
        ("0.5..0.9", (0.5, 0.9)),
        (".5..1", (0.5, 1.0)),
        ("0..0", (0.0, 0.0)),
        ("-1..+1e-3", (-1.0, 0.001)),
        (" 0.25.. ", (0.25, None)),
        ("1...5", None),
        ("0.9..0.5", None),
        ("0.5", None),
        ("..", None),
        ("", None),
        ("a..b", None),
        ("0.1..0.2..0.3", None),
        ("nan..", None),
        ("0.5..0.9x", None),
    ],
)
def test_ranges(text: str, range_: tuple[float | None, float | None] | None) -> None:
    if range_ is not None:
        assert parse_range(text, "--color") == range_
        return
    with pytest.raises(RayselError, match="--color") as raised:
        parse_range(text, "--color")
    assert "\n" not in str(raised.value)


def test_no_range_is_no_condition() -> None:
    assert parse_range(None, "--color") is None


def test_json_is_one_array_with_every_column(made: Synthetic) -> None:
    rows = json.loads(_out(made, "--layer", "features.*", "--color", "0.3..0.8", "--class", "0.2..", "--json"))
    expected = [
        row
        for row in made.rows
        if row["layer"].startswith("features.")
        and not row["dead"]
        and 0.3 <= row["color_selectivity"] <= 0.8
        and row["class_selectivity"] is not None
        and row["class_selectivity"] >= 0.2
    ]
    expected.sort(key=lambda row: -row["color_selectivity"])
    assert len(expected) > 5
    assert _addresses(rows) == _addresses(expected)
    for row, original in zip(rows, expected, strict=True):
        assert list(row) == list(original)
        assert row["a_max"] == pytest.approx(original["a_max"], rel=1e-7)
        assert row["classes"] == original["classes"]


def test_single_precision_in_its_shortest_spelling(made: Synthetic) -> None:
    import numpy as np

    for row in json.loads(_out(made, "--layer", "features.*", "--json")):
        if row["a_max"] is not None:
            assert len(str(row["a_max"])) <= 10
            stored = next(r for r in made.rows if _addresses([r]) == _addresses([row]))["a_max"]
            assert np.float32(row["a_max"]) == np.float32(stored)


def test_csv_has_the_same_rows(made: Synthetic) -> None:
    rows = list(csv.DictReader(io.StringIO(_out(made, "--class", "..0.5", "--csv"))))
    as_json = json.loads(_out(made, "--class", "..0.5", "--json"))
    assert len(rows) > 5
    assert _addresses(rows) == _addresses(as_json)
    for row, other in zip(rows, as_json, strict=True):
        assert list(row) == list(other)
        assert float(row["class_selectivity"]) == other["class_selectivity"]
        assert json.loads(row["classes"]) == other["classes"]
        assert row["hue"] == ("" if other["hue"] is None else str(other["hue"]))


def test_a_table_for_people(made: Synthetic) -> None:
    lines = _out(made, "--limit", "4", "--sort", "saturated").splitlines()
    header = lines[0].split()
    for name in ("layer", "channel", "color_selectivity", "class_selectivity", "label", "saturated", "name"):
        assert name in header
    assert len(lines) == 5
    assert any(name in lines[1] for name in CLASS_NAMES.values())


def test_no_line_of_the_table_wraps_in_a_pipe(tmp_path: Path) -> None:
    from tests.store.synthetic import Layer

    name = "a.very.long.layer.name." * 8 + "conv"
    made = build(tmp_path, (Layer(name, 3, 7, 2),))
    lines = _out(made).splitlines()
    assert len(lines) == 4
    assert all(line.startswith(name) for line in lines[1:])


@pytest.mark.parametrize(
    ("arguments", "column"),
    [
        ((), "color_selectivity"),
        (("--class", "0.."), "class_selectivity"),
        (("--class", "0..", "--color", "0.."), "color_selectivity"),
        (("--sort", "a_max"), "a_max"),
    ],
)
def test_sorted_by_what_was_asked_for(made: Synthetic, arguments: tuple[str, ...], column: str) -> None:
    values = [row[column] for row in json.loads(_out(made, *arguments, "--json"))]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[: len(known)] == known
    assert len(set(known)) > 3


def test_conditions_on_any_column(made: Synthetic) -> None:
    rows = json.loads(_out(made, "--where", "hue=0..", "--where", "label=n0[12]", "--where", "n=2..12", "--json"))
    expected = [row for row in made.rows if row["label"] in ("n01", "n02") and (row["hue"] or -1) >= 0]
    expected = sorted((row for row in expected if 2 <= row["n"] <= 12), key=lambda row: -row["hue"])
    assert len(expected) > 3
    assert _addresses(rows) == _addresses(expected)


def test_conditions_on_a_part_of_a_column(made: Synthetic) -> None:
    lines = _out(made, "--where", "color_names.red=0.5..").splitlines()
    assert lines[0].split()[-2:] == ["color_names.red", "name"]
    reds = [float(line.split()[-3 if line.endswith("red fox") else -2]) for line in lines[1:]]
    expected = [row["color_names"]["red"] for row in made.rows if row["color_names"]]
    assert reds == pytest.approx(sorted((red for red in expected if red >= 0.5), reverse=True), abs=0.001)
    assert len(reds) > 5


def test_limit(made: Synthetic) -> None:
    everything = json.loads(_out(made, "--json"))
    assert len(everything) == len(made.rows)
    assert json.loads(_out(made, "--json", "--limit", "7")) == everything[:7]


@pytest.mark.parametrize(("form", "out"), [("--json", "[]\n"), ("--csv", None), (None, "")])
def test_nothing_found_is_said_and_no_fault(made: Synthetic, form: str | None, out: str | None) -> None:
    result = _run(made, "--color", "2..", *([form] if form else []))
    assert result.status == 0
    assert result.err == "no neuron of this index meets all conditions\n"
    expected = ",".join(raysel.open(made.folder.path).neurons.column_names) + "\n" if out is None else out
    assert result.out == expected


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--color", "0.5"), "--color '0.5' is not a range"),
        (("--class", "1..0"), "--class '1..0' is empty"),
        (
            ("--sort", "colour_selectivity"),
            "no column 'colour_selectivity' in this index; did you mean color_selectivity",
        ),
        (("--layer", "conv*"), "no layer 'conv*' in this index"),
        (("--limit", "0"), "a limit of 0 shows nothing"),
        (("--where", "chroma"), "--where 'chroma' is not a condition: write COLUMN=MIN..MAX or COLUMN=TEXT"),
        (("--where", "chroma=1..0"), "--where chroma '1..0' is empty"),
        (("--where", "chroma=red"), "column chroma is not text: give a range, such as 0.5.."),
        (("--where", "label=1.."), "column label is not numeric: it has no range"),
        (("--where", "color_names.rde=1.."), "no column 'color_names.rde' in this index; did you mean color_names.red"),
        (("--json", "--csv"), "--json and --csv exclude each other"),
    ],
)
def test_bad_arguments_are_one_line(made: Synthetic, arguments: tuple[str, ...], line: str) -> None:
    assert _run(made, *arguments).fault.startswith(line)


def test_no_index(tmp_path: Path) -> None:
    assert "no index in" in raysel_here(tmp_path, "find", str(tmp_path)).fault
