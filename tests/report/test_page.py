"""The page of a report and its files, as a whole."""

from __future__ import annotations

import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pyarrow import csv

import raysel
from raysel.report.figures import EXHIBITS
from tests.store.synthetic import Layer, build
from tests.typed import Ended, raysel_here

LAYERS = (Layer("stem", 12, 7, 2), Layer("features.3.squeeze_and_a_long_name_of_a_block", 24, 20, 4))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build(folder, LAYERS)
    return folder


@pytest.fixture(scope="module")
def out(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "deep" / "report"
    ended = _typed(index, folder, "--json")
    assert ended.status == 0, ended.err
    (folder / "said.json").write_text(ended.out)
    return folder


def _typed(index: Path, out: Path, *more: str) -> Ended:
    return raysel_here(Path.cwd(), "report", str(index), "--out", str(out), *more)


class References(HTMLParser):
    """What a page refers to by src, href and the like, and its styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        wanted = ("src", "srcset", "href", "data", "action", "poster", "style", "background")
        self.found += [(tag, value or "") for name, value in attrs if name in wanted]


def test_the_page_requests_nothing(out: Path) -> None:
    text = (out / "index.html").read_text()
    page = References(text)
    assert page.found
    for tag, value in page.found:
        if tag == "img":
            assert value.startswith("data:image/svg+xml;base64,")
        else:
            assert tag == "a"
            assert (out / value).is_file()
            assert ":" not in value
            assert not value.startswith("/")
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not re.search(r"@import|url\(", text)
    assert "@media print" in text


def test_json_names_the_files_that_were_written(out: Path) -> None:
    said = json.loads((out / "said.json").read_text())
    assert said["out"] == str(out)
    assert sorted(said["files"]) == sorted(path.name for path in out.iterdir() if path.name != "said.json")
    assert said["files"][0] == "index.html"
    assert len(said["files"]) > 20


def test_no_picture_is_blank(out: Path) -> None:
    pictures = sorted(out.glob("*.png"))
    assert len(pictures) >= 9
    for path in pictures:
        pixels = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3)[::7], axis=0)) > 10, path.name
        drawing = ElementTree.fromstring(path.with_suffix(".svg").read_text())
        drawn = {element.tag.rpartition("}")[2] for element in drawing.iter()}
        assert drawn & {"path", "image"}, path.name
        assert path.with_suffix(".csv").stat().st_size > 20
        outside = [value for element in drawing.iter() for key, value in element.attrib.items() if key.endswith("href")]
        assert all(value.startswith(("#", "data:")) for value in outside), path.name


def test_csv_files_hold_the_data(out: Path, index: Path) -> None:
    opened = raysel.open(index)
    for exhibit in EXHIBITS:
        path = out / f"{exhibit.name}.csv"
        if path.exists():
            table = exhibit.collect(opened).table
            options = csv.ConvertOptions(column_types=table.schema, strings_can_be_null=True, null_values=[""])
            assert csv.read_csv(path, convert_options=options).to_pylist() == table.to_pylist(), exhibit.name


def test_every_figure_is_on_the_page_or_says_why_not(out: Path) -> None:
    text = (out / "index.html").read_text()
    for exhibit in EXHIBITS:
        section = text.partition(f'<section id="{exhibit.name}"')[2].partition("</section>")[0]
        assert exhibit.title in section
        assert ("Not shown: " in section) != (out / f"{exhibit.name}.csv").exists()


def test_the_page_says_what_was_indexed(out: Path) -> None:
    text = (out / "index.html").read_text()
    for part in ("made:up", "/images", "59 images", "4 classes", "36 in 2 layers"):
        assert part in text, part
    assert "What chance would give is unknown" in text
    assert "raysel derive INDEX --interventions gray adds it" in text


def test_an_earlier_report_is_replaced_and_nothing_else(out: Path, index: Path) -> None:
    (out / "notes.txt").write_text("mine")
    (out / "fig5-color-selectivity.png").write_bytes(b"old")
    assert _typed(index, out).status == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert Image.open(out / "fig5-color-selectivity.png").width > 1000


def test_a_folder_with_other_files_is_left_alone(index: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>my own page</html>")
    fault = _typed(index, tmp_path).fault
    assert "other files" in fault
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert "my own page" in (tmp_path / "index.html").read_text()


def test_errors_are_one_line(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no index in" in _typed(tmp_path / "nowhere", tmp_path / "out").fault
    (tmp_path / "file").write_text("")
    assert "is a file" in _typed(index, tmp_path / "file").fault
    assert "is a URI" in raysel_here(tmp_path, "report", str(index), "--out", "s3://bucket/report").fault
    assert not (tmp_path / "out").exists()
    for module in [name for name in sys.modules if name.startswith("raysel.report.page")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'raysel[report]'" in _typed(index, tmp_path / "out").fault
