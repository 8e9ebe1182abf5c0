"""Crops of the photographs in scikit-image and scikit-learn, as WebDataset tar shards."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysel.errors import RayselError

CROPS_PER_SUBJECT = 84
SHARDS = 6
SIDE = 256
SMALLEST_CROP = 90
SEED = 2018

_SCIKIT_IMAGE = {
    "astronaut": "astronaut",
    "brick": "brick",
    "cameraman": "camera",
    "cat": "chelsea",
    "clock": "clock",
    "coffee": "coffee",
    "coins": "coins",
    "galaxies": "hubble_deep_field",
    "grass": "grass",
    "gravel": "gravel",
    "moon": "moon",
    "motorcycle": "stereo_motorcycle",
    "page": "page",
    "retina": "retina",
    "rocket": "rocket",
    "tissue": "immunohistochemistry",
}
_SCIKIT_LEARN = {"flower": "flower.jpg", "temple": "china.jpg"}

SUBJECTS = tuple(sorted([*_SCIKIT_IMAGE, *_SCIKIT_LEARN]))
"""The labels of the demo's images."""


def make_demo_shards(folder: Path) -> Path:
    """Write the demo's shards below `folder`, unless they exist. They are the same bytes every time.

    Returns:
        The folder of the tar shards: 18 subjects x 84 crops at random positions and scales, 256 x 256 px.
    """
    shards = folder / "shards"
    if shards.exists():
        return shards
    unfinished = folder / "shards.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    crops = [(subject, number) for subject in SUBJECTS for number in range(CROPS_PER_SUBJECT)]
    order = np.random.default_rng(SEED).permutation(len(crops))
    pictures = dict(_crops())
    for shard, members in enumerate(np.array_split(order, SHARDS)):
        with tarfile.open(unfinished / f"demo-{shard:02}.tar", "w") as tar:
            for member in sorted(members.tolist()):
                subject, number = crops[member]
                _add(tar, f"{subject}-{number:03}.jpg", pictures[subject, number])
                _add(tar, f"{subject}-{number:03}.cls", subject.encode())
    return unfinished.rename(shards)


def _crops() -> Iterator[tuple[tuple[str, int], bytes]]:
    """((subject, number), JPEG bytes) of every crop."""
    for position, subject in enumerate(SUBJECTS):
        photograph = Image.fromarray(_photograph(subject)).convert("RGB")
        random = np.random.default_rng([SEED, position])
        for number in range(CROPS_PER_SUBJECT):
            yield (subject, number), _crop(photograph, random)


def _crop(photograph: Image.Image, random: np.random.Generator) -> bytes:
    largest = min(photograph.size)
    side = round(np.exp(random.uniform(np.log(min(SMALLEST_CROP, largest)), np.log(largest))))
    left, top = (int(random.integers(0, length - side + 1)) for length in photograph.size)
    crop = photograph.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    data = io.BytesIO()
    crop.save(data, "JPEG", quality=92)
    return data.getvalue()


def _photograph(subject: str) -> NDArray[np.uint8]:
    try:
        import skimage.data
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise RayselError("the demo needs more packages: pip install 'raysel[demo]'") from error
    if subject in _SCIKIT_LEARN:
        return np.asarray(load_sample_image(_SCIKIT_LEARN[subject]))
    loaded = getattr(skimage.data, _SCIKIT_IMAGE[subject])()
    return np.asarray(loaded[0] if isinstance(loaded, tuple) else loaded)  # the motorcycle is a stereo pair


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
