"""Tests of the reference itself: an error in it could hide the same error in the product."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests import reference


@given(x=st.integers(0, 2**32 - 1))
def test_mix32_can_be_undone(x: int) -> None:
    y = reference.mix32(x)
    y ^= y >> 16
    y = y * pow(0x846CA68B, -1, 2**32) % 2**32
    y ^= (y >> 15) ^ (y >> 30)
    y = y * pow(0x7FEB352D, -1, 2**32) % 2**32
    y ^= y >> 16
    assert y == x


def test_only_finite_positive_activations_enter_a_ranking_and_ties_go_by_the_mixed_id() -> None:
    activations = [2.0, math.nan, math.inf, -1.0, 0.0, -0.0, 6.0, 6.0, 6.0, 1.0]
    ids = list(range(10))
    tied = sorted((6, 7, 8), key=reference.mix32)
    assert reference.ranking(activations, ids, 400) == [*tied, 0, 9]
    assert reference.ranking(activations, ids, 2) == tied[:2]
    assert reference.ranking(activations, ids, 400, mix=lambda x: -x) == [8, 7, 6, 0, 9]


def test_the_images_of_a_feature_are_the_first_of_enough_relative_activation() -> None:
    ranked = [10.0, 8.0, 7.0, 6.999, 6.0]
    assert reference.relative_activations(ranked, 100, 0.7) == [1.0, 0.8, 0.7]
    assert reference.relative_activations(ranked, 2, 0.7) == [1.0, 0.8]


def test_a_feature_where_all_show_is_equation_1_to_the_letter() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    weights = [1.0, 0.9, 0.7]
    feature, count = reference.neuron_feature([reference.crop(image, (0, 0), (4, 4)) for image in images], weights)
    np.testing.assert_allclose(feature, np.average(images / 255, axis=0, weights=weights) * sum(weights) / 3)
    assert (count == 3).all()
