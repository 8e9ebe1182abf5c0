"""raysel similar, diff and export: what they print is what `raysel.query` answers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import raysel
from raysel.query import SearchableIndex
from raysel.store import plain_rows
from tests.store.synthetic import Layer, Synthetic, build
from tests.typed import Ended, raysel_here


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("index"), seed=2)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return build(tmp_path_factory.mktemp("other"), seed=3)


@pytest.fixture(scope="module")
def index(made: Synthetic) -> SearchableIndex:
    return raysel.open(made.folder.path)


def run(*arguments: str) -> Ended:
    return raysel_here(Path.cwd(), *arguments)


def out(*arguments: str) -> str:
    ended = run(*arguments)
    assert ended.status == 0, ended.err
    return ended.out


@pytest.mark.parametrize("by", ["images", "classes", "feature"])
def test_similar_neurons(made: Synthetic, index: SearchableIndex, by: str) -> None:
    arguments = ("similar", made.folder.path, "stem:3", "--by", by, "--layer", "features.*", "--limit", "7")
    expected = index.similar("stem:3", by, limit=7, within="features.*")  # type: ignore[arg-type]
    assert len(expected) == 7
    assert json.loads(out(*arguments, "--json")) == plain_rows(expected.table)
    lines = out(*arguments).splitlines()
    assert lines[0].split()[:2] == ["neuron", "similarity"]
    assert [line.split()[0] for line in lines[1:]] == [neuron.address for neuron in expected]


def test_similar_shows_twenty_by_default(made: Synthetic) -> None:
    assert len(out("similar", made.folder.path, "stem:3").splitlines()) == 21


def test_differences(made: Synthetic, other: Synthetic, index: SearchableIndex) -> None:
    paths = (made.folder.path, other.folder.path)
    second = raysel.open(other.folder.path)
    rows = json.loads(out("diff", *paths, "--json"))
    assert rows == plain_rows(index.diff(second, sort="image_overlap", direction="ascending").table)
    assert len(rows) == len(made.rows)
    lines = list(csv.DictReader(io.StringIO(out("diff", *paths, "--csv", "--limit", "3"))))
    assert [line["channel"] for line in lines] == [str(row["channel"]) for row in rows[:3]]
    where, sort = "color_selectivity_change > 0.2", "color_selectivity_change"
    text = out(
        "diff", *paths, "--where", where, "--sort", sort, "--columns", f"neuron,{sort}", "--limit", "1000"
    ).splitlines()
    changed = index.diff(second, where=where, sort=sort)
    assert [line.split()[0] for line in text[1:]] == [neuron.address for neuron in changed]
    assert len(changed) > 5
    none = run("diff", *paths, "--where", "color_selectivity_change > 2")
    assert (none.status, none.out, none.err) == (0, "", "no neuron meets all conditions\n")


def test_an_atlas(made: Synthetic, tmp_path: Path) -> None:
    file = tmp_path / "atlas.parquet"
    alive = [row for row in made.rows if not row["dead"]]
    said = json.loads(out("export", made.folder.path, "--atlas", str(file), "--by", "classes", "--json"))
    assert said == {"file": str(file), "neurons": len(alive)}
    table = pq.read_table(file)
    assert table["channel"].to_pylist() == [row["channel"] for row in alive]
    assert "neurons in" in out("export", made.folder.path, "--atlas", str(file))


def test_faults_are_one_line(made: Synthetic, tmp_path: Path) -> None:
    elsewhere = build(tmp_path / "elsewhere", (Layer("elsewhere", 3, 7, 2),)).folder.path
    for arguments, line in (
        (("similar", made.folder.path, "stem"), "'stem' is not a neuron"),
        (("similar", made.folder.path, "stem:5"), "stem:5 is dead"),
        (("similar", made.folder.path, "stem:3", "--by", "color"), "invalid value"),
        (("diff", made.folder.path, elsewhere), "no neuron is in both indexes"),
        (("diff", made.folder.path, made.folder.path, "--sort", "hue"), "no column 'hue' in this index; did you mean"),
        (("diff", made.folder.path, str(tmp_path / "nothing")), "no index in"),
        (("export", made.folder.path), "command"),
        (("export", made.folder.path, "--atlas", str(tmp_path / "no" / "a.parquet")), "cannot write"),
    ):
        assert run(*arguments).fault.startswith(line), arguments
