"""Clouds of classes and concepts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from raysel.report.drawing.tag_cloud import tag_cloud

ORANGE = (230, 159, 0)


def extent(picture: Image.Image, color: tuple[int, int, int] | None = None) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the pixels of a color, or of all that are not white."""
    pixels = np.asarray(picture).astype(int)
    hit = (pixels == color).all(axis=2) if color else (pixels.sum(axis=2) < 500)
    rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def test_a_framed_tag_is_inside_of_its_frame() -> None:
    plain, framed = tag_cloud({"beagle": 1.0}, (2, 1)), tag_cloud({"beagle": 1.0}, (2, 1), {"beagle"})
    assert plain.size == framed.size == (400, 200)
    word, frame = extent(plain), extent(framed, ORANGE)
    assert frame[0] < word[0] < word[2] < frame[2]
    assert frame[1] < word[1] < word[3] < frame[3]
    assert all(abs(one - other) < 12 for one, other in zip(word, frame, strict=True))


def test_only_framed_tags_have_a_frame() -> None:
    cloud = tag_cloud({"dog": 0.9, "beagle": 0.5}, (3, 1.5), {"cat"})
    assert not (np.asarray(cloud) == ORANGE).all(axis=2).any()


def test_a_cloud_is_the_same_each_time_and_holds_long_and_foreign_names() -> None:
    shares = {"açaí": 0.5, "x" * 80: 0.3, **{f"class {place}": 0.01 for place in range(60)}}
    assert tag_cloud(shares, (3, 1.5)).tobytes() == tag_cloud(shares, (3, 1.5)).tobytes()


@pytest.mark.parametrize("classes", [1, 4, 10])
def test_classes_are_in_the_cloud_of_many_concepts(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concepts have the share of all classes below them, so classes are the smallest tags."""
    leaves = {f"class number {place}": 1 / classes / 2 for place in range(classes)}
    concepts = {f"a concept {place}": 1 - place / 40 for place in range(26)}
    frames: list[Any] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "rectangle", lambda _, place, **__: frames.append(place))
    tag_cloud({**concepts, **leaves}, (2.75, 1.45), leaves)
    assert len(set(frames)) == classes
