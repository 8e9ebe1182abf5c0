"""The data of each figure, against plain loops over the rows of the index."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import raysel
from raysel.report.exhibit import NotShownError
from raysel.report.figures import (
    class_neurons,
    color_name_bars,
    color_range,
    distributions,
    features_and_crops,
    hue_wheel,
    layer_counts,
    ranked_activations,
    scatters,
    selectivity_bars,
    sharp_and_blurred,
)
from raysel.selectivity.color_naming import NAMES
from raysel.store import Index
from tests.store.synthetic import CLASS_NAMES, DEPTH, IMAGES_COUNT, LAYERS, Synthetic, build

ABOVE = {"n01": ["beast", "thing"], "n02": ["fruit", "thing"], "n03": ["beast", "thing"], "n04": ["fruit", "thing"]}

THRESHOLDS = (
    ("color", "color_selectivity", (0.4,)),
    ("class", "class_selectivity", (0.6, 0.8)),
    ("excess", "class_excess", (0.6, 0.8)),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    """With values also in the columns that synthetic indexes leave null."""
    made = build(tmp_path_factory.mktemp("index"), seed=2)
    random = np.random.default_rng(8)
    for row in made.rows:
        if not row["dead"]:
            row["sharpness"] = round(float(random.uniform()), 3)
            row["color_name"] = str(random.choice(NAMES))
            if row["class_selectivity"] is not None:
                row["class_chance"] = round(float(random.uniform(0.2, 0.6)), 3)
                row["class_excess"] = (row["class_selectivity"] - row["class_chance"]) / (1 - row["class_chance"])
    return made


@pytest.fixture
def index(made: Synthetic) -> Index:
    return with_rows(made, made.rows)


def with_rows(made: Synthetic, rows: list[dict[str, Any]], **more: pa.Array) -> Index:
    """The index with other rows in its neurons table, and with more columns."""
    index = raysel.open(made.folder.path)
    table = pa.Table.from_pylist(rows, index.neurons.schema)
    for name, values in more.items():
        known = name in table.column_names
        table = (
            table.set_column(table.column_names.index(name), name, values)
            if known
            else table.append_column(name, values)
        )
    index.__dict__["neurons"] = table
    return index


def rows_of(made: Synthetic, layer: str, column: str) -> list[dict[str, Any]]:
    """The rows of a layer that have a value."""
    return [row for row in made.rows if row["layer"] == layer and row[column] is not None]


def test_each_bar_counts_the_neurons_of_its_bin(made: Synthetic, index: Index) -> None:
    tables = [selectivity_bars.collect_color(index).table, selectivity_bars.collect_class(index).table]
    rows = [row for table in tables for row in table.to_pylist()]
    assert {row["measure"] for row in rows} == {"color_selectivity", "class_selectivity", "class_excess"}
    for layer in LAYERS:
        for measure in ("color_selectivity", "class_selectivity", "class_excess"):
            known = [row[measure] for row in rows_of(made, layer.name, measure)]
            # In thousandths: the values have at most two decimals, except for excess, which is no multiple of a tenth.
            bins = Counter(min(max(int(round(value, 6) * 1000 + 0.001) // 100, 0), 9) for value in known)
            bars = [row for row in rows if (row["layer"], row["measure"]) == (layer.name, measure)]
            assert [row["neurons"] for row in bars] == [
                *(bins[place] for place in range(10)),
                layer.channels - len(known),
            ]
            assert [row["low"] for row in bars] == [*(pytest.approx(place / 10) for place in range(10)), None]
            assert sum(row["share"] for row in bars) == pytest.approx(1)


def test_the_table_counts_what_is_above_each_threshold(made: Synthetic, index: Index) -> None:
    *layers, total = layer_counts.collect(index).table.to_pylist()
    assert [row["layer"] for row in layers] == [layer.name for layer in LAYERS]
    for shown, layer in zip(layers, LAYERS, strict=True):
        assert shown["receptive_field"] == f"{layer.size} x {layer.size}"
        assert shown["neurons"] == layer.channels
        assert shown["dead"] == sum(row["dead"] for row in made.rows if row["layer"] == layer.name)
        for head, column, thresholds in THRESHOLDS:
            known = [row[column] for row in rows_of(made, layer.name, column)]
            assert shown[f"mean_{head}"] == pytest.approx(sum(known) / len(known))
            for threshold in thresholds:
                assert shown[f"{head}_over_{threshold}"] == sum(value > threshold for value in known)
    for name in ("neurons", "dead", "color_over_0.4", "class_over_0.8", "excess_over_0.6"):
        assert total[name] == sum(row[name] for row in layers) > 0


def test_curves_are_the_rankings_and_the_extremes_have_the_extreme_areas(made: Synthetic, index: Index) -> None:
    rows = ranked_activations.collect(index).table.to_pylist()
    for layer in LAYERS:
        w = {channel: [entry["w"] for entry in ranking]
             for (name, channel), ranking in made.rankings.items() if name == layer.name}  # fmt: skip
        curves = {kind: [row for row in rows if (row["layer"], row["curve"]) == (layer.name, kind)]
                  for kind in ("highest area", "lowest area", "example", "10%", "90%")}  # fmt: skip
        assert curves["highest area"][0]["channel"] == max(w, key=lambda channel: sum(w[channel]))
        assert curves["lowest area"][0]["channel"] == min(w, key=lambda channel: sum(w[channel]))
        shown = [row for kind in ("highest area", "lowest area", "example") for row in curves[kind]]
        assert {row["channel"] for row in shown} == set(w)
        for row in shown:
            assert [row[f"w{rank + 1}"] for rank in range(DEPTH)] == pytest.approx(w[row["channel"]], abs=1e-6)
            assert row["area"] == pytest.approx(sum(w[row["channel"]]) / DEPTH, abs=1e-6)
        for kind, quantile in (("10%", 0.1), ("90%", 0.9)):
            expected = np.quantile(np.array(list(w.values())), quantile, axis=0)
            assert [curves[kind][0][f"w{rank + 1}"] for rank in range(DEPTH)] == pytest.approx(
                expected.tolist(), abs=1e-6
            )


def test_a_layer_has_a_bounded_number_of_curves(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranked_activations, "_MOST_LINES", 30)
    kinds = Counter(ranked_activations.collect(index).table["layer"].to_pylist())
    assert kinds == {"stem": 10 + 4, "features.3.squeeze": 9 + 4, "features.10": 10 + 4}


def test_each_column_of_the_color_range_has_its_closest_neuron(made: Synthetic, index: Index) -> None:
    found = color_range.collect(index)
    rows = found.table.to_pylist()
    assert len(found.pictures) == len(rows) > 20
    for row in rows:
        known = rows_of(made, row["layer"], "color_selectivity")
        nearest = min(abs(other["color_selectivity"] - row["target"]) for other in known)
        (own,) = [other for other in known if other["channel"] == row["channel"]]
        assert row["color_selectivity"] == own["color_selectivity"]
        assert abs(own["color_selectivity"] - row["target"]) == pytest.approx(nearest)


def test_the_sharpest_and_the_most_blurred(made: Synthetic, index: Index) -> None:
    found = sharp_and_blurred.collect(index)
    rows = found.table.to_pylist()
    assert len(found.features) == len(rows)
    for layer in LAYERS:
        ordered = sorted((row["sharpness"] for row in rows_of(made, layer.name, "sharpness")), reverse=True)
        count = min(6, len(ordered) // 2)
        for side, expected in (("sharpest", ordered[:count]), ("most blurred", ordered[::-1][:count])):
            shown = [row for row in rows if (row["layer"], row["side"]) == (layer.name, side)]
            assert [row["sharpness"] for row in shown] == expected
            assert {row["receptive_field"] for row in shown} == {f"{layer.size} x {layer.size} px"}


def test_crops_are_on_the_grid_in_rank_order(made: Synthetic, index: Index) -> None:
    found = features_and_crops.collect(index)
    assert found.table["layer"].to_pylist() == [layer.name for layer in LAYERS]
    for row, (_, grid) in zip(found.table.to_pylist(), found.pictures, strict=True):
        assert row["sharpness"] == max(each["sharpness"] for each in rows_of(made, row["layer"], "sharpness"))
        crops = made.crops[row["layer"], row["channel"]]
        assert row["n"] == len(crops)
        for rank, crop in enumerate(crops):
            line, column = divmod(rank, 10)
            cell = np.asarray(grid.crop((column * 50, line * 50, column * 50 + 48, line * 50 + 48)), float)
            assert np.abs(cell.mean(axis=(0, 1)) - 255 * crop.mean(axis=(0, 1))).max() < 20
        assert grid.size == (10 * 50 - 2, -(-len(crops) // 10) * 50 - 2)
        if len(crops) % 10:
            assert grid.getpixel((10 * 50 - 12, grid.height - 10)) == (255, 255, 255)


def test_tags_have_the_shares_of_classes_and_of_what_is_above_them(made: Synthetic, index: Index) -> None:
    classes = index.classes
    above = pa.array([ABOVE[label] for label in classes["label"].to_pylist()])
    index.__dict__["classes"] = classes.set_column(3, "hypernyms", above)
    rows = class_neurons.collect(index).table.to_pylist()
    addresses = {(row["layer"], row["channel"]) for row in rows}
    assert 3 < len(addresses) <= 7
    for address in addresses:
        (neuron,) = [row for row in made.rows if (row["layer"], row["channel"]) == address]
        shares = {each["label"]: each["share"] for each in neuron["classes"]}
        own = [row for row in rows if (row["layer"], row["channel"]) == address]
        tags = {kind: {row["tag"]: row["share"] for row in own if row["kind"] == kind} for kind in ("class", "concept")}
        named = {CLASS_NAMES[label]: share for label, share in shares.items()}
        assert tags["class"] == named
        beast, fruit = shares["n01"] + shares["n03"], shares["n02"]
        assert tags["concept"] == {**named, "beast": pytest.approx(beast), "fruit": pytest.approx(fruit)}


def test_without_a_hierarchy_there_are_no_concepts(index: Index) -> None:
    index.__dict__["classes"] = index.classes.set_column(3, "hypernyms", pa.nulls(4, pa.list_(pa.string())))
    found = class_neurons.collect(index)
    assert set(found.table["kind"].to_pylist()) == {"class"}
    assert "no second cloud" in found.caption


def test_hues_of_neurons_are_counted_by_sector(made: Synthetic, index: Index) -> None:
    table = hue_wheel.collect(index).table.to_pylist()
    hues = [row["hue"] for row in made.rows if row["hue"] is not None and row["color_selectivity"] > 0.4]
    assert [row["neurons"] for row in table] == [sum(row["low"] <= hue < row["high"] for hue in hues) for row in table]
    assert sum(row["images_share"] for row in table) == pytest.approx(1)
    assert "of its images" in hue_wheel.collect(index).caption


@pytest.mark.parametrize(
    ("color", "hue"), [((255, 0, 0), 26.57), ((255, 255, 0), 90.0), ((0, 0, 255), -90.0), ((0, 255, 0), 153.43)]
)
def test_an_image_of_one_color_has_one_hue(color: tuple[int, int, int], hue: float) -> None:
    """Red: O2 = 1, O3 = 1/2, so 26.57 degrees; yellow: O2 = 0, O3 = 1; and so on."""
    found = hue_wheel.image_hues(Image.new("RGB", (30, 20), color), "authors")
    assert np.flatnonzero(found).tolist() == [int((hue + 180) // 15)]
    half = hue_wheel.image_hues(Image.new("RGB", (30, 20), tuple(level // 2 for level in color)), "authors")
    assert half.sum() == pytest.approx(found.sum() / 2, rel=0.02)


def test_gray_images_have_no_hue() -> None:
    assert hue_wheel.image_hues(Image.new("RGB", (9, 9), (90, 90, 90)), "authors").sum() == pytest.approx(0, abs=1e-12)


def test_points_are_the_neurons_with_both_values(made: Synthetic, index: Index) -> None:
    found = scatters.COLOR_AND_CLASS.collect(index)
    expected = [(row["layer"], row["channel"], row["color_selectivity"], row["class_selectivity"])
                for row in made.rows if None not in (row["color_selectivity"], row["class_selectivity"])]  # fmt: skip
    assert [tuple(row.values()) for row in found.table.to_pylist()] == expected
    chance = [row["class_chance"] for row in made.rows if row["class_chance"] is not None]
    assert found.chance == pytest.approx(sum(chance) / len(chance))


def test_gray_images_against_color_where_the_index_has_them(made: Synthetic, index: Index) -> None:
    with pytest.raises(NotShownError, match="--interventions gray"):
        scatters.GRAY_AND_COLOR.collect(index)
    values = pa.array([None if row["dead"] else 0.25 for row in made.rows])
    table = scatters.GRAY_AND_COLOR.collect(with_rows(made, made.rows, gray_index=values)).table
    assert table["gray_index"].to_pylist() == [0.25] * sum(not row["dead"] for row in made.rows)


@pytest.mark.parametrize(("least", "most"), [(0.2, 0.4), (-2.0, 0.5), (0.1, 1.8)])
def test_every_point_is_within_its_panel(made: Synthetic, least: float, most: float) -> None:
    """Also where a change raises the activation, or turns it negative."""
    random = np.random.default_rng(4)
    rows = [{**row, "gray_index": None if row["dead"] else random.uniform(least, most)} for row in made.rows]
    figure = scatters.draw(scatters.GRAY_AND_COLOR.collect(with_rows(made, rows)))
    shown = 0
    for panel in figure.axes:
        (points,) = panel.collections
        x, y = np.asarray(points.get_offsets()).T
        assert panel.get_xlim()[0] <= x.min() <= x.max() <= panel.get_xlim()[1]
        assert panel.get_ylim()[0] <= y.min() <= y.max() <= panel.get_ylim()[1]
        shown += len(x)
    assert shown == sum(not row["dead"] for row in rows)


def test_names_are_counted_by_layer(made: Synthetic, index: Index) -> None:
    rows = color_name_bars.collect(index).table.to_pylist()
    for layer in LAYERS:
        alive = rows_of(made, layer.name, "color_name")
        for group, members in (("all", alive), ("color", [row for row in alive if row["color_selectivity"] > 0.4])):
            shown = {row["name"]: row["neurons"] for row in rows if (row["group"], row["layer"]) == (group, layer.name)}
            assert +Counter(shown) == Counter(row["color_name"] for row in members)


def test_distributions_hold_every_index_also_that_of_a_package_which_is_not_here(made: Synthetic) -> None:
    brightness = [None if row["dead"] else 100.0 * row["channel"] for row in made.rows]
    found = distributions.collect(with_rows(made, made.rows, brightness=pa.array(brightness)))
    rows = found.table.to_pylist()
    shown = {row["column"] for row in rows}
    assert {"color_selectivity", "class_excess", "sharpness", "hue", "n_classes", "brightness"} <= shown
    assert not {"layer", "channel", "rf_size", "n", "a_max", "label", "dead"} & shown
    for layer in LAYERS:
        for column in ("color_selectivity", "population_code", "sharpness"):
            known = [row[column] for row in rows_of(made, layer.name, column)]
            bins = [row for row in rows if (row["column"], row["layer"]) == (column, layer.name)]
            assert sum(row["neurons"] for row in bins) == len(known)
            assert sum(row["share"] for row in bins) == pytest.approx(1)
            for row in bins[:-1]:
                assert row["neurons"] == sum(row["low"] <= value < row["high"] for value in known)


def test_distributions_hold_the_interventions_that_were_made(made: Synthetic) -> None:
    known = {"gray_index": 0.3, "shape_index": 0.9, "orientation_index": 0.6, "symmetry_index": -0.1}
    rows = [{**row, **known} for row in made.rows if not row["dead"]]
    shown = set(distributions.collect(with_rows(made, rows)).table["column"].to_pylist())
    assert known.keys() <= shown
    without = set(distributions.collect(with_rows(made, made.rows)).table["column"].to_pylist())
    assert without == shown - known.keys()


@pytest.mark.parametrize("most", [0, 1, 7, 19, 20, 21, 39, 40, 1000])
def test_bins_of_whole_numbers_lie_between_them(most: int) -> None:
    edges = distributions.bin_edges(np.arange(3.0, 3.0 + most + 1), whole=True)
    assert 2 <= len(edges) <= 21
    assert edges[0] == 2.5
    assert edges[-1] > 3 + most
    assert (edges % 1 == 0.5).all()
    assert (np.histogram(np.arange(3.0, 3.0 + most + 1), edges)[0] > 0).all()


def test_the_source_is_what_the_estimate_of_its_hues_says(index: Index) -> None:
    layer, pictures = hue_wheel._widest_crops(index)
    assert layer == "features.10"
    assert 1 < len(pictures) <= IMAGES_COUNT
    assert {picture.size for picture in pictures} == {(48, 48)}


def test_an_index_that_is_open_is_not_changed(made: Synthetic, index: Index, tmp_path: Path) -> None:
    before = index.neurons
    for exhibit in (selectivity_bars.COLOR_BARS, layer_counts.LAYER_COUNTS):
        exhibit.collect(index)
    assert index.neurons.equals(before)
