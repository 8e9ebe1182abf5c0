"""The tables of an evolution, against plain loops over the rows of its indexes; its page, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import raysel
from raysel.checkpoints.evolution.changes import layer_changes, neuron_changes
from raysel.checkpoints.evolution.feature_strips import grown
from raysel.checkpoints.evolution.series import Series, open_series
from raysel.checkpoints.evolution.share_lines import shares
from raysel.errors import RayselError
from raysel.store import Index
from tests.checkpoints.conftest import ALL, Story
from tests.checkpoints.training import CHANNELS, STEPS
from tests.store.synthetic import Layer, build
from tests.typed import Ended, raysel_here

LAYERS = (Layer("stem", 12, 7, 2), Layer("late", 24, 20, 4))
NAMES = ["step-000000009-model", "step-000000010-model", "step-000000100-model"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three synthetic indexes, and what a watcher leaves beside them."""
    folder = tmp_path_factory.mktemp("indexes")
    for seed, name in enumerate(NAMES):
        build(folder / name, LAYERS, seed)
    (folder / ".watch").mkdir()
    (folder / "unfinished").mkdir()
    return folder


@pytest.fixture(scope="module")
def series(made: Path) -> Series:
    return open_series([str(made)])


def typed(*arguments: object) -> Ended:
    return raysel_here(Path.cwd(), "evolution", *map(str, arguments))


def tops(index: Index) -> dict[tuple[str, int], set[int]]:
    """(layer, channel) -> the images that build the feature."""
    n = {(row["layer"], row["channel"]): row["n"] for row in index.neurons.to_pylist()}
    found: dict[tuple[str, int], set[int]] = {address: set() for address in n}
    for row in index.rankings().to_pylist():
        if row["rank"] < n[row["layer"], row["channel"]]:
            found[row["layer"], row["channel"]].add(row["image"])
    return found


def jaccard(a: set[int], b: set[int]) -> float | None:
    return len(a & b) / len(a | b) if a and b else None


def expected_overlaps(indexes: list[Index]) -> list[dict[str, Any]]:
    """Row by row."""
    images, rows = [tops(index) for index in indexes], []
    for place, index in enumerate(indexes):
        for row in index.neurons.to_pylist():
            address = row["layer"], row["channel"]
            rows.append(
                {
                    "layer": row["layer"],
                    "channel": row["channel"],
                    "overlap_previous": jaccard(images[place][address], images[place - 1][address]) if place else None,
                    "overlap_last": jaccard(images[place][address], images[-1][address]),
                }
            )
    return rows


def check_neurons(found: list[dict[str, Any]], indexes: list[Index]) -> None:
    own = [row for index in indexes for row in index.neurons.to_pylist()]
    assert len(found) == len(own)
    for row, there, overlaps in zip(found, own, expected_overlaps(indexes), strict=True):
        for name, value in overlaps.items():
            assert row[name] == (pytest.approx(value) if isinstance(value, float) else value)
        for name in ("n", "dead", "color_selectivity", "hue", "class_selectivity", "class_excess", "label"):
            assert row[name] == there[name]


def check_layers(found: list[dict[str, Any]], indexes: list[Index]) -> None:
    overlaps = iter(expected_overlaps(indexes))
    rows = iter(found)
    for index in indexes:
        neurons = [{**row, **next(overlaps)} for row in index.neurons.to_pylist()]
        for layer in (*index.layers, "all layers"):
            row, members = next(rows), [each for each in neurons if layer in (each["layer"], "all layers")]
            assert row["layer"] == layer
            assert row["neurons"] == len(members)
            assert row["dead"] == sum(each["dead"] for each in members)
            for name, column, threshold in (
                ("color_over_0.4", "color_selectivity", 0.4),
                ("class_over_0.6", "class_selectivity", 0.6),
                ("class_over_0.8", "class_selectivity", 0.8),
                ("excess_over_0.6", "class_excess", 0.6),
            ):
                values = [each[column] for each in members if each[column] is not None]
                if name in row:
                    assert row[name] == sum(value > threshold for value in values)
                else:
                    assert not values
            for name in ("overlap_previous", "overlap_last"):
                values = [each[name] for each in members if each[name] is not None]
                assert row[name] == (pytest.approx(sum(values) / len(values)) if values else None)


def test_indexes_are_in_the_order_of_their_steps(made: Path, series: Series) -> None:
    assert [member.name for member in series.members] == NAMES
    assert [member.step for member in series.members] == [9, 10, 100]
    assert (series.labels, series.axis) == (("9", "10", "100"), "step")
    places = [str(made / name) for name in reversed(NAMES)]
    for given in (places, [f"{made}/step-*"], [str(made), places[0]]):
        assert [member.name for member in open_series(given).members] == NAMES


def test_names_stand_for_steps_that_are_not_known(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / NAMES[0], tmp_path / "best")
    named = open_series([str(made), str(tmp_path / "best")])
    assert named.labels == (*NAMES, "best")
    assert named.axis == "checkpoint"


def test_the_rows_of_neurons(series: Series) -> None:
    check_neurons(neuron_changes(series).to_pylist(), list(series.indexes))


