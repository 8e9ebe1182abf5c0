"""An image with the boxes that neurons see in it, beside their features."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageDraw

from raysel.query import Explanation
from raysel.report.portrait import INK, MARGIN, SOFT_INK, drawable, font, on_checkerboard
from raysel.store import Neuron

SIDE = 560
"""Longer side of the image on the picture, pixels."""
MOST = 8
"""Neurons on the picture."""
TILE = 64
GAP = 6
TEXT = 330
"""Width of the text beside a feature, pixels."""
INKS = (
    (230, 25, 75),
    (0, 130, 200),
    (60, 160, 60),
    (245, 130, 48),
    (145, 30, 180),
    (0, 150, 150),
    (200, 50, 180),
    (120, 80, 20),
)
"""A color for each neuron's box and number."""


def draw_explanation(explanation: Explanation) -> Image.Image:
    """The image as the network sees it, with a numbered box for each of the first `MOST` neurons, and beside it their
    features, how much of their highest activation they reach, and what they are selective to; RGB.

    Raises:
        RayselError: the image cannot be read.
    """
    seen = Image.fromarray(explanation.pixels())
    scale = SIDE / max(seen.size)
    picture = seen.resize((round(seen.width * scale), round(seen.height * scale)), Image.Resampling.BICUBIC)
    rows = explanation.table.slice(0, MOST).to_pylist()
    left, top = 2 * MARGIN + picture.width, 2 * MARGIN + 30
    height = max(picture.height, len(rows) * (TILE + GAP) - GAP)
    canvas = Image.new("RGB", (left + TILE + 2 * GAP + TEXT + MARGIN, top + height + MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN, MARGIN), drawable(explanation.image), INK, font(20))
    boxes = ImageDraw.Draw(picture)
    for number, row in reversed(list(enumerate(rows))):  # the first is on top
        _box(boxes, row, scale, picture.size, number)
    canvas.paste(picture, (MARGIN, top))
    names = explanation.index.class_names
    for number, (row, neuron) in enumerate(zip(rows, explanation, strict=False)):
        y = top + number * (TILE + GAP)
        _feature(canvas, neuron, (left, y))
        pen.rectangle((left - 2, y - 2, left + TILE + 1, y + TILE + 1), outline=INKS[number], width=2)
        x = left + TILE + 2 * GAP
        pen.text((x, y), f"{number + 1}  {drawable(neuron.address)}", INKS[number], font(16))
        pen.text((x, y + 22), f"{row['relative']:.2f} of its highest activation", INK, font(14))
        pen.text((x, y + 42), drawable(_selective_to(row, names)), SOFT_INK, font(14))
    return canvas


def _box(pen: ImageDraw.ImageDraw, row: dict[str, Any], scale: float, size: tuple[int, int], number: int) -> None:
    """The part of a neuron's box that lies in the image, with its number in the upper left corner."""
    left, top = (max(0, round(row[name] * scale)) for name in ("x0", "y0"))
    right, bottom = (min(end, round(row[name] * scale)) - 1 for name, end in zip(("x1", "y1"), size, strict=True))
    if right < left or bottom < top:
        return
    pen.rectangle((left, top, right, bottom), outline=INKS[number], width=3)
    pen.rectangle((left, top, left + 17, top + 19), fill=INKS[number])
    pen.text((left + 4, top + 1), str(number + 1), "white", font(15))


def _feature(canvas: Image.Image, neuron: Neuron, place: tuple[int, int]) -> None:
    picture = neuron.picture
    assert picture is not None, "a neuron that fires has a feature"
    canvas.paste(on_checkerboard(picture).resize((TILE, TILE), Image.Resampling.NEAREST), place)


def _selective_to(row: dict[str, Any], names: dict[str, str]) -> str:
    parts = [row["color_name"]] if row["color_name"] is not None else []
    if row["label"] is not None:
        parts.append(f"{names.get(row['label'], row['label'])} {row['label_share']:.0%}")
    if row["concept"] is not None:
        parts.append(f"concept {row['concept']}")
    return ", ".join(parts)
