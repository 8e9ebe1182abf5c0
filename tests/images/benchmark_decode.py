"""Cost of decoding, and how close its pixels are: ``python -m tests.images.benchmark_decode FOLDER`` prints JSON.

FOLDER holds JPEGs. They are laid side by side into squares of several sizes, at their sharpest, and each way takes
these to 256 px. CPU milliseconds are the least of some rounds on one thread; differences are to Pillow's full decode.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.config import Preprocessing
from raysel.images import DECODER, decode

SIDES = (300, 375, 500, 1024, 1536, 2048)
WANTED = 256
IMAGES, ROUNDS = 4, 5

Way = Callable[[bytes], NDArray[np.uint8]]


def squares(files: list[Path], side: int) -> list[bytes]:
    """JPEGs of side x side pixels, quality 90."""
    made = []
    for number in range(IMAGES):
        image = Image.new("RGB", (side, side))
        for place, (top, left) in enumerate(np.ndindex(-(-side // 224), -(-side // 224))):
            with Image.open(files[(place * 13 + number * 37) % len(files)]) as tile:
                image.paste(tile.convert("RGB").crop((0, 0, 224, 224)), (left * 224, top * 224))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


def pillow(least: int | None) -> Way:
    """Pillow alone; `least`: reduce while decoding to at least this many times the desired size."""

    def way(data: bytes) -> NDArray[np.uint8]:
        image = Image.open(io.BytesIO(data))
        size, box = image.size, None
        if least is not None:
            drafted = image.draft("RGB", (least * WANTED, least * WANTED))
            box = drafted[1] if drafted and image.size != size else None
        return np.asarray(image.resize((WANTED, WANTED), Image.Resampling.BILINEAR, box))

    return way


def torchvision(data: bytes) -> NDArray[np.uint8]:
    """torchvision's decoder and its resize of tensors."""
    import torch
    from torchvision.io import decode_jpeg
    from torchvision.transforms import v2

    image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    return v2.functional.resize(image, [WANTED, WANTED], antialias=True).permute(1, 2, 0).numpy()


def raysel(data: bytes) -> NDArray[np.uint8]:
    """`raysel.images.decode`."""
    return decode(data, Preprocessing(resize=(WANTED, WANTED), crop=None))


WAYS: dict[str, Way] = {
    "pillow": pillow(None),
    "pillow draft 1": pillow(1),
    "pillow draft 2": pillow(2),
    "pillow draft 3": pillow(3),
    "torchvision": torchvision,
    "raysel": raysel,
}


def milliseconds(way: Way, images: list[bytes]) -> float:
    """CPU time of one image."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for data in images:
            way(data)
        best = min(best, time.process_time() - started)
    return round(best / len(images) * 1e3, 3)


def measured(files: list[Path]) -> dict[str, object]:
    """side -> way -> figures."""
    found: dict[str, object] = {}
    for side in SIDES:
        images = squares(files, side)
        expected = [WAYS["pillow"](data).astype(int) for data in images]
        found[str(side)] = figures = {}
        for name, way in WAYS.items():
            differences = np.abs(np.stack([way(data) for data in images]) - np.stack(expected))
            figures[name] = {
                "cpu_ms": milliseconds(way, images),
                "difference_p99": float(np.percentile(differences, 99)),
                "difference_max": int(differences.max()),
            }
    return found


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    print(json.dumps({"decoder": DECODER, "wanted": WANTED, "sides": measured(paths)}))