def test_the_rows_of_layers(series: Series) -> None:
    table = layer_changes(series)
    check_layers(table.to_pylist(), list(series.indexes))
    rows = [row for row in table.to_pylist() if row["layer"] == "late"]
    alive = [row["neurons"] - row["dead"] for row in rows]
    expected = [row["color_over_0.4"] / count for row, count in zip(rows, alive, strict=True)]
    assert shares(table, "late", "color_over_0.4").tolist() == pytest.approx(expected)
    assert shares(table, "late", "dead").tolist() == pytest.approx([row["dead"] / row["neurons"] for row in rows])


def test_the_neurons_that_have_grown_most_are_shown(series: Series) -> None:
    first, last = ({(row["layer"], row["channel"]): row for row in index.neurons.to_pylist()}
                   for index in (series.indexes[0], series.last))  # fmt: skip

    def rise(address: tuple[str, int]) -> float:
        before, after = (each[address]["color_selectivity"] for each in (first, last))
        return (-1.0 if after is None else after) - (before or 0.0)

    shown = grown(series)
    assert len(shown) == len(set(shown)) == 8
    late = sorted((address for address in last if address[0] == "late" and last[address]["n"]), key=rise)
    assert late[-1] in shown
    assert grown(series, (("late", 3),)) == (("late", 3),)


def test_the_page_and_its_files(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    ended = typed(made, "--out", out, "--json")
    assert ended.status == 0, ended.err
    said = json.loads(ended.out)
    assert sorted(said["files"]) == sorted(path.name for path in out.iterdir())
    written = json.loads((out / "evolution.json").read_text())
    assert written == {"indexes": said["indexes"], "layers": said["layers"]}
    assert [each["step"] for each in written["indexes"]] == [9, 10, 100]
    check_neurons(pq.read_table(out / "neurons.parquet").to_pylist(), [raysel.open(made / name) for name in NAMES])
    page = (out / "index.html").read_text()
    assert "How made:up becomes selective" in page
    assert page.count('<img src="data:image/svg+xml;base64,') == 3
    for name in ("evolution-shares", "evolution-features", "evolution-overlap"):
        pixels = np.asarray(Image.open(out / f"{name}.png").convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3)[::7], axis=0)) > 10, name
        assert ElementTree.fromstring((out / f"{name}.svg").read_text()) is not None
        assert (out / f"{name}.csv").stat().st_size > 100
    assert typed(made, "--out", out, "--neuron", "late:3").status == 0
    assert (out / "evolution-features.csv").read_text().count('"late",3,') == len(NAMES)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    assert "has other files in it" in typed(made, "--out", other).fault


def test_the_table_that_is_printed(made: Path) -> None:
    ended = typed(made)
    assert ended.status == 0
    heading, *rows = ended.out.splitlines()
    assert heading.split()[:4] == ["layer", "step", "neurons", "dead"]
    assert [row.split()[0] for row in rows[:6]] == ["stem"] * 3 + ["late"] * 3


def test_what_cannot_be_compared(made: Path, tmp_path: Path) -> None:
    first = made / NAMES[0]
    build(tmp_path / "narrow", (LAYERS[0], Layer("late", 23, 20, 4)))
    build(tmp_path / "other", (LAYERS[0], Layer("last", 24, 20, 4)))
    shutil.copytree(first, tmp_path / "images")
    manifest = json.loads((first / "manifest.json").read_text())
    manifest["source"]["digest"] = "another"
    (tmp_path / "images" / "manifest.json").write_text(json.dumps(manifest))
    assert "their networks differ: layer late: 24 neurons and 23 neurons" in typed(first, tmp_path / "narrow").fault
    assert "their networks differ: layer late: 24 neurons and missing" in typed(first, tmp_path / "other").fault
    assert "their images differ" in typed(first, tmp_path / "images").fault


def test_what_is_refused(made: Path, tmp_path: Path) -> None:
    assert "an evolution needs at least two indexes" in typed(made / NAMES[0]).fault
    assert "no index at" in typed(tmp_path).fault
    assert "no index at" in typed(f"{made}/epoch-*").fault
    assert "only the last part of a glob" in typed(f"{made.parent}/*/step-*").fault
    assert "give --out as well" in typed(made, "--neuron", "late:3").fault
    assert "no layer" in typed(made, "--out", tmp_path / "out", "--neuron", "early:3").fault
    assert "is a URI" in typed(made, "--out", "s3://bucket/page").fault
    with pytest.raises(RayselError, match="at least two indexes"):
        open_series([])


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_evolution_of_the_network_that_was_trained(story: Story) -> None:
    """Of the six indexes that a watcher has made in a bucket."""
    series = open_series([story.bucket.indexes])
    assert [member.name for member in series.members] == ALL
    assert [member.step for member in series.members] == list(STEPS)
    assert series.last.layers == tuple(CHANNELS)
    table = layer_changes(series).to_pylist()
    check_layers(table, list(series.indexes))
    check_neurons(neuron_changes(series).to_pylist(), list(series.indexes))
    whole = [row for row in table if row["layer"] == "all layers"]
    assert whole[-1]["overlap_last"] == 1
    assert whole[0]["overlap_last"] < 0.5 < whole[-1]["overlap_previous"], "training settles"
    assert whole[0]["excess_over_0.6"] < whole[-1]["excess_over_0.6"], "class selectivity is learned"
