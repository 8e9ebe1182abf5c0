"""From responses to columns."""

from __future__ import annotations

import numpy as np
import pytest

from raysel.errors import RayselError
from raysel.interventions import COLUMNS, INTERVENTIONS, chosen, measured

ACTIVATIONS = np.array([4, 3, 1], np.float32)


def test_the_formula() -> None:
    responses = np.array([[1], [2], [-1]], np.float32)
    assert measured(INTERVENTIONS["gray"], responses, ACTIVATIONS) == {"gray_index": pytest.approx(1 - 2 / 8)}


def test_a_curve_and_its_summary() -> None:
    responses = np.zeros((3, 4), np.float32)
    responses[:, 1], responses[0, 2] = ACTIVATIONS, 2
    found = measured(INTERVENTIONS["symmetry"], responses, ACTIVATIONS)
    assert found == {"symmetry_index": pytest.approx(1 - 1.25 / 4), "symmetry_curve": [0, 1, 0.25, 0]}


def test_equal_responses_lose_nothing() -> None:
    activations = np.random.default_rng(0).uniform(0.1, 9, 99).astype(np.float32)
    for each in INTERVENTIONS.values():
        responses = np.repeat(activations[:, None], each.variants, axis=1)
        assert measured(each, responses, activations)[each.index] == 0


def test_a_response_that_is_not_a_number_gives_null() -> None:
    responses = np.array([[1], [np.nan], [1]], np.float32)
    assert measured(INTERVENTIONS["shape"], responses, ACTIVATIONS) == {"shape_index": None}


def test_the_columns() -> None:
    assert sorted(column.name for column in COLUMNS) == sorted(
        ["gray_index", "shape_index", "orientation_index", "orientation_curve", "symmetry_index", "symmetry_curve"]
    )


def test_names() -> None:
    assert [each.name for each in chosen("shape, gray,shape")] == ["shape", "gray"]
    assert chosen(None) == []
    assert [each.name for each in chosen("grey")] == ["gray"]
    with pytest.raises(RayselError, match=r"unknown intervention 'grau'.*gray"):
        chosen("grau")
