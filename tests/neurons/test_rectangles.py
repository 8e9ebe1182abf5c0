"""Fields with their own rows and columns: positions, boxes, and crops that hide what their position does not see."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from raysel.neurons import AxisField, CropCutter, ReceptiveField, neuron_feature
from tests import reference

THIRD = Fraction(1, 3)


def test_positions_are_the_floor_of_exact_fractions() -> None:
    """In floating point 59/3 - 5/3 is 17.999999999999996."""
    axis = AxisField(5, 2 * THIRD, -5 * THIRD, 40)
    origins, firsts, ends = axis.crops(np.arange(40))
    assert origins.tolist() == [(2 * r - 5) // 3 for r in range(40)]
    assert firsts.tolist() == origins.tolist()
    assert (ends - origins == 5).all()


def test_a_box_is_what_is_seen_and_reaches_beyond_the_input_where_the_crop_does() -> None:
    rows = AxisField(5, Fraction(3), Fraction(-2), 12, ((0, 2), (1, 5), (4, 8), (7, 10)))
    columns = AxisField.whole(20)
    field = ReceptiveField(rows, columns)
    assert (field.size, field.height, field.width, field.crop_size) == (20, 5, 20, (5, 20))
    assert not field.fixed
    boxes = field.boxes(np.array([0, 1, 4, 7]), 2)  # positions (0, 0), (0, 1), (2, 0), (3, 1)
    assert boxes.tolist() == [[-2, 0, 3, 20], [-2, 0, 3, 20], [4, 0, 9, 20], [7, 0, 11, 20]]  # row 11 is never seen


def test_a_position_that_sees_other_pixels_than_its_window_has_its_crop_moved() -> None:
    """Padding of 5 that is reflected, and a kernel of 3: position 0 sees pixels 3 to 5, position 4 pixels 0 and 1."""
    axis = AxisField(3, Fraction(1), Fraction(-5), 20, ((3, 5), (2, 4), (1, 3), (0, 2), (0, 1), (0, 2)))
    origins, firsts, ends = axis.crops(np.arange(6))
    assert origins.tolist() == [3, 2, 1, 0, -1, 0]
    assert firsts.tolist() == origins.tolist()
    assert ends.tolist() == [6, 5, 4, 3, 2, 3]


def test_a_position_that_sees_nothing_shows_nothing() -> None:
    axis = AxisField(1, Fraction(1), Fraction(-1), 4, ((0, -1), (0, 0), (1, 1)))
    _, firsts, ends = axis.crops(np.arange(3))
    assert (ends - firsts).tolist() == [0, 1, 1]


@pytest.mark.parametrize("max_size", [40, 4])
def test_what_a_position_does_not_see_is_hidden(max_size: int) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    field = ReceptiveField(AxisField(7, Fraction(1), Fraction(0), 20), AxisField(11, Fraction(1), Fraction(0), 30))
    rows, origins = np.array([0, 1, 2, 1]), np.array([[-3, 4], [5, 5], [15, 22], [2, -4]])
    boxes = np.concatenate([origins, origins + np.array([7, 11])], axis=1)
    boxes[1] = 6, 8, 12, 13
    boxes[2, 2:] = 19, 29
    k, cut = reference.least_factor(11, max_size), []
    for row, origin, (top, left, bottom, right) in zip(rows.tolist(), origins.tolist(), boxes.tolist(), strict=True):
        pixels, shows = reference.crop(inputs[row], tuple(origin), (7, 11))
        seen = np.zeros((7, 11), bool)
        seen[top - origin[0] : bottom - origin[0], left - origin[1] : right - origin[1]] = True
        cut.append(reference.reduce((pixels * (seen & shows)[:, :, None], seen & shows), k))
    weights = np.array([1.0, 0.9, 0.8, 0.7])
    (crops,) = CropCutter(inputs, field, max_size).cut(rows, origins, boxes)
    got, (feature, count) = neuron_feature(crops, weights), reference.neuron_feature(cut, weights.tolist())
    np.testing.assert_array_equal(got.count, count)
    np.testing.assert_allclose(got.feature, feature, rtol=0, atol=1e-12)


def test_crops_that_all_show_the_same_part_of_the_input() -> None:
    inputs = np.random.default_rng(1).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    axis = AxisField(10, Fraction(0), Fraction(1), 12)
    (crops,) = CropCutter(inputs, ReceptiveField(axis, axis), 10).cut(np.array([1, 0]), np.ones((2, 2), int))
    np.testing.assert_array_equal(crops.sums, inputs[[1, 0], 1:11, 1:11])


def test_a_field_larger_than_the_input_is_cut_at_its_own_position() -> None:
    """A field of 427 px on 224 px: row 0 sees 214 of them. No crop shows the first 21 px of its window."""
    seen = tuple((max(0, 32 * r - 213), min(223, 32 * r + 213)) for r in range(7))
    axis = AxisField(427, Fraction(32), Fraction(-213), 224, seen)
    origins, firsts, ends = axis.crops(np.arange(7))
    assert axis.crop_size == 406
    assert origins.tolist() == [-192, -160, -128, -96, -64, -32, 0]
    assert np.clip(firsts, 0, 224).tolist() == [0] * 7
    assert np.clip(ends, 0, 224).tolist() == [214, 224, 224, 224, 224, 224, 224]


def test_a_field_that_covers_the_input_from_everywhere_is_the_whole_input() -> None:
    axis = AxisField(600, Fraction(32), Fraction(-300), 224, ((0, 223),) * 7)
    assert axis.shared == (0, 223)
    assert axis.crop_size == 224
