"""Color selectivity (Eq. 2): reference points, known answers, and the plain reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raysel.selectivity import measure
from tests import reference
from tests.selectivity.evidence import evidence

COLUMNS = ("color_selectivity", "color_selectivity_uncentered", "chroma", "hue")
SPACES = ("authors", "orthonormal")

BLACK, GRAY, WHITE = (0, 0, 0), (0.5, 0.5, 0.5), (1, 1, 1)
RED, YELLOW, BLUE = (1, 0, 0), (1, 1, 0), (0, 0, 1)


def color(**known: Any) -> dict[str, Any]:
    values = measure(evidence(**known))
    return {name: values[name] for name in COLUMNS}


def ramp(first: tuple[float, float, float], last: tuple[float, float, float]) -> NDArray[np.float64]:
    """A feature of one row, from one color to another."""
    return np.linspace(first, last, 32)[None]


@pytest.mark.parametrize(
    ("first", "last", "authors", "orthonormal"),
    [
        (BLACK, RED, 0.658, 0.608),
        (GRAY, RED, 0.816, 0.784),
        (BLACK, YELLOW, 0.410, 0.392),
        (BLACK, BLUE, 0.626, 0.608),
        (BLACK, WHITE, 0, 0),
    ],
)
def test_reference_points(first: Any, last: Any, authors: float, orthonormal: float) -> None:
    for space, expected in zip(SPACES, (authors, orthonormal), strict=True):
        got = color(feature=ramp(first, last), color_space=space)["color_selectivity"]
        assert got == pytest.approx(expected, abs=0.0006)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([1, 2, 3, 10, 100]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    space=st.sampled_from(SPACES),
)
def test_random_features_equal_the_reference(seed: int, n: int, height: int, width: int, space: str) -> None:
    rng = np.random.default_rng(seed)
    feature = rng.uniform(0, 1, (height, width, 3)) * rng.uniform(0.2, 1, 3)
    count = rng.integers(0, n + 1, (height, width))
    sigma = rng.uniform(0, 0.3, (height, width))
    got = color(feature=feature, count=count, sigma=sigma, weights=np.ones(n), color_space=space)
    assert got == pytest.approx(reference.color(feature, count, sigma, n, space), abs=1e-7)
    assert got["color_selectivity"] is None or 0 <= got["color_selectivity"] <= 1


@pytest.mark.parametrize("space", SPACES)
def test_uniform_red_counts_only_uncentered_and_has_the_hue_of_red(space: str) -> None:
    got = color(feature=np.broadcast_to(RED, (6, 6, 3)), color_space=space)
    assert got["color_selectivity"] == 0
    assert got["color_selectivity_uncentered"] > 0.5
    # O2 and O3 of pure red: (1, 1/2) and (1/sqrt 2, 1/sqrt 6)
    expected = {"authors": (np.sqrt(1.25), 26.565051), "orthonormal": (np.sqrt(2 / 3), 30.0)}[space]
    assert (got["chroma"], got["hue"]) == pytest.approx(expected)


@pytest.mark.parametrize("space", SPACES)
def test_gray_of_any_texture_has_no_color(space: str) -> None:
    gray = np.random.default_rng(0).uniform(0, 1, (8, 8, 1)) * np.ones(3)
    got = color(feature=gray, color_space=space)
    assert got["color_selectivity"] == pytest.approx(0, abs=1e-9)
    assert got["color_selectivity_uncentered"] == pytest.approx(0, abs=1e-9)
    assert got["chroma"] == pytest.approx(0, abs=1e-12)
    assert got["hue"] is None


def test_colors_of_equal_intensity_are_fully_selective() -> None:
    feature = np.array([[[0.8, 0.2, 0.5], [0.2, 0.8, 0.5]]])
    assert color(feature=feature)["color_selectivity"] == pytest.approx(1)


def test_a_pixel_counts_if_at_least_half_of_the_crops_show_it() -> None:
    feature = [[BLACK, RED, BLUE]]
    weights = np.ones(9)
    red_only = color(feature=[[BLACK, RED]], weights=weights)
    assert color(feature=feature, count=[[9, 9, 4]], weights=weights) == red_only
    assert color(feature=feature, count=[[9, 9, 5]], weights=weights) != red_only


def test_a_pixel_that_one_crop_shows_counts_only_if_there_is_one_crop() -> None:
    feature = [[BLACK, RED]]
    assert color(feature=feature, count=[[1, 1]], weights=[1, 1]) == dict.fromkeys(COLUMNS)
    alone = color(feature=feature, count=[[1, 1]], weights=[1], sigma=[[0, 0.4]])
    assert alone == color(feature=feature, count=[[1, 1]], weights=[1], sigma=0)
    assert alone["color_selectivity"] == pytest.approx(0.658, abs=0.0006)


def test_without_a_visible_pixel_all_is_null() -> None:
    assert color(count=[[0]], weights=[1]) == dict.fromkeys(COLUMNS)


def test_pixels_on_which_the_crops_agree_weigh_more() -> None:
    feature = [[BLACK, WHITE, RED]]
    steady_gray = color(feature=feature, sigma=[[0, 0, 0.3]])["color_selectivity"]
    steady_red = color(feature=feature, sigma=[[0, 0.3, 0]])["color_selectivity"]
    assert steady_gray < 0.1 < steady_red
