"""`explain`: rankings looked up the other way round, and an image from outside by a run of the network."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

import raysel
from raysel.errors import RayselError
from raysel.query import SearchableIndex, explain
from raysel.report import draw_explanation
from tests.store.synthetic import Synthetic
from tests.typed import Ended, raysel_here

POSITION = ("row", "column", "x0", "y0", "x1", "y1")


@pytest.mark.parametrize("image", [0, 17, 59])
def test_an_image_of_the_index_is_looked_up(made: Synthetic, index: SearchableIndex, image: int) -> None:
    entries = [entry for ranking in made.rankings.values() for entry in ranking if entry["image"] == image]
    order = {layer: depth for depth, layer in enumerate(index.layers)}
    entries.sort(key=lambda entry: (-entry["w"], order[entry["layer"]], entry["channel"]))
    found = explain(index, image, limit=None)
    assert found.image == f"key{image:04d}"
    rows = found.table.to_pylist()
    assert len(rows) == len(entries) > 10
    neurons = {(row["layer"], row["channel"]): row for row in index.neurons.to_pylist()}
    for row, entry in zip(rows, entries, strict=True):
        assert row["relative"] == entry["w"]
        assert row["activation"] == pytest.approx(entry["activation"])
        assert [row[name] for name in POSITION] == [entry[name] for name in POSITION]
        assert neurons[entry["layer"], entry["channel"]].items() <= row.items()
    assert explain(index, f"key{image:04d}", limit=None).table.equals(found.table)
    assert index.explain(str(image), limit=4).table.equals(found.table.slice(0, 4))
    some = index.explain(image, layer="features.*", limit=None).table.to_pylist()
    assert some == [row for row in rows if row["layer"].startswith("features.")]


def test_text_is_a_key_before_it_is_an_id(made: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are often numbered: ids follow the sorted keys, so that key 10 is not id 10."""
    index, keys = raysel.open(made.folder.path), sorted(map(str, range(60)))
    images = pa.table({"image": pa.array(range(60), pa.int64()), "key": keys})
    monkeypatch.setattr(type(index), "images_of", lambda _, ids: images.take(pa.array(ids)))
    table = index.table

    def numbered(name: str) -> Any:
        return (
            mock.Mock(where=lambda key: images.filter(pc.equal(images["key"], key)))
            if "images" in name
            else table(name)
        )

    monkeypatch.setattr(index, "table", numbered, raising=False)
    assert keys.index("10") != 10
    assert explain(index, "10").table.equals(explain(index, keys.index("10")).table)
    assert explain(index, "10").image == "10"
    assert explain(index, 10).image == keys[10]


def test_of_neurons_at_their_maximum_the_rarest_is_first(made: Synthetic) -> None:
    index = raysel.open(made.folder.path)
    place = index.neurons.schema.get_field_index("saturated")
    saturated = pa.array(np.random.default_rng(0).integers(1, 9, len(index.neurons)), pa.int32())
    index.__dict__["neurons"] = index.neurons.set_column(place, index.neurons.schema.field(place), saturated)
    best = [ranking[0]["image"] for ranking in made.rankings.values()]
    image = max(set(best), key=best.count)
    rows = [row for row in index.explain(image, limit=None).table.to_pylist() if row["relative"] == 1]
    assert len(rows) == best.count(image) > 2
    assert [row["saturated"] for row in rows] == sorted(row["saturated"] for row in rows)


@pytest.mark.parametrize(
    ("question", "line"),
    [
        (("nowhere.jpg",), "'nowhere.jpg' is not an id (0 to 59) or key of this index: no image file at nowhere.jpg"),
        (("60",), "'60' is not an id (0 to 59) or key of this index"),
        ((3, "conv*"), "no layer 'conv*' in this index"),
        ((3, None, 0), "a limit of 0 shows nothing"),
    ],
)
def test_impossible_questions_are_one_line(index: SearchableIndex, question: Any, line: str) -> None:
    with pytest.raises(RayselError) as raised:
        explain(index, *question)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


@contextlib.contextmanager
def inside(home: Path) -> Iterator[None]:
    """In the folder with the network's code."""
    sys.modules.pop("tiny_network", None)
    with contextlib.chdir(home), mock.patch.object(sys, "path", [str(home), *sys.path]):
        yield


@pytest.mark.ray
def test_a_run_finds_what_the_rankings_have(home: Path, indexed: Ended, tmp_path: Path) -> None:
    """The rankings of 30 images are complete, so each image explained as a file is as in the index."""
    assert indexed.status == 0, indexed.err
    with inside(home):
        index = raysel.open("index")
        for key in ("red/00.png", "green/07.png"):
            file = tmp_path / "copy.png"
            file.write_bytes((home / "images" / key).read_bytes())
            looked_up, run = index.explain(key, limit=None), index.explain(file, limit=None)
            assert run.image == os.fspath(file)
            assert len(run) == len(looked_up) > 3
            by_neuron = [
                {(row["layer"], row["channel"]): row for row in each.table.to_pylist()} for each in (looked_up, run)
            ]
            assert by_neuron[0].keys() == by_neuron[1].keys()
            for address, row in by_neuron[0].items():
                other = by_neuron[1][address]
                assert other["activation"] == pytest.approx(row["activation"], rel=1e-5)
                assert other["relative"] == pytest.approx(row["relative"], rel=1e-5)
                assert [other[name] for name in POSITION] == [row[name] for name in POSITION]
            assert (looked_up.pixels() == run.pixels()).all()


@pytest.mark.ray
def test_the_command_and_its_picture(home: Path, indexed: Ended, tmp_path: Path) -> None:
    assert indexed.status == 0, indexed.err
    out = tmp_path / "explained.png"
    ended = raysel_here(home, "explain", "index", "images/red/00.png", "--json", "--limit", "3", "--out", str(out))
    assert ended.status == 0, ended.err
    rows = json.loads(ended.out)
    with inside(home):
        found = raysel.open("index").explain("red/00.png", limit=3)
        assert [row["channel"] for row in rows] == found.table["channel"].to_pylist()
        picture = np.asarray(Image.open(out))
        assert picture.shape == np.asarray(draw_explanation(found)).shape
        # The image itself is on it, enlarged: its strongest channel is red.
        part = picture[100:500, 60:400].mean(axis=(0, 1))
    assert part[0] > part[1] + 30
    assert part[0] > part[2] + 30


@pytest.mark.ray
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("images/about.txt",), "images/about.txt cannot be decoded"),
        (("images/red/00.png", "--weights", "nowhere.safetensors"), "no weights"),
        (("images/red/00.png", "--out", "picture.jpg"), "--out picture.jpg: the picture is a PNG"),
        (("red/00.png", "--images", "nowhere", "--out", "picture.png"), "no such file or folder"),
    ],
)
def test_faults_are_one_line(home: Path, indexed: Ended, arguments: tuple[str, ...], line: str) -> None:
    assert indexed.status == 0, indexed.err
    fault = raysel_here(home, "explain", "index", *arguments).fault
    assert fault.startswith(line)
    assert "\n" not in fault
