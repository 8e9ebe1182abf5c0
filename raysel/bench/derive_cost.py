"""``raysel bench derive``: what a crop costs, in decodes of an image."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import Any

from pydantic import TypeAdapter

from raysel.bench.decode_rates import decode_rates
from raysel.bench.process_tree import run_measured
from raysel.bench.scan_job import ImageFiles
from raysel.config import Preprocessing
from raysel.files import Folder
from raysel.images import subset
from raysel.pipeline.derive.again import recorded_images
from raysel.store import Index, open_index, read_manifest, recorded_source

_DECODED = 100


def derive_cost(index: str, work: Path) -> dict[str, Any]:
    """Derive an index again, in processes of its own, and decode some of its images.

    Args:
        index: path or URI of the index. It is not changed, and its images must be where they were.
        work: an empty folder.

    Returns:
        ``crops``, ``images_decoded``; CPU milliseconds ``kernel_ms_per_crop`` (cutting, feature, sheet and indexes) and
        ``cpu_ms_per_crop`` (of the whole command, its start included); ``decode_ms_per_image``; and ``ratio``, the
        kernel's milliseconds by a decode's.

    Raises:
        RayselError: the index cannot be derived again.
    """
    again = str(work / "index")
    ran = run_measured([sys.executable, "-m", "raysel", "derive", index, "--out", again], "raysel derive")
    manifest = read_manifest(Folder.at(again))
    crops = int(manifest.counters["derive.crops"])
    kernel_ms = 1e3 * float(manifest.counters["derive.kernel_s"]) / crops
    decode_ms = _decode_ms(open_index(again))
    return {
        "crops": crops,
        "images_decoded": int(manifest.counters["derive.images_decoded"]),
        "kernel_ms_per_crop": round(kernel_ms, 4),
        "cpu_ms_per_crop": None if ran.cpu_seconds is None else round(1e3 * ran.cpu_seconds / crops, 4),
        "decode_ms_per_image": round(decode_ms, 4),
        "ratio": round(kernel_ms / decode_ms, 4),
    }


def _decode_ms(index: Index) -> float:
    """CPU milliseconds of a decode, over some of the images."""
    images = subset(recorded_images(index), limit=_DECODED)
    kind = TypeAdapter(Preprocessing).validate_python(index.manifest.network.preprocessing)
    rows = decode_rates(ImageFiles(recorded_source(index.manifest), images, kind), rounds=3)
    timed = [row for row in rows if row["images"]]
    return mean(row["cpu_ms_per_image"] for row in timed for _ in range(row["images"]))
