"""`diff` of two indexes, against plain loops over their rows and rankings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import raysel
from raysel.errors import RayselError
from raysel.query import SearchableIndex, diff
from tests.store.synthetic import Layer, Synthetic, build

A = (Layer("stem", 30, 7, 2), Layer("features.10", 20, 9, 8), Layer("only a", 3, 7, 2))
B = (Layer("only b", 3, 7, 2), Layer("features.10", 25, 9, 8), Layer("stem", 30, 7, 2))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthetic, Synthetic]:
    folder = tmp_path_factory.mktemp("pair")
    return build(folder / "a", A, seed=1), build(folder / "b", B, seed=2)


@pytest.fixture(scope="module")
def opened(pair: tuple[Synthetic, Synthetic]) -> tuple[SearchableIndex, SearchableIndex]:
    return raysel.open(pair[0].folder.path), raysel.open(pair[1].folder.path)


def images_of(made: Synthetic, row: dict[str, Any]) -> set[int]:
    ranking = made.rankings.get((row["layer"], row["channel"]), [])
    return {entry["image"] for entry in ranking if entry["rank"] < row["n"]}


def test_every_number_of_every_neuron_in_both(
    pair: tuple[Synthetic, Synthetic], opened: tuple[SearchableIndex, SearchableIndex]
) -> None:
    found = diff(*opened).to_pylist()
    rows_b = {(row["layer"], row["channel"]): row for row in opened[1].neurons.to_pylist()}
    shared = [row for row in opened[0].neurons.to_pylist() if (row["layer"], row["channel"]) in rows_b]
    assert len(shared) == 50
    assert [(row["layer"], row["channel"]) for row in found] == [(row["layer"], row["channel"]) for row in shared]
    for row, of_a in zip(found, shared, strict=True):
        of_b = rows_b[of_a["layer"], of_a["channel"]]
        for name in ("color_selectivity", "class_selectivity", "a_max", "n", "population_code", "chroma"):
            assert (row[f"{name}_a"], row[f"{name}_b"]) == (of_a[name], of_b[name])
            missing = of_a[name] is None or of_b[name] is None
            assert row[f"{name}_change"] == (None if missing else pytest.approx(of_b[name] - of_a[name]))
        assert (row["label_a"], row["label_b"]) == (of_a["label"], of_b["label"])
        one, other = images_of(pair[0], of_a), images_of(pair[1], of_b)
        overlap = len(one & other) / len(one | other) if one | other else None
        assert row["image_overlap"] == (None if overlap is None else pytest.approx(overlap))
    assert not {"layer_depth_a", "rf_size_a", "channel_a"} & found[0].keys()


def test_a_change_of_hue_is_an_angle(opened: tuple[SearchableIndex, SearchableIndex]) -> None:
    wrapped = 0
    for row in diff(*opened).to_pylist():
        if row["hue_a"] is None or row["hue_b"] is None:
            assert row["hue_change"] is None
            continue
        one, other = (math.radians(row[name]) for name in ("hue_a", "hue_b"))
        expected = math.degrees(math.atan2(math.sin(other - one), math.cos(other - one)))
        assert row["hue_change"] == pytest.approx(expected)
        wrapped += abs(row["hue_b"] - row["hue_a"]) > 180
    assert wrapped > 3


def test_an_index_does_not_differ_from_itself(opened: tuple[SearchableIndex, SearchableIndex]) -> None:
    for row in diff(opened[0], opened[0]).to_pylist():
        assert row["image_overlap"] == (None if row["n_a"] == 0 else 1.0)
        assert all(value in (None, 0.0) for name, value in row.items() if name.endswith("_change"))


def test_images_are_the_same_by_their_keys(tmp_path: Path, pair: tuple[Synthetic, Synthetic]) -> None:
    """Ids of another images list, which is longer: key k of one has id k, in the other id 60 - k."""
    a, b = (raysel.open(made.folder.path) for made in pair)
    images = b.images
    turned = images.set_column(0, "image", [list(range(len(images) - 1, -1, -1))]).sort_by("image")

    class Turned:
        def read(self, columns: list[str]) -> Any:
            return turned.select(columns)

    b._readers["images.parquet"] = Turned()  # type: ignore[assignment]
    b.manifest = b.manifest.model_copy(
        update={"source": b.manifest.source.model_copy(update={"digest": "another images list"})}
    )
    last = len(images) - 1
    rows_b = {(row["layer"], row["channel"]): row for row in b.neurons.to_pylist()}
    for row in diff(a, b).to_pylist():
        of_b = rows_b[row["layer"], row["channel"]]
        one = images_of(pair[0], {**row, "n": row["n_a"]})
        other = {last - image for image in images_of(pair[1], of_b)}
        if one | other:
            assert row["image_overlap"] == pytest.approx(len(one & other) / len(one | other))


def test_conditions_and_order(opened: tuple[SearchableIndex, SearchableIndex]) -> None:
    everything = opened[0].diff(opened[1]).table.to_pylist()
    assert everything == diff(*opened).to_pylist()
    found = opened[0].diff(
        opened[1], layer="stem", where="color_selectivity_change > 0.1", sort="color_selectivity_change", limit=5
    )
    chosen = [row for row in everything if row["layer"] == "stem" and (row["color_selectivity_change"] or 0) > 0.1]
    chosen.sort(key=lambda row: -row["color_selectivity_change"])
    assert len(chosen) > 5
    assert found.table.to_pylist() == chosen[:5]


def test_nothing_in_common(tmp_path: Path, opened: tuple[SearchableIndex, SearchableIndex]) -> None:
    other = raysel.open(build(tmp_path, (Layer("elsewhere", 3, 7, 2),)).folder.path)
    with pytest.raises(RayselError, match=r"no neuron is in both indexes: .* has the layers stem, features.10, only a"):
        diff(opened[0], other)
