"""raysel find: what it prints is what the index says."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import raysel
from raysel.cli.searching.find import parse_range
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
    ("text", "conditions"),
    [
        ("0.5..", ["x >= 0.5"]),
        ("..0.3", ["x <= 0.3"]),
        ("0.5..0.9", ["x >= 0.5", "x <= 0.9"]),
        (".5..1", ["x >= 0.5", "x <= 1.0"]),
        ("0..0", ["x >= 0.0", "x <= 0.0"]),
        ("-1..+1e-3", ["x >= -1.0", "x <= 0.001"]),
        (" 0.25.. ", ["x >= 0.25"]),
        (None, []),
    ],
)
def test_ranges(text: str | None, conditions: list[str]) -> None:
    assert parse_range(text, "--color", "x") == conditions


@pytest.mark.parametrize(
    "text", ["1...5", "0.9..0.5", "0.5", "..", "", "a..b", "0.1..0.2..0.3", "nan..", "0.5..0.9x", "0.5.. or true"]
)
def test_what_is_not_a_range_is_one_line(text: str) -> None:
    with pytest.raises(RayselError, match="--color") as raised:
        parse_range(text, "--color", "x")
    assert "\n" not in str(raised.value)


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
    assert lines[0].split() == [
        "neuron",
        "color_selectivity",
        "color_name",
        "class_selectivity",
        "class_excess",
        "saturated",
        "name",
    ]
    assert len(lines) == 5
    assert lines[1].split()[0] in {f"{row['layer']}:{row['channel']}" for row in made.rows}
    assert any(name in lines[1] for name in CLASS_NAMES.values())


def test_words_come_with_how_they_were_understood(made: Synthetic) -> None:
    ended = _run(made, "red", "lemons", "stem", "--limit", "3")
    assert ended.status == 0
    assert ended.err == "red = color red; lemons = class lemon; stem = layer stem\n"
    lines = ended.out.splitlines()
    assert lines[0].split()[:2] == ["neuron", "match"]
    assert len(lines) == 4
    assert all(line.startswith("stem:") for line in lines[1:])


def test_words_may_be_one_argument(made: Synthetic) -> None:
    rows = json.loads(_out(made, "red lemons stem", "--json"))
    assert rows == json.loads(_out(made, "red", "lemons", "stem", "--json"))
    assert len(rows) > 5
    assert all(row["match"] > 0 for row in rows)


def test_chosen_columns(made: Synthetic) -> None:
    rows = json.loads(_out(made, "--json", "--columns", "neuron, color_names.red,a_max,name", "--sort", "layer"))
    for row, original in zip(rows, made.rows, strict=True):
        red = None if original["dead"] else original["color_names"]["red"]
        assert list(row) == ["neuron", "color_names.red", "a_max", "name"]
        assert row["neuron"] == f"{original['layer']}:{original['channel']}"
        assert row["color_names.red"] == red
        assert row["name"] == CLASS_NAMES.get(original["label"])
    assert _out(made, "--columns", "channel,hue", "--limit", "2").splitlines()[0].split() == ["channel", "hue"]
    assert _out(made, "--columns", "channel,hue", "--limit", "2", "--csv").splitlines()[0] == "channel,hue"


def test_a_parquet_file(made: Synthetic, tmp_path: Path) -> None:
    out = _out(made, "--where", "hue > 0", "--parquet", str(tmp_path / "found.parquet"))
    index = raysel.open(made.folder.path)
    assert pq.read_table(tmp_path / "found.parquet").equals(index.find(where="hue > 0").table.combine_chunks())
    assert out.endswith("found.parquet\n")
    fault = _run(made, "--parquet", str(tmp_path / "no" / "folder.parquet")).fault
    assert fault.startswith("cannot write")


@pytest.mark.parametrize("arguments", [(), ("red",), ("--where", "hue > 0 and n > 3"), ("red", "--sort", "sharpness")])
def test_the_default_columns_fit_eighty_columns(
    made: Synthetic, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", _out(made, *arguments)).splitlines()
    assert max(map(len, lines)) <= 80
    body = lines[next(place for place, line in enumerate(lines) if "───" in line) + 1 :]
    assert len(body) > 20
    assert all(re.match(r" *[\w.]+:\d+ ", line) for line in body if line.strip())  # a neuron in each line


def test_finding_starts_without_torch_and_ray(made: Synthetic) -> None:
    code = (
        "import sys; from raysel.cli import main\n"
        f"try: main(['find', {str(made.folder.path)!r}, 'red', '--where', 'hue > 0'])\n"
        "finally: print(sorted({'torch', 'ray', 'scipy', 'matplotlib'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]"


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
    where = ("--where", "hue >= 0 or hue > 200", "--where", "label in ('n01', 'n02') and n between 2 and 12")
    rows = json.loads(_out(made, *where, "--json"))
    expected = [row for row in made.rows if row["label"] in ("n01", "n02") and (row["hue"] or -1) >= 0]
    expected = sorted((row for row in expected if 2 <= row["n"] <= 12), key=lambda row: -row["hue"])
    assert len(expected) > 3
    assert _addresses(rows) == _addresses(expected)


def test_conditions_on_a_part_of_a_column(made: Synthetic) -> None:
    lines = _out(made, "--where", "color_names.red >= 0.5", "--limit", "1000").splitlines()
    assert lines[0].split()[-2:] == ["color_names.red", "name"]
    reds = [float(line.split()[-3 if line.endswith("red fox") else -2]) for line in lines[1:]]
    expected = [row["color_names"]["red"] for row in made.rows if row["color_names"]]
    assert reds == pytest.approx(sorted((red for red in expected if red >= 0.5), reverse=True), abs=0.001)
    assert len(reds) > 5


def test_limit(made: Synthetic) -> None:
    everything = json.loads(_out(made, "--json"))
    assert len(everything) == len(made.rows)
    assert json.loads(_out(made, "--json", "--limit", "7")) == everything[:7]


def test_a_table_without_a_limit_shows_the_first_twenty(made: Synthetic) -> None:
    count = len(made.rows)
    assert count > 20
    few, all_of_them = _run(made), _run(made, "--limit", str(count))
    assert few.err == f"the first 20 of {count} neurons: --limit {count} shows all\n"
    assert all_of_them.err == ""
    assert len(all_of_them.out.splitlines()) == 1 + count
    shown = [line.split() for line in few.out.splitlines()]
    assert shown == [line.split() for line in all_of_them.out.splitlines()[:21]]


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
        (
            ("--parquet", "/nowhere/all.parquet"),
            "cannot write /nowhere/all.parquet: the folder /nowhere does not exist",
        ),
        (("--where", " "), "--where is empty: write a condition"),
        (("--where", "chroma > 0.5 and"), "cannot read the condition 'chroma > 0.5 and'"),
        (("--sort", "name"), "column 'name' is printed, but not stored in the index: use label"),
        (("--where", "chroma"), "in the condition, chroma alone is neither true nor false"),
        (("--where", "chroma=0.5.."), "cannot read the condition"),
        (("--where", "chroma = 'red'"), "column chroma holds numbers: it cannot be compared with 'red'"),
        (("--where", "label > 1"), "column label holds text: it cannot be compared with 1"),
        (("--where", "color_names.rde > 1"), "no column 'color_names.rde' in this index; did you mean color_names.red"),
        (("--columns", "neuron,colour"), "no column 'colour' in this index; did you mean"),
        (("--columns", ","), "--columns names no column"),
        (("lemn",), "'lemn' is not a color, class, concept or layer of this index; did you mean lemon"),
        (("--json", "--parquet", "x"), "--json and --parquet exclude each other"),
        (("--json", "--csv"), "--json and --csv exclude each other"),
    ],
)
def test_bad_arguments_are_one_line(made: Synthetic, arguments: tuple[str, ...], line: str) -> None:
    assert _run(made, *arguments).fault.startswith(line)


def test_no_index(tmp_path: Path) -> None:
    assert "no index in" in raysel_here(tmp_path, "find", str(tmp_path)).fault
