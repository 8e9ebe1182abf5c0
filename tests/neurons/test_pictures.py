"""Contact sheets and features as pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons import CropCutter, contact_sheet, encode_sheet, feature_png, sheet_boxes
from tests import reference
from tests.neurons.fields import square


def decoded(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 40),
    crop_size=st.integers(2, 30),
    n=st.integers(1, 23),
)
def test_a_sheet_holds_the_crops_in_rank_order(seed: int, size: int, crop_size: int, n: int) -> None:
    """Each as the reference reduces it, to the nearest level; white where it is hidden."""
    rng = np.random.default_rng(seed)
    field = square(size, (26, 33))
    inputs = rng.integers(0, 256, (4, 26, 33, 3), dtype=np.uint8)
    rows = rng.integers(0, 4, n)
    origins = np.zeros((n, 2), int) if field.whole else rng.integers(-size, 34, (n, 2))
    sheet = contact_sheet(CropCutter(inputs, field, 30, crop_size).cut(rows, origins)[1])
    boxes = sheet_boxes(sheet.shape[:2], n)
    k = reference.least_factor(max(field.crop_size), crop_size)
    for row, (y, x), (left, top, right, bottom) in zip(rows.tolist(), origins.tolist(), boxes, strict=True):
        pixels, shows = reference.reduce(reference.crop(inputs[row], (y, x), field.crop_size), k)
        crop = sheet[top:bottom, left:right]
        assert max(crop.shape[:2]) <= crop_size
        np.testing.assert_allclose(crop, np.where(shows[:, :, None], pixels * 255, 255.0), rtol=0, atol=0.5 + 1e-9)


@given(n=st.integers(1, 120), height=st.integers(1, 48), width=st.integers(1, 48))
def test_boxes_lie_ten_in_a_row_apart_from_each_other_within_the_sheet(n: int, height: int, width: int) -> None:
    crops_down, crops_across = -(-n // 10), 10
    size = (crops_down * height + (crops_down - 1) * 2, crops_across * width + (crops_across - 1) * 2)
    boxes = sheet_boxes(size, n)
    assert len(boxes) == n
    assert all(box[2] - box[0] == width and box[3] - box[1] == height for box in boxes)
    assert all(box[0] >= 0 and box[2] <= size[1] and box[1] >= 0 and box[3] <= size[0] for box in boxes)
    assert [(box[1], box[0]) for box in boxes] == sorted({(box[1], box[0]) for box in boxes})
    assert max(sum(box[1] == top for box in boxes) for top in {box[1] for box in boxes}) == min(n, 10)


def test_a_sheet_of_tiny_crops_is_kept_to_the_level() -> None:
    sheet = np.random.default_rng(0).integers(0, 256, (3, 10 * 3 + 18, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(encode_sheet(sheet)), sheet)


def test_a_sheet_of_larger_crops_is_a_jpeg_without_subsampled_color() -> None:
    sheet = np.zeros((48, 10 * 48 + 18, 3), dtype=np.uint8)
    sheet[:, ::2] = 255, 0, 0  # red lines one pixel wide on black: halved color resolution would turn them brown
    data = encode_sheet(sheet)
    assert data[:3] == b"\xff\xd8\xff"
    assert np.abs(decoded(data).astype(int) - sheet).mean() < 20


@pytest.mark.parametrize("hidden", [False, True])
def test_a_feature_is_a_png_with_alpha_only_where_no_crop_shows(hidden: bool) -> None:
    feature = np.random.default_rng(1).uniform(0, 1, (4, 5, 3))
    count = np.ones((4, 5), dtype=int)
    count[0, 0] = 0 if hidden else 1
    picture = decoded(feature_png(feature, count))
    assert picture.shape == (4, 5, 4 if hidden else 3)
    np.testing.assert_allclose(picture[..., :3], feature * 255, rtol=0, atol=0.5)
    if hidden:
        np.testing.assert_array_equal(picture[..., 3], np.where(count > 0, 255, 0))
