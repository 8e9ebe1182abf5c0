"""Names of layers and classes with anything in them: they are text on the page and in every figure."""

from __future__ import annotations

import warnings
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from matplotlib.font_manager import findfont

import raysel
from raysel.report.drawing.style import one_line
from raysel.report.drawing.tag_cloud import font_with, tag_cloud
from raysel.report.figures import class_neurons
from raysel.report.page import write_report
from tests.store.synthetic import Layer, build

NAMES = ("<script>alert(1)</script>", "price $x$", "half $\\frac{", "two\nlines", "\t", "x" * 200, "a \"b\" & 'c'")


class Tags(HTMLParser):
    """Counts the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


def test_every_figure_is_drawn_and_nothing_on_the_page_is_taken_for_markup(tmp_path: Path) -> None:
    classes = dict(zip(("n01", "n02", "n03", "n04"), NAMES, strict=False))
    build(tmp_path / "index", tuple(Layer(name, 4, 9, 2) for name in NAMES), classes=classes)
    files = write_report(raysel.open(tmp_path / "index"), tmp_path / "out")
    assert {"fig1-ranked-activations.svg", "fig7-class-neurons.svg", "distributions.svg"} <= set(files)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "script" not in Tags(page).found
    for path in (tmp_path / "out").glob("*.svg"):
        assert not [each for each in ElementTree.parse(path).iter() if each.tag.endswith("script")]


@pytest.mark.parametrize("name", [*NAMES, "", "犬"])
def test_a_tag_is_one_line(name: str) -> None:
    picture = tag_cloud({name: 0.5, "fox": 0.3}, (3, 1.5), {name})
    assert picture.getcolors(1 << 20)
    assert (230, 159, 0) in [color for _, color in picture.getcolors(1 << 20) or ()]
    assert len(one_line(name, 30).splitlines()) <= 1


def test_letters_that_the_usual_font_lacks_are_taken_from_another() -> None:
    """A double-struck letter in one font of matplotlib, and a private one in none."""
    usual = findfont("DejaVu Sans")
    assert font_with("açaí Ж") == usual
    assert font_with("a\u1d8a") != usual
    assert font_with("\ue8ff\U000f1234") == usual


@pytest.mark.parametrize(("letter", "font"), [("\u1d8a", "STIXGeneral"), ("\U000f1234", "DejaVuSans")])
def test_letters_of_a_layer_that_the_usual_font_lacks(tmp_path: Path, letter: str, font: str) -> None:
    """The second letter is in no font: it is a box, and nothing is said on the terminal."""
    build(tmp_path / "index", (Layer(f"conv {letter}", 4, 9, 2),))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        write_report(raysel.open(tmp_path / "index"), tmp_path / "out")
    drawing = (tmp_path / "out" / "fig5-color-selectivity.svg").read_text()
    assert {each for each in ("STIXGeneral", "DejaVuSans") if f'id="{each}' in drawing} >= {font}


def test_classes_of_one_name_and_classes_above_others(tmp_path: Path) -> None:
    """Two classes are called crane, and the class thing is the concept above them: no share is lost."""
    names = {"n01": "crane", "n02": "crane", "n03": "thing", "n04": "other"}
    made = build(tmp_path, (Layer("stem", 12, 9, 2),), classes=names)
    index = raysel.open(tmp_path)
    above = {"n01": ["thing"], "n02": ["thing"], "n03": [], "n04": []}
    index.__dict__["classes"] = index.classes.set_column(
        3, "hypernyms", pa.array([above[label] for label in index.classes["label"].to_pylist()], pa.list_(pa.string()))
    )
    rows = class_neurons.collect(index).table.to_pylist()
    assert rows
    for channel in {row["channel"] for row in rows}:
        f = {each["label"]: each["share"] for each in made.rows[channel]["classes"]}
        tags = {(row["kind"], row["tag"]): row["share"] for row in rows if row["channel"] == channel}
        assert tags["class", "crane"] == pytest.approx(f["n01"] + f["n02"])
        assert tags["concept", "crane"] == pytest.approx(f["n01"] + f["n02"])
        assert tags["class", "thing"] == pytest.approx(f["n03"])
        assert tags["concept", "thing"] == pytest.approx(1)
