"""Figures of indexes that lack something: labels, activations, images, columns."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from matplotlib import rc_context

import raysel
from raysel.report.background import chance_note, facts
from raysel.report.drawing.style import RC, panels, runs, short
from raysel.report.exhibit import NotShownError
from raysel.report.figures import EXHIBITS
from raysel.report.page import write_report
from raysel.store import Index
from tests.store import synthetic
from tests.store.synthetic import Layer, build

LAYERS = (Layer("stem", 6, 7, 2), Layer("silent", 4, 9, 2, dead=True), Layer("head", 12, 20, 4))


def drawn(index: Index) -> dict[str, str]:
    """Draw every figure; name -> why it is not shown, empty if it is."""
    reasons = {}
    with rc_context(RC):
        for exhibit in EXHIBITS:
            try:
                findings = exhibit.collect(index)
            except NotShownError as reason:
                reasons[exhibit.name] = str(reason)
                continue
            assert findings.table.num_rows > 0, exhibit.name
            if exhibit.draw is not None:
                exhibit.draw(findings).savefig(io.BytesIO(), format="png", dpi=20)
            reasons[exhibit.name] = ""
    return reasons


def unlabeled(folder: Path) -> Index:
    index = raysel.open(folder)
    for column in [name for name in index.neurons.column_names if "class" in name or "label" in name]:
        place = index.neurons.column_names.index(column)
        kind = index.neurons.schema.field(column)
        empty = synthetic.pa.nulls(len(index.neurons), kind.type)
        index.__dict__["neurons"] = index.neurons.set_column(place, kind, empty)
    counts = index.manifest.counts.model_copy(update={"classes": 0})
    index.manifest = index.manifest.model_copy(update={"counts": counts})
    return index


def test_without_labels_class_figures_say_why(tmp_path: Path) -> None:
    build(tmp_path, LAYERS)
    index = unlabeled(tmp_path)
    reasons = drawn(index)
    for name in ("fig6-class-selectivity", "fig7-class-neurons", "color-and-class"):
        assert reasons[name] == "The images have no labels, so nothing is known about classes."
    for name in ("fig1-ranked-activations", "fig4-color-range", "fig5-color-selectivity", "table-layers"):
        assert reasons[name] == ""
    assert chance_note(index) == ""
    assert "no labels" in dict(facts(index))["Images"]


def test_a_dead_layer_has_its_bars_and_no_pictures(tmp_path: Path) -> None:
    build(tmp_path, LAYERS)
    index = raysel.open(tmp_path)
    reasons = drawn(index)
    assert reasons["fig2-features-and-crops"] == ""
    tables = {exhibit.name: exhibit.collect(index).table for exhibit in EXHIBITS if not reasons[exhibit.name]}
    bars = [row for row in tables["fig5-color-selectivity"].to_pylist() if row["layer"] == "silent"]
    assert [row["neurons"] for row in bars] == [0] * 10 + [4]
    (counted,) = [row for row in tables["table-layers"].to_pylist() if row["layer"] == "silent"]
    assert (counted["dead"], counted["mean_color"], counted["color_over_0.4"]) == (4, None, 0)
    for name in ("fig1-ranked-activations", "fig2-features-and-crops", "fig4-color-range"):
        assert "silent" not in tables[name]["layer"].to_pylist()


def test_a_network_without_any_activation(tmp_path: Path) -> None:
    build(tmp_path / "index", (Layer("silent", 4, 9, 2, dead=True), Layer("too", 3, 9, 2, dead=True)))
    index = raysel.open(tmp_path / "index")
    reasons = drawn(index)
    assert reasons.pop("table-layers") == ""
    assert set(reasons.values()) == {"No image activates any neuron."}
    assert write_report(index, tmp_path / "out") == ["index.html", "table-layers.csv"]


def test_n_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "N_MAX", 1)
    build(tmp_path, LAYERS)
    index = raysel.open(tmp_path)
    reasons = drawn(index)
    assert reasons["fig6-class-selectivity"] == "No neuron has two labeled images, which class selectivity needs."
    assert reasons["fig4-color-range"] == ""
    assert "from 1 to 1" in dict(facts(index))["N"]


def test_an_index_without_some_columns(tmp_path: Path) -> None:
    build(tmp_path, LAYERS)
    index = raysel.open(tmp_path)
    kept = [name for name in index.neurons.column_names if not name.startswith(("color_", "class_", "sharp", "hue"))]
    index.__dict__["neurons"] = index.neurons.select(kept)
    reasons = drawn(index)
    assert reasons["fig5-color-selectivity"] == "This index has no values in the column color_selectivity."
    assert reasons["fig3-sharpness"] == "This index has no values in the column sharpness."
    assert reasons["fig1-ranked-activations"] == reasons["fig2-features-and-crops"] == reasons["distributions"] == ""


def test_the_note_gives_what_chance_would(tmp_path: Path) -> None:
    build(tmp_path, LAYERS)
    index = raysel.open(tmp_path)
    place = index.neurons.column_names.index("class_chance")
    alive = [None if dead else 0.25 + 0.5 * (row % 2) for row, dead in enumerate(index.neurons["dead"].to_pylist())]
    known = [value for value in alive if value is not None]
    index.__dict__["neurons"] = index.neurons.set_column(place, "class_chance", synthetic.pa.array(alive))
    note = chance_note(index)
    assert "with 4 classes" in note
    assert f"{sum(known) / len(known):.2f} on average (from 0.25 to 0.75" in note


@pytest.mark.parametrize("count", [1, 2, 3, 7, 60, 155])
def test_layers_fill_rows_evenly(count: int) -> None:
    layers = [f"layer{place}" for place in range(count)]
    rows = runs(layers, 40)
    assert [layer for row in rows for layer in row] == layers
    assert max(map(len, rows)) <= 40
    assert max(map(len, rows)) - min(map(len, rows)) < len(rows)
    assert len(panels(count, 5, 1.0)[1]) == count


def test_figures_of_sixty_layers_fit_a_page(tmp_path: Path) -> None:
    """A page is 1.24 times as high as wide: a figure has at least three quarters of its width."""
    build(tmp_path, tuple(Layer(f"stage{depth // 10}.block{depth % 10}", 3, 5, 2) for depth in range(60)))
    index = raysel.open(tmp_path)
    drawn_figures = 0
    with rc_context(RC):
        for exhibit in (each for each in EXHIBITS if each.draw is not None):
            try:
                width, height = exhibit.draw(exhibit.collect(index)).get_size_inches()
            except NotShownError:
                continue
            assert height < 1.65 * width, exhibit.name
            drawn_figures += 1
    assert drawn_figures >= 8


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conv1", "conv1"),
        ("a" * 10, "a" * 10),
        ("stage1.block2.conv3", "s1.b2.c3"),
        ("1.2.3.4.5.6.7", "1.2.…5.6.7"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_long_name_keeps_its_numbers(name: str, shown: str) -> None:
    assert short(name, 10) == shown


def test_layers_of_a_deep_network_stay_distinct() -> None:
    """Those of torchvision's densenet121."""
    blocks = {1: 6, 2: 12, 3: 24, 4: 16}
    layers = [
        f"features.denseblock{block}.denselayer{layer}.conv{conv}"
        for block, count in blocks.items()
        for layer in range(1, count + 1)
        for conv in (1, 2)
    ]
    for longest in (18, 22, 26):
        shown = {short(layer, longest) for layer in layers}
        assert len(shown) == len(layers)
        assert max(map(len, shown)) <= longest
