"""Sharpness: known answers, and the plain reference."""

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

PATTERN = np.random.default_rng(0).integers(40, 200, (20, 20, 3))


def sharpness(crops: NDArray[Any], weights: Any = None, shown: Any = None) -> float | None:
    """Of the feature of these crops, integers [N, h, w, 3] of which `shown` rows and columns are visible."""
    w = np.ones(len(crops)) if weights is None else np.asarray(weights, float)
    cut = as_cut(crops, shown)
    feature, count = reference.neuron_feature(cut, w.tolist())
    made = {"feature": feature, "count": count, "sigma": reference.deviation(cut)}
    value = measure(evidence(**made, crops=crops.astype(np.uint8), shown=shown, weights=w))["sharpness"]
    assert value is None or isinstance(value, float)
    return value


def as_cut(crops: NDArray[Any], shown: Any) -> list[reference.Crop]:
    height, width = crops.shape[1:3]
    y, x = np.mgrid[:height, :width]
    return [
        (pixels / 255, (y < rows) & (x < columns))
        for pixels, (rows, columns) in zip(crops, shown or [(height, width)] * len(crops), strict=True)
    ]


@pytest.mark.parametrize("weights", [[1, 1], [1, 0.9, 0.7], np.linspace(1, 0.7, 100)])
def test_equal_crops_are_sharp(weights: Any) -> None:
    assert sharpness(np.array([PATTERN] * len(weights)), weights) == pytest.approx(1, abs=1e-6)


def test_unrelated_crops_are_blurred() -> None:
    crops = np.random.default_rng(1).integers(0, 256, (100, 20, 20, 3))
    found = sharpness(crops, np.linspace(1, 0.7, 100))
    assert found is not None
    assert found < 0.05


def test_opposite_crops_leave_nothing() -> None:
    assert sharpness(np.array([PATTERN, 240 - PATTERN])) == 0


def test_crops_that_share_half_of_their_variance() -> None:
    """Any two then correlate by 1/2, whatever N is."""
    rng = np.random.default_rng(2)
    common, own = rng.normal(0, 20, (30, 30, 3)), rng.normal(0, 20, (40, 30, 30, 3))
    crops = np.rint(128 + common + own).clip(0, 255).astype(int)
    assert sharpness(crops) == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert sharpness(crops[:3]) == pytest.approx(np.sqrt(0.5), abs=0.03)


def test_the_brightness_of_whole_crops_does_not_matter() -> None:
    crops = np.array([PATTERN + shift for shift in (0, 50, -40, 20)])
    assert sharpness(crops) == pytest.approx(1, abs=1e-6)
    assert sharpness(crops, shown=[(20, 20), (20, 18), (17, 20), (20, 20)]) == pytest.approx(1, abs=0.05)


def test_a_pattern_of_color_alone_is_as_sharp_as_one_of_intensity() -> None:
    bars = np.zeros((6, 6, 3), int)
    bars[:, ::2] = (200, 100, 100)
    bars[:, 1::2] = (100, 200, 100)
    assert sharpness(np.array([bars] * 5)) == pytest.approx(1, abs=1e-6)


def test_crops_without_contrast_are_neither_sharp_nor_blurred() -> None:
    flat = np.broadcast_to(np.arange(100, 160, 15)[:, None, None, None], (4, 5, 5, 3))
    assert sharpness(flat) is None
    assert sharpness(np.random.default_rng(0).integers(0, 256, (5, 1, 1, 3))) is None


def test_one_crop_has_no_sharpness() -> None:
    assert sharpness(PATTERN[None]) is None


def test_without_a_pixel_that_takes_part_there_is_none() -> None:
    assert measure(evidence(count=[[1]], weights=[1, 1, 1]))["sharpness"] is None


def test_of_many_rows_some_are_compared() -> None:
    tall = np.random.default_rng(3).integers(0, 256, (90, 7, 3))
    assert sharpness(np.array([tall] * 4)) == pytest.approx(1, abs=1e-6)
    half = np.stack([tall, np.where(np.arange(90)[:, None, None] < 45, tall, tall[::-1])])
    assert sharpness(half) == pytest.approx(np.sqrt(0.5), abs=0.1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 6), size=st.integers(2, 6), hides=st.booleans())
def test_any_crops_equal_the_reference(seed: int, n: int, size: int, hides: bool) -> None:
    rng = np.random.default_rng(seed)
    pattern, noise = rng.integers(0, 128, (size, size, 3)), rng.integers(0, 128, (n, size, size, 3))
    crops, weights = pattern + noise, np.sort(rng.uniform(0.7, 1, n))[::-1]
    shown = rng.integers(1, size + 1, (n, 2)).tolist() if hides else None
    got, expected = sharpness(crops, weights, shown), reference.sharpness(as_cut(crops, shown), weights.tolist())
    assert got == (None if expected is None else pytest.approx(expected, abs=1e-6))
    if not hides:
        assert got == pytest.approx(reference.mean_correlation(as_cut(crops, None), weights.tolist()), abs=1e-6)
