"""Color names of the feature and of the crops: published outputs, known answers, and the plain reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raysel.neurons import CropCutter
from raysel.selectivity.color_names import INDEX, _of_crops
from raysel.selectivity.color_naming import LEVELS, NAMES, cielab, memberships, memberships_by_cell
from tests import reference
from tests import reference_color_names as plain
from tests.neurons.fields import square
from tests.selectivity.evidence import evidence

PUBLISHED = {
    (155, 155, 155): {"gray": 0.991},
    (80, 120, 200): {"blue": 1.0},
    (87, 87, 22): {"green": 0.968, "brown": 0.032},
    (207, 206, 148): {"yellow": 0.606, "green": 0.394},
    (205, 65, 23): {"red": 0.554, "orange": 0.446},
    (200, 30, 30): {"red": 0.999},
    (180, 40, 40): {"red": 1.0},
    (101, 67, 33): {"brown": 1.0},
    (255, 192, 203): {"pink": 1.0},
    (0, 255, 255): {"blue": 0.999},
    (60, 60, 200): {"blue": 0.535, "purple": 0.465},
    (64, 64, 64): {"black": 0.700, "gray": 0.300},
    (30, 30, 60): {"blue": 0.955},
    (255, 0, 0): {"orange": 1.0},
    (0, 0, 255): {"purple": 1.0},
}
"""sRGB -> largest memberships, of the authors' implementation with unrounded parameters."""
RED, BLUE, GREEN, GRAY = (180, 40, 40), (80, 120, 200), (40, 130, 40), (155, 155, 155)


def named(**known: Any) -> dict[str, Any]:
    return dict(INDEX.measure(evidence(**known)))


def shades(*colors: tuple[int, int, int]) -> NDArray[np.float64]:
    """A feature of one row."""
    return np.array([colors]) / 255


@pytest.mark.parametrize("color", PUBLISHED)
def test_published_outputs(color: tuple[int, int, int]) -> None:
    found = dict(zip(NAMES, memberships(np.array([color]) / 255)[0].tolist(), strict=True))
    for name, value in PUBLISHED[color].items():
        assert found[name] == pytest.approx(value, abs=0.03)


@pytest.mark.parametrize(
    ("color", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_cielab_of_well_known_colors(color: Any, lab: Any) -> None:
    assert cielab(np.array([color], float))[0] == pytest.approx(lab, abs=0.02)


def test_any_color_equals_the_reference() -> None:
    colors = np.random.default_rng(0).uniform(0, 1, (3000, 3))
    colors[:1000] = colors[:1000, :1] + np.random.default_rng(1).normal(0, 0.03, (1000, 3))  # around gray
    colors = colors.clip(0, 1)
    found = memberships(colors)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(colors)))
    assert {NAMES[number] for number in found.argmax(axis=1)} == set(NAMES)
    for color, row in zip(colors.tolist(), found.tolist(), strict=True):
        assert dict(zip(NAMES, row, strict=True)) == pytest.approx(plain.names(tuple(color)), abs=1e-4)


def test_a_cell_is_named_as_its_mean_color() -> None:
    for cell in ((0, 0, 0), (63, 0, 12), (20, 40, 50)):
        row = memberships_by_cell()[(cell[0] * LEVELS + cell[1]) * LEVELS + cell[2]]
        levels = [4 * level + np.arange(4) for level in cell]
        mean = np.array([channel.mean() for channel in levels]) / 255
        assert dict(zip(NAMES, row.tolist(), strict=True)) == pytest.approx(plain.names(tuple(mean.tolist())), abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([1, 2, 3, 8]), size=st.integers(1, 6))
