"""Small images of every kind, as a folder or as tars with the same ids."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.images.samples import encoded, write_files, write_tar


@dataclass(frozen=True)
class Sample:
    """One file of an image source."""

    content: bytes
    label: str | None


def corpus(per_class: int = 20, unlabelled: int = 6, seed: int = 0) -> dict[str, Sample]:
    """Key without suffix -> sample. Every third image is dark."""
    random = np.random.default_rng(seed)
    samples: dict[str, Sample] = {}
    for label, color in (("amber", (240, 160, 20)), ("blue", (30, 60, 230)), ("grey", (128, 128, 128))):
        for number in range(per_class):
            samples[f"{label}/{number:03d}"] = Sample(_png(random, color, number), label)
    for number in range(unlabelled):
        samples[f"loose_{number:03d}"] = Sample(_png(random, (90, 200, 90), number), None)
    return samples


def with_bad(samples: Mapping[str, Sample]) -> tuple[dict[str, Sample], list[str]]:
    """The samples with four files among them that are not images, and the keys of these."""
    good = next(iter(samples.values())).content
    bad = {
        "amber/900": Sample(good[: len(good) // 2], "amber"),
        "blue/901": Sample(b"this is not an image", "blue"),
        "grey/902": Sample(b"", "grey"),
        "loose_903": Sample(good[:40] + bytes(len(good) - 40), None),
    }
    return {**samples, **bad}, sorted(bad)


def as_folder(samples: Mapping[str, Sample], root: Path) -> str:
    """Write the samples as ``<label>/<name>.png``; return the folder."""
    return str(write_files(root, {f"{key}.png": sample.content for key, sample in samples.items()}))


def as_tars(samples: Mapping[str, Sample], root: Path, shards: int, order: Sequence[int] | None = None) -> str:
    """Write the samples with their labels as WebDataset tars, in any order; return the folder."""
    keys = sorted(samples)
    keys = [keys[place] for place in (range(len(keys)) if order is None else order)]
    for number in range(shards):
        members: list[tuple[str, bytes]] = []
        for key in keys[number::shards]:
            members.append((f"{key}.png", samples[key].content))
            label = samples[key].label
            if label is not None:
                members.append((f"{key}.cls", label.encode()))
        write_tar(root / f"{number:02d}.tar", members)
    return str(root)


def _png(random: np.random.Generator, color: tuple[int, int, int], number: int) -> bytes:
    """Noise around a color, with a ramp or a disc; every third image is dark. None has the zoo's input size."""
    side = (26, 29, 31, 48)[number % 4]
    rows, columns = np.mgrid[:side, :side] / side
    picture = np.array(color) + random.normal(0, 40, (side, side, 3))
    if number % 2:
        picture += 90 * (rows - columns)[:, :, None]
    else:
        place, radius = random.uniform(0.2, 0.8, 2), random.uniform(0.1, 0.4)
        picture[np.hypot(rows - place[0], columns - place[1]) < radius] = random.uniform(0, 255, 3)
    if number % 3 == 0:
        picture *= 0.35
    return encoded(Image.fromarray(picture.clip(0, 255).astype(np.uint8)))


def pixels_of(content: bytes) -> np.ndarray:
    """uint8 [H, W, 3] of a PNG."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
