"""A picture of one neuron: its feature large, its crops beside it in rank order."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from raysel.cli.output import spelled
from raysel.store import Neuron

_MARGIN = 24
_GAP = 2
_HEIGHT = 500
"""Largest height of the feature and of the grid of crops, in pixels."""
_LEAST_ROWS = 3

_PAPER, _INK, _SOFT = (255, 255, 255), (17, 24, 39), (107, 114, 128)
_FRAME = (214, 214, 214)
_CHECKER = ((236, 236, 236), (220, 220, 220))


@dataclass(frozen=True)
class Layout:
    rows: int
    columns: int
    cell: int

    @property
    def width(self) -> int:
        return self.columns * (self.cell + _GAP) - _GAP

    @classmethod
    def of(cls, crops: int, height: int) -> Layout:
        """The layout with the largest square cells that fits all crops into a square of side `height`, in pixels."""
        rows = _LEAST_ROWS
        while True:
            layout = cls(rows, ceil(crops / rows), (height - _GAP * (rows - 1)) // rows)
            if layout.width <= height:
                return layout
            rows += 1


def draw_portrait(neuron: Neuron) -> Image.Image:
    """Draw a neuron that is not dead: an RGB picture, up to 500 pixels high below its title.

    Raises:
        ValueError: the neuron is dead.
    """
    picture = neuron.picture
    if picture is None:
        raise ValueError(f"{neuron.address} is dead")
    crops = neuron.crops
    feature = _enlarged(_on_checker(picture), _HEIGHT)
    layout = Layout.of(len(crops), feature.height)
    lines = _lines(neuron)
    top = _MARGIN + sum(int(font.size) + gap for _, font, _, gap in lines)
    left = _MARGIN + feature.width + _MARGIN
    width = max(left + layout.width, *(_MARGIN + ceil(font.getlength(text)) for text, font, _, _ in lines)) + _MARGIN
    canvas = Image.new("RGB", (width, top + feature.height + _MARGIN), _PAPER)
    _write(canvas, lines)
    canvas.paste(feature, (_MARGIN, top))
    pen = ImageDraw.Draw(canvas)
    for rank, crop in enumerate(crops):
        row, column = divmod(rank, layout.columns)
        x, y = left + column * (layout.cell + _GAP), top + row * (layout.cell + _GAP)
        # A crop that reaches past its image ends in white: the frame shows where its cell ends.
        pen.rectangle((x - 1, y - 1, x + layout.cell, y + layout.cell), _FRAME)
        cell = _fitted(crop, layout.cell)
        canvas.paste(cell, (x + (layout.cell - cell.width) // 2, y + (layout.cell - cell.height) // 2))
    return canvas


_Line = tuple[str, ImageFont.FreeTypeFont, tuple[int, int, int], int]


def _lines(neuron: Neuron) -> list[_Line]:
    row = neuron.row
    chance = row["class_chance"]
    numbers = [
        f"color selectivity α {spelled(row['color_selectivity'])}",
        f"class selectivity γ {spelled(row['class_selectivity'])}" + (f" (chance {chance:.3f})" if chance else ""),
        f"{row['n']} image{'s' if row['n'] > 1 else ''}",
        f"receptive field {row['rf_size']} px",
    ]
    classes = "   ".join(f"{entry.name} {entry.share:.0%}" for entry in neuron.classes[:4])
    lines = [
        (neuron.address, _font("DejaVuSans-Bold.ttf", 24), _INK, 10),
        ("   ·   ".join(numbers), _font("DejaVuSans.ttf", 15), _INK, 8),
    ]
    if classes:
        lines.append((classes, _font("DejaVuSans.ttf", 15), _SOFT, 8))
    text, font, ink, _ = lines[-1]
    return [*lines[:-1], (text, font, ink, 18)]


def _write(canvas: Image.Image, lines: list[_Line]) -> None:
    pen = ImageDraw.Draw(canvas)
    top = _MARGIN
    for text, font, ink, gap in lines:
        pen.text((_MARGIN, top), text, font=font, fill=ink)
        top += int(font.size) + gap


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    # Matplotlib's fonts, because Pillow's own has no Greek letters.
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", name)), size)


def _on_checker(picture: Image.Image) -> Image.Image:
    """The picture over a checkerboard, which is visible where no crop shows anything."""
    rows, columns = np.indices((picture.height, picture.width))
    board = Image.fromarray(np.array(_CHECKER, np.uint8)[(rows + columns) % 2])
    return Image.alpha_composite(board.convert("RGBA"), picture).convert("RGB")


def _enlarged(picture: Image.Image, height: int) -> Image.Image:
    """Enlarge by the largest whole factor that fits, so that all pixels of the feature are squares of the same size."""
    factor = max(1, height // picture.height)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _fitted(crop: Image.Image, side: int) -> Image.Image:
    scale = side / max(crop.size)
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    if size == crop.size:
        return crop
    # Few pixels stay squares; many are smoothed.
    smooth = scale < 2
    return crop.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)
