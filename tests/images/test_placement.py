"""The map from the network's pixels back to the original image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raysel.config import Preprocessing
from raysel.images import Placement, decode, placement
from tests.images.samples import encoded


def test_map_of_a_known_case() -> None:
    """1000 x 500 -> 512 x 256 -> the middle 224: the upper left corner is 16 rows and 144 columns in."""
    place = placement((500, 1000), Preprocessing())
    assert place == Placement((500 / 256, 1000 / 512), (16 * 500 / 256, 144 * 1000 / 512))
    assert place.to_original(0, 0) == (31.25, 281.25)
    assert place.box(0, 0, 224, 224) == (31.25, 281.25, 468.75, 718.75)


def test_padding_maps_outside() -> None:
    assert placement((20, 10), Preprocessing(resize=None, crop=(20, 15))).to_original(0, 0) == (0, -2)


def marked(size: tuple[int, int], row: int, column: int, side: int) -> Image.Image:
    """Black, with a white square around a pixel."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[max(0, row - side) : row + side + 1, max(0, column - side) : column + side + 1] = 255
    return Image.fromarray(pixels)


def center_of_light(pixels: np.ndarray) -> tuple[float, float]:
    """(row, column) of the mean brightness, in edge coordinates."""
    light = pixels.mean(axis=2)
    rows, columns = np.mgrid[0 : light.shape[0], 0 : light.shape[1]] + 0.5
    return float((light * rows).sum() / light.sum()), float((light * columns).sum() / light.sum())


@given(
    size=st.tuples(st.integers(60, 200), st.integers(60, 200)),
    off_center=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    resize=st.one_of(st.integers(40, 120), st.tuples(st.integers(40, 120), st.integers(40, 120))),
)
@settings(max_examples=60, deadline=None)
def test_a_marker_maps_back(size: tuple[int, int], off_center: tuple[int, int], resize: int | tuple[int, int]) -> None:
    row, column = size[1] // 2 + off_center[0], size[0] // 2 + off_center[1]
    # Enlarged at most twice, the crop shows at least 10 pixels on each side of the center: the whole marker.
    preprocessing = Preprocessing(resize=resize, crop=(40, 40))
    pixels = decode(encoded(marked(size, row, column, 4)), preprocessing)
    found = placement((size[1], size[0]), preprocessing).to_original(*center_of_light(pixels))
    assert found == pytest.approx((row + 0.5, column + 0.5), abs=0.3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1033, 1291), (200, 150)])
def test_marker_of_a_turned_and_reduced_jpeg(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    side = size[0] // 20
    row, column = int(size[1] * 0.55), int(size[0] * 0.42)
    data = encoded(marked(size, row, column, side), "JPEG", quality=95, exif=exif)
    preprocessing = Preprocessing(resize=100, crop=(90, 90))
    pixels = decode(data, preprocessing)
    upright = center_of_light(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    x, y = upright[1], upright[0]
    width, height = size
    turned = {
        1: (y, x), 2: (y, width - x), 3: (height - y, width - x), 4: (height - y, x),
        5: (x, y), 6: (x, height - y), 7: (width - x, height - y), 8: (width - x, y),
    }[orientation]  # fmt: skip
    place = placement((height, width) if orientation < 5 else (width, height), preprocessing)
    assert place.to_original(*center_of_light(pixels)) == pytest.approx(turned, abs=size[0] / 400)
