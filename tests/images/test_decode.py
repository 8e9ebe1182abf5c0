"""From bytes to pixels: equal to torchvision's, and upright."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raysel.config import Interpolation, Preprocessing
from raysel.images import DECODER, decode
from tests.images.samples import encoded, picture

MODES: dict[str, str] = {
    "nearest": "NEAREST",
    "bilinear": "BILINEAR",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
    "box": "BOX",
}
PLAIN = Preprocessing(resize=None, crop=(40, 40))


def torchvision_pixels(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Pixels by torchvision's transforms."""
    from torchvision import transforms

    mode = transforms.InterpolationMode[MODES[preprocessing.interpolation]]
    if preprocessing.resize is not None:
        image = transforms.Resize(preprocessing.resize, mode)(image)
    if preprocessing.crop is not None:
        image = transforms.CenterCrop(preprocessing.crop)(image)
    return np.asarray(image)


def assert_close(found: NDArray[np.uint8], expected: NDArray[np.uint8], most: int = 2) -> None:
    """PyTorch's filters on 8 bits rarely differ from Pillow's, by 1 or 2: they round differently."""
    assert found.shape == expected.shape
    differences = np.abs(found.astype(int) - expected)
    assert differences.max() <= most
    assert (differences > 0).mean() < 0.02 or found.size < 100_000


def pixels(image: Image.Image, kind: str = "PNG", preprocessing: Preprocessing = PLAIN, **options: object) -> NDArray:
    """Decoded pixels of an image that is first written as a file."""
    return decode(encoded(image, kind, **options), preprocessing)


@given(
    size=st.tuples(st.integers(2, 90), st.integers(2, 90)),
    resize=st.one_of(st.none(), st.integers(1, 70), st.tuples(st.integers(1, 60), st.integers(1, 60))),
    crop=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    interpolation=st.sampled_from(sorted(MODES)),
)
@example(size=(75, 50), resize=32, crop=(28, 29), interpolation="bilinear")
@example(size=(51, 50), resize=20, crop=(20, 20), interpolation="bilinear")
@example(size=(50, 51), resize=20, crop=(20, 20), interpolation="bilinear")
@example(size=(37, 40), resize=37, crop=(38, 37), interpolation="bicubic")
@settings(max_examples=250, deadline=None)
def test_pixels_are_torchvisions(
    size: tuple[int, int], resize: int | tuple[int, int] | None, crop: tuple[int, int], interpolation: Interpolation
) -> None:
    image = picture(*size)
    preprocessing = Preprocessing(resize=resize, crop=crop, interpolation=interpolation)
    found = pixels(image, preprocessing=preprocessing)
    assert found.dtype == np.uint8
    assert found.shape == (*crop, 3)
    assert not found.flags.writeable
    # A bicubic filter overshoots when it enlarges a few pixels, and the two clip it at different steps.
    most = {"bilinear": 2, "bicubic": 8}.get(interpolation, 0)
    assert_close(found, torchvision_pixels(image, preprocessing), most)


