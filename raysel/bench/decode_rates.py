"""``raysel bench decode``: how fast a core decodes images, by format."""

from __future__ import annotations

import io
import time
from collections import defaultdict
from typing import Any

import torch
from PIL import Image

from raysel.bench.scan_job import ImageFiles
from raysel.errors import BadImageError
from raysel.images import decode
from raysel.images.decode import FORMATS


def decode_rates(files: ImageFiles, rounds: int) -> list[dict[str, Any]]:
    """Decode all images on one thread, to the pixels that the network sees.

    Args:
        files: the images; they are held in memory.
        rounds: how often each image is decoded; its least time counts.

    Returns:
        a row per format, the most frequent first: ``format``, ``images``, ``mean_kb``, ``cpu_ms_per_image``,
        ``images_per_second_per_core``, and ``bad``, the images that could not be decoded, which are not timed.
    """
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, list[int]] = defaultdict(list)
    bad: dict[str, int] = defaultdict(int)
    for number in range(len(files)):
        content = files.content(number)
        kind = image_format(content)
        try:
            least = min(_cpu_seconds(content, files) for _ in range(rounds))
        except BadImageError:
            bad[kind] += 1
            continue
        seconds[kind].append(least)
        sizes[kind].append(len(content))
    rows = []
    for kind in sorted(seconds.keys() | bad.keys(), key=lambda each: -len(seconds[each])):
        count, spent = len(seconds[kind]), sum(seconds[kind])
        rows.append(
            {
                "format": kind,
                "images": count,
                "mean_kb": round(sum(sizes[kind]) / max(count, 1) / 1e3, 1),
                "cpu_ms_per_image": round(1e3 * spent / count, 3) if count else None,
                "images_per_second_per_core": round(count / spent, 1) if spent else None,
                "bad": bad[kind],
            }
        )
    return rows


def image_format(content: bytes) -> str:
    """Pillow's name of an image's format; ``unknown`` if it recognizes none."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.format or "unknown"
    except Exception:  # hostile bytes raise anything
        return "unknown"


def _cpu_seconds(content: bytes, files: ImageFiles) -> float:
    began = time.thread_time()
    decode(content, files.preprocessing)
    return time.thread_time() - began