def test_features_and_crops_equal_the_reference(seed: int, n: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    feature, sigma = rng.uniform(0, 1, (size, size, 3)), rng.uniform(0, 0.3, (size, size))
    crops = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    weights, shown = np.sort(rng.uniform(0.7, 1, n))[::-1], rng.integers(1, size + 1, (n, 2))
    count = rng.integers(0, n + 1, (size, size))
    got = named(feature=feature, count=count, sigma=sigma, crops=crops, shown=shown.tolist(), weights=weights)
    least = 1 if n == 1 else max(2, n / 2)
    pixels = [
        (tuple(feature[y, x].tolist()), 1.0 if n == 1 else 1 / (sigma[y, x] + 1 / 255))
        for y in range(size)
        for x in range(size)
        if count[y, x] >= least
    ]
    visible = [
        (tuple(((crops[j, y, x] // 4 * 4 + 1.5) / 255).tolist()), weights[j])  # the mean color of its cell
        for j in range(n)
        for y in range(shown[j, 0])
        for x in range(shown[j, 1])
    ]
    for prefix, expected in (("", plain.shares(pixels)), ("crop_", plain.shares(visible))):
        if expected is None:
            assert {got[f"{prefix}color_name{end}"] for end in ("", "_share", "s")} == {None}
            continue
        shares = got[f"{prefix}color_names"]
        assert shares == pytest.approx(expected, abs=1e-4)
        assert sum(shares.values()) == pytest.approx(1)
        assert shares[got[f"{prefix}color_name"]] == got[f"{prefix}color_name_share"] == max(shares.values())


def test_a_red_feature_of_crops_of_all_colors() -> None:
    crops = [[[RED]], [[BLUE]], [[BLUE]], [[GREEN]]]
    got = named(feature=shades(RED), crops=np.array(crops, np.uint8), weights=[1, 0.9, 0.8, 0.7])
    assert (got["color_name"], got["color_name_share"]) == ("red", pytest.approx(1, abs=0.01))
    assert (got["crop_color_name"], got["crop_color_name_share"]) == ("blue", pytest.approx(1.7 / 3.4, abs=0.01))
    assert got["crop_color_names"]["red"] == pytest.approx(1 / 3.4, abs=0.01)
    assert got["crop_color_names"]["green"] == pytest.approx(0.7 / 3.4, abs=0.01)


def test_pixels_on_which_the_crops_agree_weigh_more_in_the_feature() -> None:
    steady_red = named(feature=shades(RED, BLUE), sigma=[[0, 0.3]])
    assert (steady_red["color_name"], steady_red["crop_color_name_share"]) == ("red", pytest.approx(0.5, abs=0.01))
    assert steady_red["color_names"]["red"] == pytest.approx(255 / (255 + 1 / (0.3 + 1 / 255)), abs=0.01)


def test_hidden_pixels_have_no_name() -> None:
    got = named(feature=shades(RED, GRAY), count=[[2, 1]], shown=[[1, 1], [1, 2]])
    assert got["color_name_share"] == pytest.approx(1, abs=0.01)
    assert got["crop_color_names"]["red"] == pytest.approx(2 / 3, abs=0.01)
    assert got["crop_color_names"]["gray"] == pytest.approx(1 / 3, abs=0.01)
    assert got["crop_color_names"]["black"] == pytest.approx(0, abs=0.001)


def test_without_a_pixel_that_takes_part_only_the_crops_have_names() -> None:
    got = named(feature=shades(RED), count=[[1]], weights=[1, 1])
    assert (got["color_name"], got["color_name_share"], got["color_names"]) == (None, None, None)
    assert got["crop_color_name"] == "red"


def test_one_image() -> None:
    got = named(feature=shades(RED, RED, BLUE), weights=[1], sigma=[[0, 0.4, 0]])
    assert (got["color_name"], got["color_name_share"]) == ("red", pytest.approx(2 / 3, abs=0.01))
    assert (got["crop_color_name"], got["crop_color_name_share"]) == ("red", pytest.approx(2 / 3, abs=0.01))


def test_of_large_features_every_kth_pixel_is_named() -> None:
    feature = np.full((100, 70, 3), RED)
    feature[40:, :] = BLUE
    got = named(feature=feature / 255)
    assert got["color_names"]["blue"] == pytest.approx(0.6, abs=0.02)
    assert got["crop_color_names"]["blue"] == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("max_size", [40, 7, 3])
def test_reduced_crops_at_the_border_of_their_image_equal_the_reference(max_size: int) -> None:
    """Blocks of which a part is hidden have the mean color of the rest."""
    rng = np.random.default_rng(max_size)
    smooth = np.cumsum(rng.normal(0, 4, (6, 24, 24, 3)), axis=2) + rng.uniform(40, 200, (6, 1, 1, 3))
    inputs, field = smooth.clip(0, 255).astype(np.uint8), square(14, (24, 24))
    weights, origins = np.linspace(1, 0.7, 12), rng.integers(-7, 18, (12, 2))
    rows = rng.integers(0, 6, 12)
    (crops,) = CropCutter(inputs, field, max_size).cut(rows, origins)
    factor = reference.least_factor(14, max_size)
    colors = []
    for row, (y, x), w in zip(rows.tolist(), origins.tolist(), weights.tolist(), strict=True):
        pixels, shows = reference.reduce(reference.crop(inputs[row], (y, x), (14, 14)), factor)
        colors += [(tuple(color), w) for color in pixels[shows].tolist()]
    found = _of_crops(crops, weights)
    expected = plain.shares(colors)
    assert expected is not None
    assert dict(zip(NAMES, (found / found.sum()).tolist(), strict=True)) == pytest.approx(expected, abs=0.05)
