"""From a file's bytes to the pixels that the network sees.

The two expensive steps, JPEG to pixels and the resize, run in simplejpeg and in PyTorch's kernels: an image of
ImageNet's size takes about half of Pillow's time (``python -m tests.images.benchmark_decode``). Both use integers, and
the resize gives the same bits on CPUs with and without AVX (checked with PyTorch 2.15). PyTorch is imported only for
the resize: in tasks that do without, its import would take more time than a thousand images.
"""

from __future__ import annotations

import io
import warnings
from importlib.metadata import version

import numpy as np
import PIL
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, features

from raysel.config import Interpolation, Preprocessing
from raysel.errors import BadImageError, first_line
from raysel.images.geometry import crop_start, resized_size

DECODER = f"pillow-{PIL.__version__} libjpeg-turbo-{features.version_feature('libjpeg_turbo')} " + " ".join(
    f"{name}-{version(name).partition('+')[0]}" for name in ("simplejpeg", "torch")
)
"""Names the code that turns bytes into pixels, for the scan fingerprint: the same name, the same pixels."""

MAX_PIXELS = 178_956_970
"""Larger images are refused: Pillow's own limit for a probable decompression bomb (512 MiB of RGB)."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Pillow's readers that may run on the bytes, whatever the file's name says."""

_PILLOW_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the stored pixels upright."""


def decode(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """What the network sees of an image, before scale, mean, std and channel order: decode, turn upright, resize, crop.

    Pixels are those of torchvision's ``Resize`` and ``CenterCrop`` on the upright RGB PIL image, within 2 levels,
    except for a few pixels when a bicubic filter enlarges. Large JPEGs are decoded in full: libjpeg's own reduction, to
    at least 1, 2 or 3 times the desired size, changes 1% of the values by 27, 6 or 3 levels, and saves at most 6%.

    EXIF orientation is applied. Transparency becomes white. Of 16 bits the upper 8 are kept. Of several frames or
    pages the first is used. Color profiles are not applied (as in torchvision). A crop larger than the resized image
    is padded with black.

    Args:
        data: a JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file; its content shows which.
        preprocessing: the network's; `resize`, `crop` and `interpolation` are used.

    Returns:
        uint8 [H, W, 3], RGB, (H, W) = `Preprocessing.input_size`; read-only.

    Raises:
        BadImageError: short reason why there are no pixels: empty, not an image, truncated, 1 pixel wide, too large.
    """
    if not data:
        raise BadImageError("empty file")
    try:
        with warnings.catch_warnings():
            # Pillow warns about odd metadata and large sizes: what matters is refused below, with a reason.
            warnings.simplefilter("ignore")
            pixels = _upright_pixels(data, preprocessing)
            size = resized_size((pixels.shape[0], pixels.shape[1]), preprocessing.resize)
            return _cropped(resized(pixels, size, preprocessing.interpolation), preprocessing.crop)
    except (BadImageError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise BadImageError("not an image, or not of a format that raysel reads") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # decoders raise anything on hostile bytes: struct.error, IndexError, zlib.error...
        raise BadImageError(first_line(error).replace("image file is truncated", "truncated")) from error


def resized(pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: Interpolation) -> NDArray[np.uint8]:
    """uint8[height, width, 3] of contiguous uint8[H, W, 3] for a (height, width): antialiased, within 2 levels of
    Pillow's filter."""
    if pixels.shape[:2] == size:
        return pixels
    if interpolation in _PILLOW_FILTERS:
        return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), _PILLOW_FILTERS[interpolation]))
    import torch

    # As a view in channels-last order: other layouts are summed in another order.
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    done = torch.nn.functional.interpolate(image, size=size, mode=interpolation, antialias=True)
    return done[0].permute(1, 2, 0).numpy()


def _upright_pixels(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """uint8[H, W, 3], RGB, contiguous."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    _refuse(image.size, preprocessing)
    pixels = None
    if image.format not in ("JPEG", "MPO"):
        image.load()  # a TIFF turns itself upright as it loads, and a PNG may state its orientation at its end
    elif image.mode in ("RGB", "L"):
        pixels = _jpeg_pixels(data)
    orientation = _orientation(image)
    pixels = np.asarray(_rgb(image)) if pixels is None else pixels
    if orientation != 1:
        pixels = np.asarray(Image.fromarray(pixels).transpose(_UPRIGHT[orientation]))
    return np.ascontiguousarray(pixels)


def _refuse(size: tuple[int, int], preprocessing: Preprocessing) -> None:
    """Raise BadImageError for a (width, height) that is too small or too large."""
    width, height = size
    if min(size) < 2:
        raise BadImageError(f"{width} x {height} pixels: too small")
    if width * height > MAX_PIXELS:
        raise BadImageError(f"{width} x {height} pixels: more than {MAX_PIXELS:,}")
    after = resized_size((height, width), preprocessing.resize)
    if after[0] * after[1] > MAX_PIXELS:
        raise BadImageError(f"{width} x {height} pixels: too elongated, {after[1]} x {after[0]} after the resize")


def _jpeg_pixels(data: bytes) -> NDArray[np.uint8] | None:
    """uint8[H, W, 3], RGB, as stored (not upright), of a gray or RGB JPEG; None if Pillow must say what is wrong.

    The pixels are Pillow's: both use libjpeg-turbo.
    """
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
    return pixels


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 if there is none or it cannot be read: broken metadata must not cost an image."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _rgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB: transparency on white, of 16 bits the upper 8 (as Pillow itself reads 16-bit RGB)."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise BadImageError(f"pixels of mode {image.mode} have no known range: convert the image to 8 or 16 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _cropped(pixels: NDArray[np.uint8], crop: tuple[int, int] | None) -> NDArray[np.uint8]:
    """uint8[H, W, 3], read-only: the center crop; black where it reaches beyond the image."""
    if crop is not None and pixels.shape[:2] != crop:
        height, width = pixels.shape[:2]
        top, left = crop_start(height, crop[0]), crop_start(width, crop[1])
        inside = pixels[max(0, top) : top + crop[0], max(0, left) : left + crop[1]]
        if inside.shape[:2] == crop:
            pixels = np.ascontiguousarray(inside)
        else:
            pixels = np.zeros((*crop, 3), np.uint8)
            pixels[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]] = inside
    pixels.flags.writeable = False
    return pixels
