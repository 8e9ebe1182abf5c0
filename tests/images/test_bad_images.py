"""Bad images: each has a short reason, in every kind of source, and raises nothing but `BadImageError`."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raysel.config import Preprocessing
from raysel.errors import BadImageError
from raysel.images import decode, open_source
from tests.images.samples import contents, encoded, list_of, picture, write_files, write_tar

JPEG = encoded(picture(300, 260), "JPEG", quality=90)
PNG = encoded(picture(80, 60), "PNG")


def png_that_claims(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims a size: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


BAD: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "empty file"),
    "text.jpg": (b"<html>404 Not Found</html>", "not an image"),
    "noise.png": (bytes(range(256)) * 10, "not an image"),
    "header.jpg": (JPEG[:2], "not an image"),
    "half.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "tail.jpg": (JPEG[:-300], "truncated"),
    "half.png": (PNG[: len(PNG) // 2], "truncated"),
    "crc.png": (PNG[:60] + b"\0\0\0\0" + PNG[64:], "broken PNG|broken data|CRC|checksum|decoder error"),
    "half.webp": (encoded(picture(80, 60), "WEBP")[:400], "decod|WebP|webp|not an image"),
    "half.gif": (encoded(picture(80, 60), "GIF")[:1200], "truncated|not enough|broken"),
    "half.bmp": (encoded(picture(80, 60), "BMP")[:2000], "truncated"),
    "half.tif": (encoded(picture(80, 60), "TIFF")[:2000], "."),
    "one.png": (encoded(picture(1, 1)), "1 x 1 pixels: too small"),
    "line.png": (encoded(picture(50, 1)), "50 x 1 pixels: too small"),
    "bomb.png": (png_that_claims(30_000, 30_000), "more than 178,956,970"),
    "wide.png": (png_that_claims(60_000, 2), "60000 x 2 pixels: too elongated"),
    "lies.png": (png_that_claims(3_000, 3_000), "truncated|broken"),
    "float.tif": (encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"), "mode F"),
    "int.tif": (encoded(Image.fromarray(np.ones((9, 9), np.int32)), "TIFF"), "mode I"),
    "script.ppm": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
}
GOOD = {"good.jpg": JPEG, "really.jpg": PNG, "upper.PNG": encoded(picture(30, 30))}


@pytest.mark.parametrize("name", BAD)
def test_reason(name: str) -> None:
    data, reason = BAD[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImageError, match=reason) as raised:
            decode(data, Preprocessing())
    assert 0 < len(str(raised.value)) <= 200
    assert "\n" not in str(raised.value)
    assert "0x" not in str(raised.value)  # an address would differ from run to run


def write_corpus(kind: str, root: Path, files: dict[str, bytes]) -> dict[str, str]:
    """Write the files as a source of some kind below a folder; returns key -> name of the file."""
    if kind == "folder":
        write_files(root / "x", files)
        return {f"x/{name}": name for name in files}
    if kind == "parquet":
        rows = [{"bytes": data, "path": name} for name, data in files.items()]
        table = pa.table({"image": pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))})
        pq.write_table(table, root / "a.parquet", row_group_size=7)
        return {name: name for name in files}
    if kind == "table":
        write_files(root / "x", files)
        (root / "a.csv").write_text("path\n" + "".join(f"x/{name}\n" for name in files))
        return {f"x/{name}": name for name in files}
    members = [(f"{name.replace('.', '_')}.{name.rpartition('.')[2]}", files[name]) for name in files]
    if kind == "tar":
        write_tar(root / "a.tar", members)
        return {name.replace(".", "_"): name for name in files}
    inner = write_tar(root / "inner", members).read_bytes()
    (root / "inner").unlink()
    write_tar(root / "a.tar", [("n01.tar", inner)])
    return {f"n01/{name.replace('.', '_')}": name for name in files}


@pytest.mark.parametrize("kind", ["folder", "tar", "tar of tars", "parquet", "table"])
def test_corpus_through_a_source(tmp_path: Path, kind: str) -> None:
    files = {**GOOD, **{name: data for name, (data, _) in BAD.items()}}
    names = write_corpus(kind, tmp_path, files)
    source = open_source(str(tmp_path / "a.csv" if kind == "table" else tmp_path))
    images = list_of(source)
    bad = {}
    for key, data in contents(source, images).items():
        try:
            assert decode(data, Preprocessing()).shape == (224, 224, 3)
        except BadImageError as reason:
            bad[names[key]] = str(reason)
    assert set(bad) == set(BAD)
    assert all(re.search(BAD[name][1], reason) for name, reason in bad.items())
    assert images.images.num_rows == len(files)
    assert images.faults.num_rows == 0


@given(cut=st.integers(0, len(PNG) - 1))
@settings(max_examples=60, deadline=None)
def test_png_cut_anywhere(cut: int) -> None:
    try:
        found = decode(PNG[:cut], Preprocessing(resize=None, crop=(60, 80)))
    except BadImageError:
        return
    np.testing.assert_array_equal(found, np.asarray(picture(80, 60)))  # only the end mark was lost


def pillow_pixels(data: bytes) -> np.ndarray | None:
    """Pixels by Pillow alone; None if it does not find an image."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.asarray(image.convert("RGB"))
    except Exception:
        return None


def assert_as_pillow(data: bytes) -> None:
    expected = pillow_pixels(data)
    if expected is None or min(expected.shape[:2]) < 2:
        with pytest.raises(BadImageError):
            decode(data, Preprocessing())
    else:
        found = decode(data, Preprocessing(resize=None, crop=expected.shape[:2]))
        np.testing.assert_array_equal(found, expected)


SMALL = [encoded(picture(40, 30), "JPEG", quality=80, **options) for options in ({}, {"progressive": True})]


@given(which=st.sampled_from(SMALL), cut=st.integers(0, 3_000))
@settings(max_examples=150)
def test_a_jpeg_cut_anywhere_is_bad_if_pillow_says_so(which: bytes, cut: int) -> None:
    assert_as_pillow(which[:cut])


@given(
    which=st.sampled_from(SMALL),
    changes=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(max_examples=300)
def test_a_corrupt_jpeg_has_pillows_pixels(which: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(which)
    for place, value in changes:
        data[place % len(data)] = value
    expected = pillow_pixels(bytes(data))
    if expected is None or expected.size < 1_000_000:
        assert_as_pillow(bytes(data))


@given(
    data=st.binary(max_size=300),
    head=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"BM", b"P6 "]),
)
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_raise_only_bad_image_errors(data: bytes, head: bytes) -> None:
    with contextlib.suppress(BadImageError):
        decode(head + data, Preprocessing(resize=16, crop=(16, 16)))


@given(
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP"]),
)
@settings(max_examples=200, deadline=None)
def test_bit_rot_raises_only_bad_image_errors(changes: list[tuple[int, int]], kind: str) -> None:
    data = bytearray(encoded(picture(30, 20), kind))
    for place, value in changes:
        data[place % len(data)] = value
    with contextlib.suppress(BadImageError):
        assert decode(bytes(data), Preprocessing(resize=16, crop=(16, 16))).shape == (16, 16, 3)


def test_same_bytes_same_pixels() -> None:
    one, other = (decode(bytes(bytearray(JPEG)), Preprocessing()) for _ in range(2))
    assert one.tobytes() == other.tobytes()
