"""Small images and tars for these tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from raysel.images import ImagesList, Source


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth colorful RGB picture with some noise and without symmetry."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
    base = np.stack([rows * 180 / height, columns * 180 / width, (rows + 2 * columns) % 180], axis=-1)
    return Image.fromarray((base + noise).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], kind: int = tarfile.PAX_FORMAT) -> Path:
    """A tar with these members in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=kind) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_files(root: Path, files: dict[str, bytes]) -> Path:
    """Files below a folder."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def list_of(source: Source) -> ImagesList:
    """The images list of a source."""
    return ImagesList.build(source, (source.walk(name) for name in source.shard_names()))


def contents(source: Source, images: ImagesList) -> dict[str, bytes]:
    """Key -> bytes as returned by `read`, shard by shard in order of id."""
    found: dict[str, bytes] = {}
    for number, name in enumerate(images.shards["name"].to_pylist()):
        rows = images.images.filter(np.asarray(images.images["shard"]) == number)
        found.update(zip(rows["key"].to_pylist(), source.read(name, rows), strict=True))
    return found
