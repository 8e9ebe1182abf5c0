"""Contact sheets and features as pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from raysel.neurons import ContactSheet, CropCutter, contact_sheet, feature_picture
from tests import reference
from tests.neurons.fields import square


def decoded(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def cells_of(sheet: ContactSheet) -> list[tuple[slice, slice]]:
    """Where the crops are, in rank order."""
    (down, across), (height, width) = sheet.cell_size, sheet.crop_size
    corners = [(rank // sheet.columns * down, rank % sheet.columns * across) for rank in range(sheet.crops)]
    return [(slice(top, top + height), slice(left, left + width)) for top, left in corners]


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


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
    assert sheet.crops == n
    k = reference.least_factor(max(field.crop_size), crop_size)
    for row, (y, x), cell in zip(rows.tolist(), origins.tolist(), cells_of(sheet), strict=True):
        pixels, shows = reference.reduce(reference.crop(inputs[row], (y, x), field.crop_size), k)
        crop = sheet.picture[cell]
        assert max(crop.shape[:2]) <= crop_size
        np.testing.assert_allclose(crop, np.where(shows[:, :, None], pixels * 255, 255.0), rtol=0, atol=0.5 + 1e-9)


@given(n=st.integers(1, 43), height=st.integers(1, 25), width=st.integers(1, 25))
def test_crops_lie_ten_in_a_row_in_cells_of_whole_blocks(n: int, height: int, width: int) -> None:
    crops = noise(n, height, width, 3)
    sheet = ContactSheet.of(crops)
    assert (sheet.crops, sheet.crop_size, sheet.columns) == (n, (height, width), min(n, 10))
    for side, cell in zip((height, width), sheet.cell_size, strict=True):
        assert cell % 8 == 0
        assert side <= cell < side + 8
    lines = -(-n // 10)
    assert sheet.picture.shape == (lines * sheet.cell_size[0], sheet.columns * sheet.cell_size[1], 3)
    for cell, crop in zip(cells_of(sheet), crops, strict=True):
        np.testing.assert_array_equal(sheet.picture[cell], crop)


def test_a_cell_repeats_the_edges_of_its_crop() -> None:
    crops = noise(2, 9, 13, 3)
    expected = [np.pad(crop, ((0, 7), (0, 3), (0, 0)), mode="edge") for crop in crops]
    np.testing.assert_array_equal(ContactSheet.of(crops).picture, np.concatenate(expected, axis=1))


def test_cells_without_a_crop_are_white() -> None:
    sheet = ContactSheet.of(noise(11, 8, 8, 3))
    assert (sheet.picture[8:, 8:] == 255).all()


@pytest.mark.parametrize("size", [(3, 5), (15, 15), (16, 9), (21, 40)])
def test_crops_do_not_change_each_other_in_the_file(size: tuple[int, int]) -> None:
    """Crops of another color beside it leave a crop's decoded pixels as they are."""
    one = noise(12, *size, 3)
    other = one.copy()
    other[5] = 255 - other[5]
    sheets = ContactSheet.of(one), ContactSheet.of(other)
    before, after = (decoded(sheet.encode()) for sheet in sheets)
    for rank, cell in enumerate(cells_of(sheets[0])):
        assert np.array_equal(before[cell], after[cell]) == (rank != 5)


@pytest.mark.parametrize(("side", "most"), [(7, 2), (15, 2), (16, 12), (48, 12)])
def test_lines_of_color_one_pixel_wide_are_kept(side: int, most: float) -> None:
    """Red beside blue: halved color resolution would make both purple, 64 levels away on average."""
    crops = np.zeros((20, side, side, 3), dtype=np.uint8)
    crops[:, :, 0::2] = 255, 0, 0
    crops[:, :, 1::2] = 0, 0, 255
    sheet = ContactSheet.of(crops)
    data = sheet.encode()
    assert data[:3] == b"\xff\xd8\xff"
    errors = np.abs(decoded(data).astype(int) - sheet.picture)
    assert np.mean([errors[cell].mean() for cell in cells_of(sheet)]) < most


@pytest.mark.parametrize("hidden", [False, True])
def test_a_feature_is_lossless_with_alpha_only_where_no_crop_shows(hidden: bool) -> None:
    feature = np.random.default_rng(1).uniform(0, 1, (4, 5, 3))
    feature[1, 1], feature[2, 2] = 1.0, 0.0
    count = np.ones((4, 5), dtype=int)
    count[0, 0] = 0 if hidden else 1
    data = feature_picture(feature, count)
    assert data[8:12] == b"WEBP"
    picture = decoded(data)
    assert picture.shape == (4, 5, 4 if hidden else 3)
    shown = count > 0
    np.testing.assert_allclose(picture[shown][:, :3], feature[shown] * 255, rtol=0, atol=0.5)
    if hidden:
        np.testing.assert_array_equal(picture[..., 3], np.where(shown, 255, 0))
