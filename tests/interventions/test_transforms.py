"""Each change of a picture, against known pictures and plain references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from raysel.interventions import INTERVENTIONS
from raysel.interventions.gray import gray
from raysel.interventions.orientation import ANGLES, turned
from raysel.interventions.resampling import resampled
from raysel.interventions.shape import shuffled
from raysel.interventions.symmetry import mirrored

RANDOM = np.random.default_rng(3)
PICTURE = RANDOM.integers(0, 256, (9, 9, 3), np.uint8)
WIDE = RANDOM.integers(0, 256, (6, 11, 3), np.uint8)


@pytest.mark.parametrize("name", INTERVENTIONS)
@pytest.mark.parametrize("picture", [PICTURE, WIDE, PICTURE[:1, :1]], ids=["square", "wide", "pixel"])
def test_every_variant_is_a_picture_of_the_same_size(name: str, picture: np.ndarray) -> None:
    each, before = INTERVENTIONS[name], picture.copy()
    changed = each.transform(picture, (1, 2, 3))
    assert changed.shape == (each.variants, *picture.shape)
    assert changed.dtype == np.uint8
    assert np.array_equal(picture, before)


def test_gray_is_luma() -> None:
    colors = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7], [255, 255, 255]]], np.uint8)
    [luma] = gray(colors)
    assert (luma == luma[..., :1]).all()
    assert luma[0, :, 0].tolist() == [76, 150, 29, 7, 255]


def test_shuffled_pixels_are_the_same_pixels() -> None:
    [changed] = shuffled(WIDE, (5, 1, 9))
    assert not np.array_equal(changed, WIDE)
    assert sorted(map(tuple, changed.reshape(-1, 3).tolist())) == sorted(map(tuple, WIDE.reshape(-1, 3).tolist()))
    assert np.array_equal(changed, shuffled(WIDE, (5, 1, 9))[0])
    assert not np.array_equal(changed, shuffled(WIDE, (5, 1, 10))[0])


def test_quarter_turns_are_exact() -> None:
    changed = dict(zip(ANGLES, turned(PICTURE), strict=True))
    for quarters in (1, 2, 3):
        turns = [np.rot90(PICTURE, quarters), np.rot90(PICTURE, -quarters)]
        assert any(np.array_equal(changed[90 * quarters], each) for each in turns)
    assert np.array_equal(changed[270], np.rot90(changed[90], 2))


def test_mirrors_are_exact() -> None:
    upside_down, transposed, left_right, other_diagonal = mirrored(PICTURE)
    assert np.array_equal(upside_down, PICTURE[::-1])
    assert np.array_equal(left_right, PICTURE[:, ::-1])
    assert np.array_equal(transposed, PICTURE.transpose(1, 0, 2))
    assert np.array_equal(other_diagonal, PICTURE[::-1, ::-1].transpose(1, 0, 2))


@pytest.mark.parametrize("picture", [PICTURE, WIDE], ids=["square", "wide"])
def test_resampling_is_bilinear_with_the_edge_repeated(picture: np.ndarray) -> None:
    matrix = np.array([[0.8, -0.7], [0.5, 0.9]])
    height, width, _ = picture.shape
    center = np.array([height - 1, width - 1]) / 2
    rows_first = matrix[::-1, ::-1]
    shift = center - rows_first @ center
    expected = [
        affine_transform(picture[..., color].astype(float), rows_first, shift, order=1, mode="nearest")
        for color in range(3)
    ]
    assert np.abs(resampled(picture, matrix) - np.stack(expected, axis=-1)).max() <= 0.5 + 1e-6