@pytest.mark.parametrize("size", [(300, 260), (260, 300), (500, 375), (511, 511), (256, 256), (120, 90)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_pixels_are_torchvisions(size: tuple[int, int], subsampling: int) -> None:
    preprocessing = Preprocessing()
    data = encoded(picture(*size), "JPEG", quality=90, subsampling=subsampling)
    expected = torchvision_pixels(Image.open(io.BytesIO(data)), preprocessing)
    assert_close(decode(data, preprocessing), expected)


def test_exact_size_without_crop() -> None:
    preprocessing = Preprocessing(resize=(30, 50), crop=None)
    image = picture(100, 80)
    assert_close(pixels(image, preprocessing=preprocessing), torchvision_pixels(image, preprocessing))


@pytest.mark.assets
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_photographs_are_torchvisions(assets: Path, interpolation: Interpolation) -> None:
    preprocessing = Preprocessing(interpolation=interpolation)
    files = sorted((assets / "images").rglob("*.jpg"))[::97]
    assert len(files) > 20
    for file in files:
        with Image.open(file) as image:
            assert min(image.size) < 512  # not reduced while decoding
            expected = torchvision_pixels(ImageOps.exif_transpose(image.convert("RGB")), preprocessing)
        assert_close(decode(file.read_bytes(), preprocessing), expected)


@pytest.mark.parametrize("side", [512, 1536, 2048])
def test_large_jpegs_are_decoded_in_full(side: int) -> None:
    data = encoded(picture(side, side + 1), "JPEG", quality=90)
    assert_close(decode(data, Preprocessing()), torchvision_pixels(Image.open(io.BytesIO(data)), Preprocessing()))


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    preprocessing = Preprocessing(resize=24, crop=(20, 22))
    data = encoded(picture(60, 44), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    assert_close(decode(data, preprocessing), torchvision_pixels(upright, preprocessing))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_jpeg_is_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    rows, columns = np.mgrid[0:1033, 0:1291]
    ramp = np.stack([rows / 1033 * 255, columns / 1291 * 255, (rows + columns) / 2324 * 255], axis=-1)
    data = encoded(Image.fromarray(ramp.astype(np.uint8)), "JPEG", quality=95, subsampling=0, exif=exif)
    preprocessing = Preprocessing(resize=100, crop=(90, 110))
    with Image.open(io.BytesIO(data)) as image:
        expected = torchvision_pixels(ImageOps.exif_transpose(image), preprocessing).astype(int)
    assert np.abs(decode(data, preprocessing) - expected).max() <= 1


def test_broken_metadata_does_not_cost_the_image() -> None:
    data = encoded(picture(40, 40), "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    plain = encoded(picture(40, 40), "JPEG", quality=95)
    np.testing.assert_array_equal(decode(data, PLAIN), decode(plain, PLAIN))


GRAY = picture(40, 40).convert("L")


def test_grayscale() -> None:
    expected = np.repeat(np.asarray(GRAY)[..., None], 3, axis=2)
    for kind in ("PNG", "BMP", "GIF", "TIFF"):
        np.testing.assert_array_equal(pixels(GRAY, kind), expected)
    assert (np.ptp(pixels(GRAY, "JPEG"), axis=2) == 0).all()


def test_bits_and_palette() -> None:
    bits = GRAY.point(lambda value: 255 * (value > 100)).convert("1")
    np.testing.assert_array_equal(pixels(bits)[..., 0], np.asarray(bits) * 255)
    palette = picture(40, 40).quantize(32)
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(pixels(palette, kind), np.asarray(palette.convert("RGB")))


def test_lossless_formats_keep_every_pixel() -> None:
    image = picture(40, 40)
    for kind, options in (("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        np.testing.assert_array_equal(pixels(image, kind, **options), np.asarray(image))


def test_transparency_becomes_white() -> None:
    rgba = picture(40, 40).convert("RGBA")
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 10:20], alpha[:, 20:] = 128, 255
    rgba.putalpha(Image.fromarray(alpha))
    color = np.asarray(picture(40, 40)).astype(float)
    expected = np.rint(color * alpha[..., None] / 255 + 255 - alpha[..., None])
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        found = pixels(rgba, kind, **options).astype(float)
        assert np.abs(found - expected).max() <= 1
        assert (found[:, :10] == 255).all()
    found = pixels(rgba.convert("LA"))
    assert (found[:, :10] == 255).all()
    assert np.ptp(found, axis=2).max() == 0


def test_transparent_color_of_a_palette_or_of_rgb() -> None:
    palette = Image.new("P", (40, 40), 1)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.paste(0, (0, 0, 20, 40))
    for kind in ("PNG", "GIF"):
        found = pixels(palette, kind, transparency=0)
        assert (found[:, :20] == 255).all()
        assert (found[:, 20:] == [200, 100, 50]).all()
    flat = Image.new("RGB", (40, 40), (1, 2, 3))
    flat.paste((9, 9, 9), (20, 0, 40, 40))
    found = pixels(flat, transparency=(1, 2, 3))
    assert (found[:, :20] == 255).all()
    assert (found[:, 20:] == 9).all()


def test_sixteen_bits_keep_the_upper_eight() -> None:
    values = np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40
    for kind in ("PNG", "TIFF", "PPM"):
        image = Image.fromarray(values)
        data = encoded(image, kind) if kind != "PPM" else b"P5 40 40 65535\n" + values.astype(">u2").tobytes()
        np.testing.assert_array_equal(decode(data, PLAIN), np.repeat((values >> 8)[..., None], 3, axis=2))


def test_cmyk_and_ycck() -> None:
    image = picture(40, 40).convert("CMYK")
    found = pixels(image, "JPEG", quality=100, subsampling=0).astype(int)
    assert np.abs(found - np.asarray(picture(40, 40)).astype(int)).max() <= 12
    tiff = pixels(image, "TIFF")
    np.testing.assert_array_equal(tiff, np.asarray(picture(40, 40)))


def test_progressive_jpeg_and_first_frame() -> None:
    image = picture(40, 40)
    np.testing.assert_array_equal(pixels(image, "JPEG", progressive=True), pixels(image, "JPEG"))
    for kind, options in (("GIF", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        frames = encoded(image, kind, save_all=True, append_images=[picture(40, 40, 9)], **options)
        np.testing.assert_array_equal(decode(frames, PLAIN), pixels(image, kind, **options))


def test_the_decoders_name_contains_its_versions() -> None:
    import PIL

    assert PIL.__version__ in DECODER
    assert "libjpeg" in DECODER
    assert all(name in DECODER for name in ("torch-", "simplejpeg-"))
    assert "+" not in DECODER  # a build for GPUs has the same code for the CPU


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49), (17, 3)])
@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}])
def test_jpeg_pixels_are_pillows(width: int, height: int, options: dict[str, int]) -> None:
    for image in (picture(width, height), picture(width, height).convert("L")):
        data = encoded(image, "JPEG", quality=85, **options)
        with Image.open(io.BytesIO(data)) as opened:
            expected = np.asarray(opened.convert("RGB"))
        found = decode(data, Preprocessing(resize=None, crop=(height, width)))
        np.testing.assert_array_equal(found, expected)


RESIZED = """
import hashlib, numpy as np
from raysel.images.decode import resized
noise = np.random.default_rng(0).integers(0, 256, (99, 171, 3), dtype=np.uint8)
for filter in ("bilinear", "bicubic"):
    for size in ((50, 60), (99, 30), (130, 200)):
        print(hashlib.sha256(np.ascontiguousarray(resized(noise, size, filter)).tobytes()).hexdigest())
"""


def test_resize_gives_the_same_bits_without_avx() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", RESIZED],
            env={**os.environ, "ATEN_CPU_CAPABILITY": capability},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for capability in ("default", "avx512")
    ]
    assert len(found[0].split()) == 6
    assert found[0] == found[1]
