"""Class selectivity (Eq. 3, 4), chance level and population code: known answers and the plain reference."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.selectivity import measure
from raysel.selectivity.class_selectivity import chance_level
from tests import reference
from tests.selectivity.evidence import evidence

COLUMNS = (
    "class_selectivity",
    "class_chance",
    "class_excess",
    "n_classes",
    "population_code",
    "label",
    "label_share",
    "classes",
)
LABELS = [f"n{number:02d}" for number in range(12)]


def classes(labels: list[str | None], weights: Any = None, **known: Any) -> dict[str, Any]:
    values = measure(evidence(labels=labels, weights=np.ones(len(labels)) if weights is None else weights, **known))
    return {name: values[name] for name in COLUMNS}


@settings(max_examples=80, deadline=None)
@given(
    images=st.lists(
        st.tuples(st.sampled_from([*LABELS, None]), st.sampled_from([1.0, 0.95, 0.9, 0.7]) | st.floats(0.7, 1)),
        min_size=1,
        max_size=40,
    ),
    spare=st.lists(st.integers(0, 30), min_size=12, max_size=12),
    threshold=st.sampled_from([1.0, 0.9, 0.5]),
)
def test_any_images_equal_the_reference(
    images: list[tuple[str | None, float]], spare: list[int], threshold: float
) -> None:
    labels = [label for label, _ in images]
    weights = [weight for _, weight in images]
    sizes = {label: labels.count(label) + more for label, more in zip(LABELS, spare, strict=True)}
    got = classes(labels, weights, class_sizes=sizes, class_threshold=threshold)
    expected = reference.classes(weights, labels, list(sizes.values()), threshold)
    listed, expected_listed = got.pop("classes"), expected.pop("classes")
    assert got == pytest.approx(expected, abs=1e-12)
    assert [entry["label"] for entry in listed or ()] == [entry["label"] for entry in expected_listed or ()]
    assert [entry["share"] for entry in listed or ()] == pytest.approx([e["share"] for e in expected_listed or ()])
    assert got["class_selectivity"] is None or 0 <= got["class_selectivity"] <= 1


def test_one_class_is_fully_selective() -> None:
    got = classes(["dog"] * 10, class_sizes={"dog": 50, "cat": 50})
    assert (got["class_selectivity"], got["n_classes"], got["population_code"]) == (1, 1, 1)
    assert got["classes"] == [{"label": "dog", "share": 1.0}]
    assert got["class_excess"] == 1


def test_images_of_all_different_classes_are_not_selective() -> None:
    got = classes(LABELS)
    assert (got["class_selectivity"], got["n_classes"], got["population_code"]) == (0, 12, 0)


def test_shares_are_of_the_activation_and_the_threshold_excludes_small_ones() -> None:
    labels: list[str | None] = ["cat", "dog", "dog", "owl"]
    weights = [1.0, 0.9, 0.8, 0.7]
    got = classes(labels, weights, class_threshold=0.75)
    assert [entry["label"] for entry in got["classes"]] == ["dog", "cat"]
    assert [entry["share"] for entry in got["classes"]] == pytest.approx([0.5, 1 / 3.4])
    assert (got["n_classes"], got["class_selectivity"]) == (2, pytest.approx(2 / 3))
    assert (got["label"], got["label_share"]) == ("dog", pytest.approx(0.5))
    assert (got["class_chance"], got["class_excess"]) == (None, None)


def test_a_threshold_is_reached_in_spite_of_rounding() -> None:
    assert classes([*LABELS[:10]], class_threshold=0.8)["n_classes"] == 8


def test_classes_of_equal_share_are_in_the_order_of_their_labels() -> None:
    images = [(label, weight) for label in ("b", "a", "c") for weight in (0.1, 0.2, 0.3)]
    generator = random.Random(0)
    for _ in range(20):
        generator.shuffle(images)
        got = classes([label for label, _ in images], [weight for _, weight in images])
        assert [entry["label"] for entry in got["classes"]] == ["a", "b", "c"]


def test_a_tenth_of_the_activation_counts_in_the_population_code() -> None:
    labels: list[str | None] = ["a"] * 30 + ["b"] * 30 + ["c"] * 27 + ["d"] * 10 + ["e"] * 3
    assert classes(labels, [0.7] * 100)["population_code"] == 4


def test_images_without_a_label_are_ignored() -> None:
    sizes = {"cat": 5, "dog": 5}
    without = classes(["dog", "cat", "dog"], [0.9, 0.8, 0.7], class_sizes=sizes)
    assert classes(["dog", None, "cat", "dog", None], [0.9, 1.0, 0.8, 0.7, 0.7], class_sizes=sizes) == without


def test_without_labels_all_is_null() -> None:
    assert classes([None, None]) == dict.fromkeys(COLUMNS)


def test_one_image_has_a_class_but_no_selectivity() -> None:
    got = classes(["dog"], class_sizes={"dog": 3, "cat": 4})
    assert (got["class_selectivity"], got["class_chance"], got["class_excess"]) == (None, None, None)
    assert (got["label"], got["label_share"], got["n_classes"], got["population_code"]) == ("dog", 1, 1, 1)


def test_a_source_of_one_class_has_no_excess() -> None:
    got = classes(["dog"] * 4, class_sizes={"dog": 9})
    assert (got["class_selectivity"], got["class_chance"], got["class_excess"]) == (1, 1, None)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=15), data=st.data())
def test_chance_level_equals_exact_arithmetic(sizes: list[int], data: st.DataObject) -> None:
    if sum(sizes) < 2:
        sizes = [*sizes, 2]
    n = data.draw(st.integers(1, sum(sizes)))
    got, expected = chance_level(n, np.array(sizes)), reference.chance(n, sizes)
    assert got == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_chance_level_is_the_mean_of_random_draws() -> None:
    sizes = [30, 10, 10, 5, 1]
    source = np.repeat(np.arange(5), sizes)
    generator = np.random.default_rng(0)
    found = [len(set(generator.choice(source, 8, replace=False).tolist())) for _ in range(4000)]
    assert chance_level(8, np.array(sizes)) == pytest.approx((8 - np.mean(found)) / 7, abs=0.01)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 50])
def test_chance_level_without_two_images_of_a_class_is_not_below_zero(n: int) -> None:
    assert 0 <= chance_level(n, np.ones(150, np.int64)) < 1e-12


def test_chance_level_at_the_size_of_imagenet() -> None:
    sizes = np.full(1000, 1280)
    # Close to drawing with replacement: E[M] = 1000 (1 - 0.999^100)
    expected = (100 - 1000 * (1 - 0.999**100)) / 99
    assert chance_level(100, sizes) == pytest.approx(expected, abs=1e-4)
    # Ten classes and a hundred images: even chance gives 0.91.
    level = chance_level(100, np.full(10, 1280))
    assert level is not None
    assert math.isclose(level, 90 / 99, abs_tol=1e-3)
