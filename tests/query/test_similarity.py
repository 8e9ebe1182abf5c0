"""Similar neurons, against sums over all images, classes and cells in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import raysel
from raysel.errors import RayselError
from raysel.query import SearchableIndex, similar
from raysel.query.profiles.reduced_features import SIDE, reduce_feature
from raysel.query.profiles.similarity import By
from tests.store.synthetic import IMAGES_COUNT, Layer, Synthetic, build

Address = tuple[str, int]


def by_images(made: Synthetic, one: Address, other: Address) -> float:
    weights = []
    for address in (one, other):
        n = next(row["n"] for row in made.rows if (row["layer"], row["channel"]) == address)
        weights.append({entry["image"]: entry["w"] for entry in made.rankings[address] if entry["rank"] < n})
    pairs = [(weights[0].get(image, 0.0), weights[1].get(image, 0.0)) for image in range(IMAGES_COUNT)]
    return sum(map(min, pairs)) / sum(map(max, pairs))


def by_classes(made: Synthetic, one: Address, other: Address) -> float:
    rows = {(row["layer"], row["channel"]): row["classes"] for row in made.rows}
    first, second = ({entry["label"]: entry["share"] for entry in rows[each]} for each in (one, other))
    return sum(min(share, second.get(label, 0.0)) for label, share in first.items())


def cells(feature: np.ndarray, count: np.ndarray) -> np.ndarray:
    """[SIDE, SIDE, 3] cell by cell: the mean of its visible pixels, or of all visible pixels if it has none."""
    height, width = count.shape
    found = np.zeros((SIDE, SIDE, 3))
    everywhere = [feature[y, x] for y in range(height) for x in range(width) if count[y, x]]
    rows, columns = (
        [range(n * k // SIDE, max(n * (k + 1) // SIDE, n * k // SIDE + 1)) for k in range(SIDE)]
        for n in (height, width)
    )
    for i in range(SIDE):
        for j in range(SIDE):
            seen = [feature[y, x] for y in rows[i] for x in columns[j] if count[y, x]]
            found[i, j] = np.mean(seen or everywhere, axis=0)
    return found


def by_feature(made: Synthetic, one: Address, other: Address) -> float:
    # Features are stored with 8 bits.
    flat = [cells(np.rint(255 * made.features[each]) / 255, made.counts[each]).ravel() for each in (one, other)]
    return max(0.0, float(np.corrcoef(*flat)[0, 1]))


@pytest.mark.parametrize(("by", "plain"), [("images", by_images), ("classes", by_classes), ("feature", by_feature)])
@pytest.mark.parametrize("address", [("stem", 3), ("features.10", 0), ("features.3.squeeze", 11)])
def test_similarity_is_its_formula(
    made: Synthetic, index: SearchableIndex, by: By, plain: Any, address: Address
) -> None:
    expected = {other: plain(made, address, other) for other in made.rankings if other != address}
    expected = {other: value for other, value in expected.items() if value > 1e-6}
    found = similar(index, *address, by, limit=None)
    got = {(row["layer"], row["channel"]): row["similarity"] for row in found.to_pylist() if row["similarity"] > 1e-6}
    assert len(expected) > 20
    assert got == pytest.approx(expected, abs=2e-6)
    assert found["similarity"].to_pylist() == sorted(found["similarity"].to_pylist(), reverse=True)
    assert found.schema.names == [*index.neurons.column_names, "similarity"]
    rows = {(row["layer"], row["channel"]): row for row in index.neurons.to_pylist()}
    for row in found.to_pylist():
        del row["similarity"]
        assert row == rows[row["layer"], row["channel"]]


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), hidden=st.floats(0, 0.9), seed=st.integers(0, 1000))
def test_a_reduced_feature_is_the_mean_of_its_cells(height: int, width: int, hidden: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    feature, count = rng.uniform(size=(height, width, 3)), (rng.uniform(size=(height, width)) >= hidden).astype(int)
    count[0, 0] = 1
    feature[count == 0] = np.nan
    assert reduce_feature(feature, count) == pytest.approx(cells(feature, count))


@pytest.mark.parametrize("by", ["images", "classes", "feature"])
def test_similarity_is_symmetric(tmp_path: Any, by: By) -> None:
    made = build(tmp_path, (Layer("a", 12, 9, 2),))
    index = raysel.open(made.folder.path)
    twin = similar(index, "a", 3, by, limit=1)["similarity"][0].as_py()
    assert 0 < twin < 1
    # The same neuron, asked for from the other side, is as similar.
    (other,) = index.similar("a:3", by, limit=1)
    back = {row["channel"]: row["similarity"] for row in index.similar(other.address, by, limit=None).table.to_pylist()}
    assert back[3] == pytest.approx(twin)


def test_within_and_limit(index: SearchableIndex) -> None:
    everything = similar(index, "stem", 3, limit=None).to_pylist()
    some = similar(index, "stem", 3, limit=4, within="features.*").to_pylist()
    assert some == [row for row in everything if row["layer"].startswith("features.")][:4]
    assert len(similar(index, "stem", 3)) == 20


@pytest.mark.parametrize(
    ("question", "line"),
    [
        (("stem", 5), "stem:5 is dead: no image activates it, so nothing is similar to it"),
        (("stem", 500), "layer stem has channels 0 to 69, not 500"),
        (("stm", 5), "no layer 'stm' in this index; did you mean stem"),
        (("stem", 3, "color"), "neurons cannot be compared by 'color': write images, classes, feature"),
        (("stem", 3, "images", 0), "a limit of 0 shows nothing"),
        (("stem", 3, "images", 5, "conv*"), "no layer 'conv*' in this index"),
    ],
)
def test_impossible_questions_are_one_line(index: SearchableIndex, question: Any, line: str) -> None:
    with pytest.raises(RayselError) as raised:
        similar(index, *question)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_without_labels(tmp_path: Any) -> None:
    made = build(tmp_path, (Layer("a", 4, 7, 2),))
    index = raysel.open(made.folder.path)
    index.__dict__["classes"] = index.classes.slice(0, 0)
    with pytest.raises(RayselError, match="have no labels"):
        index.similar("a:0", "classes")
