"""What notebooks show, and the example notebook, executed cell by cell."""

from __future__ import annotations

import ast
import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

import raysel
from raysel.query import SearchableIndex
from raysel.query.notebook import MAX_CLASSES, MAX_CROPS, MAX_ROWS
from tests.conftest import ROOT
from tests.store.synthetic import Layer, Synthetic, build

EXAMPLE = ROOT / "raysel" / "query" / "example.ipynb"
VOID = ("img",)


class Page(HTMLParser):
    """Tags, text and pictures of a page whose tags are all closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.pictures: list[tuple[str, Image.Image]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        assert set(values) <= {"style", "src", "alt"}
        if source := values.get("src"):
            assert source.startswith("data:image/png;base64,")
            content = base64.b64decode(source.partition(",")[2])
            self.pictures.append((values["alt"] or "", Image.open(io.BytesIO(content))))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def test_a_row_per_neuron_with_its_feature(index: SearchableIndex) -> None:
    found = index.find("red", limit=5)
    page = Page(found._repr_html_())
    assert page.tags.count("tr") == 6
    assert [text for text, _ in page.pictures] == [neuron.address for neuron in found]
    for (_, picture), neuron in zip(page.pictures, found, strict=True):
        assert neuron.picture is not None
        assert picture.convert("RGBA").tobytes() == neuron.picture.tobytes()
        assert neuron.address in page.text
    assert "match" in page.text


def test_a_long_table_is_cut(index: SearchableIndex) -> None:
    found = index.find(sort="layer")
    page = Page(found._repr_html_())
    assert page.tags.count("tr") == MAX_ROWS + 1
    assert f"and {len(found) - MAX_ROWS} more neurons" in page.text
    assert len(page.pictures) < MAX_ROWS  # a dead neuron has none


def test_a_neuron_with_feature_crops_and_classes(index: SearchableIndex) -> None:
    neuron = index.neuron("features.10", 3)
    page = Page(neuron._repr_html_())  # type: ignore[operator]
    assert len(page.pictures) == 1 + min(MAX_CROPS, len(neuron.crops))
    for (_, picture), crop in zip(page.pictures[1:], neuron.crops, strict=False):
        assert picture.tobytes() == crop.tobytes()
    assert page.tags.count("li") == min(MAX_CLASSES, len(neuron.classes)) > 1
    assert all(each.name in page.text for each in neuron.classes)
    assert "dead" in Page(index.neuron("stem", 5)._repr_html_()).text  # type: ignore[operator]


def test_names_are_text_and_never_tags(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&\x1b[2J"
    index = raysel.open(build(tmp_path, (Layer(evil, 4, 7, 2),), classes={"a": evil}).folder.path)
    for html in (index.find()._repr_html_(), index.neuron(evil, 1)._repr_html_()):  # type: ignore[operator]
        page = Page(html)
        assert "script" not in page.tags
        assert "<script>alert(1)</script>\"'&" in page.text
        assert "\x1b" not in html


def shown(cells: list[dict[str, Any]], names: dict[str, Any]) -> list[Any]:
    """Execute cells as a notebook does: the value of the last expression of each."""
    values = []
    for cell in cells:
        tree = ast.parse("".join(cell["source"]))
        last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None  # type: ignore[attr-defined]
        exec(compile(tree, EXAMPLE.name, "exec"), names)
        values.append(eval(compile(last, EXAMPLE.name, "eval"), names) if last else None)
    return values


def test_the_example_runs(made: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "index").symlink_to(made.folder.path)
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(EXAMPLE.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    values = shown(cells, {})
    index, red, numbers, neuron, alike, explained, changes = values
    assert repr(index).startswith("<raysel index of made:up")
    assert "red = color red" in capsys.readouterr().out
    for each, rows in ((red, 9), (alike, 6)):
        assert Page(each._repr_html_()).tags.count("tr") == rows
    assert Page(explained._repr_html_()).tags.count("tr") > 1
    assert neuron.classes[0].name in Page(neuron._repr_html_()).text
    assert len(numbers) == 3
    assert (changes["color_selectivity_change"].dropna() == 0).all()
    assert isinstance(red.table, pa.Table)
