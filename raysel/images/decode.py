"""From a file's bytes to the pixels that the network sees."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, features

from raysel.config import Preprocessing
from raysel.errors import BadImageError
from raysel.images.fast_pixels import SMOOTH, jpeg_pixels, resized
from raysel.images.geometry import Placement, crop_start, placement, resized_size

DECODER = f"pillow-{PIL.__version__} libjpeg-turbo-{features.version_feature('libjpeg_turbo')} " + " ".join(
    f"{name}-{version(name).partition('+')[0]}" for name in ("torchvision", "torch")
)
"""Names the code that makes pixels of bytes, for the scan fingerprint: the same name, the same pixels."""

MAX_PIXELS = 178_956_970
"""Larger images are refused: Pillow's own limit for what must be a decompression bomb (512 MiB of RGB)."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Pillow's readers that may run on the bytes, whatever the file's name says."""

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
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


@dataclass(frozen=True)
class Decoded:
    """What the network sees of one image, before scale, mean, std and channel order."""

    pixels: NDArray[np.uint8]
    """uint8[H, W, 3], RGB, (H, W) = `Preprocessing.input_size`; read-only."""
    placement: Placement
    """Where these pixels lie in the original."""


def decode(data: bytes, preprocessing: Preprocessing) -> Decoded:
    """Decode, set upright, resize and crop one image.

    Pixels are those of torchvision's ``Resize`` and ``CenterCrop`` on the upright RGB PIL image, within 2 levels; only
    where a bicubic filter enlarges a few pixels, more. Large JPEGs are decoded in full: libjpeg's own reduction, to at
    least 1, 2, 3 times the size wanted, puts 1 % of the values off by 27, 6, 3 levels, and saves 6 % where it is exact.

    EXIF orientation is applied. Transparency is put on white. Of 16 bits the upper 8 are kept. Of several frames or
    pages the first is taken. Colour profiles are not applied (as torchvision). A crop larger than the resized image
    is padded with black.

    Args:
        data: a JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file; what it is shows inside, not by name.
        preprocessing: of the network; `resize`, `crop` and `interpolation` are used.

    Raises:
        BadImageError: short reason why there are no pixels: empty, not an image, truncated, 1 pixel wide, too large.
    """
    if not data:
        raise BadImageError("empty file")
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata and large sizes: what matters is refused below, with a reason.
            warnings.simplefilter("ignore")
            return _decode(data, preprocessing)
    except (BadImageError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise BadImageError("not an image, or of a format that is not read") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # hostile bytes lead decoders into anything: struct.error, IndexError, zlib.error...
        raise BadImageError(_short(error)) from error


def _decode(data: bytes, preprocessing: Preprocessing) -> Decoded:
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    _refuse(image.size, preprocessing)
    stored = image.size
    if image.format in ("JPEG", "MPO"):
        orientation = _orientation(image)
        pixels = jpeg_pixels(data) if image.mode in ("RGB", "L") else None
        if pixels is None:
            pixels = np.asarray(_rgb(image))
    else:
        image.load()  # a TIFF turns itself upright as it loads, and a PNG may tell its orientation at its end
        stored, orientation = image.size, _orientation(image)
        pixels = np.asarray(_rgb(image))
    original = _upright_size(stored, orientation)
    pixels = _resized(_upright(pixels, orientation), resized_size(original, preprocessing.resize), preprocessing)
    return Decoded(_cropped(pixels, preprocessing), placement(original, preprocessing))


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """uint8[height, width, 3] for a (height, width)."""
    if pixels.shape[:2] == size:
        return pixels
    if preprocessing.interpolation in SMOOTH:
        return resized(pixels, size, preprocessing.interpolation)
    image = Image.fromarray(pixels).resize((size[1], size[0]), _FILTERS[preprocessing.interpolation])
    return np.asarray(image)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    if orientation not in _UPRIGHT:
        return np.ascontiguousarray(pixels)
    return np.asarray(Image.fromarray(pixels).transpose(_UPRIGHT[orientation]))


def _refuse(size: tuple[int, int], preprocessing: Preprocessing) -> None:
    """BadImageError for a (width, height) that holds no picture or too large a one."""
    width, height = size
    if min(size) < 2:
        raise BadImageError(f"{width} x {height} pixels: no picture")
    if width * height > MAX_PIXELS:
        raise BadImageError(f"{width} x {height} pixels: more than {MAX_PIXELS:,}")
    resized = resized_size((height, width), preprocessing.resize)
    if resized[0] * resized[1] > MAX_PIXELS:
        raise BadImageError(
            f"{width} x {height} pixels: too long a strip, {resized[1]} x {resized[0]} after the resize"
        )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it cannot be read: broken metadata must not cost an image."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) after the turn of a stored (width, height)."""
    return size if orientation >= 5 else (size[1], size[0])


def _rgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB: transparency on white, of 16 bits the upper 8 (as Pillow itself reads 16-bit RGB)."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise BadImageError(f"pixels of mode {image.mode}: no range is known for them; convert them to 8 or 16 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _cropped(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """uint8[H, W, 3], read-only: the centre crop; black where it reaches beyond the image."""
    if preprocessing.crop is not None and pixels.shape[:2] != preprocessing.crop:
        (height, width), crop = pixels.shape[:2], preprocessing.crop
        top, left = crop_start(height, crop[0]), crop_start(width, crop[1])
        inside = pixels[max(0, top) : top + crop[0], max(0, left) : left + crop[1]]
        if inside.shape[:2] == crop:
            pixels = np.ascontiguousarray(inside)
        else:
            pixels = np.zeros((*crop, 3), np.uint8)
            pixels[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]] = inside
    pixels.flags.writeable = False
    return pixels


def _short(error: Exception) -> str:
    text = str(error).partition("\n")[0].replace("image file is truncated", "truncated")[:160]
    return text or type(error).__name__
