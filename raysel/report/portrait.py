"""One neuron on a picture: its feature, enlarged, and beside it its crops in rank order."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import count
from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from raysel.store import Neuron

MARGIN = 24
GAP = 2
HEIGHT = 500
"""Maximum height of the feature and of the grid of crops, pixels."""
MIN_ROWS = 3
"""Minimum rows of the grid: a few crops are not enlarged beyond a third of its height."""
MAX_CLASSES = 4

INK, SOFT_INK, FRAME = (17, 24, 39), (107, 114, 128), (214, 214, 214)
CHECKERBOARD = ((236, 236, 236), (220, 220, 220))


@dataclass(frozen=True)
class CropGrid:
    """Square cells, `GAP` pixels apart."""

    rows: int
    columns: int
    cell: int
    """Side of a cell, pixels."""

    @classmethod
    def of(cls, crops: int, height: int) -> CropGrid:
        """The grid with the largest cells that holds all crops, `height` pixels high and not wider than high."""
        grids = (cls(rows, ceil(crops / rows), (height - GAP * (rows - 1)) // rows) for rows in count(MIN_ROWS))
        return next(grid for grid in grids if grid.width <= height)

    @property
    def width(self) -> int:
        return self.columns * (self.cell + GAP) - GAP


def draw_portrait(neuron: Neuron) -> Image.Image:
    """The picture of a neuron that is not dead: RGB, at most 500 pixels high below its text."""
    picture, crops = neuron.picture, neuron.crops
    if picture is None:
        raise ValueError(f"{neuron.address} is dead")
    feature = _enlarged(on_checkerboard(picture))
    grid = CropGrid.of(len(crops), feature.height)
    lines = _lines(neuron)
    left, top = 2 * MARGIN + feature.width, 2 * MARGIN + sum(_height(font) for _, font, _ in lines)
    width = max(left + grid.width, *(MARGIN + ceil(font.getlength(text)) for text, font, _ in lines)) + MARGIN
    canvas = Image.new("RGB", (width, top + feature.height + MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    y = MARGIN
    for text, font, ink in lines:
        pen.text((MARGIN, y), text, ink, font)
        y += _height(font)
    canvas.paste(feature, (MARGIN, top))
    for rank, crop in enumerate(crops):
        row, column = divmod(rank, grid.columns)
        x, y = left + column * (grid.cell + GAP), top + row * (grid.cell + GAP)
        # Crops that reach outside of their image end in white: the frame shows the cell.
        pen.rectangle((x - 1, y - 1, x + grid.cell, y + grid.cell), FRAME)
        cell = fitted(crop, grid.cell)
        canvas.paste(cell, (x + (grid.cell - cell.width) // 2, y + (grid.cell - cell.height) // 2))
    return canvas


def _lines(neuron: Neuron) -> list[tuple[str, ImageFont.FreeTypeFont, tuple[int, int, int]]]:
    """The text above the picture: address, numbers, and classes if there are any."""
    row, numbers = neuron.row, []
    if row["color_selectivity"] is not None:
        numbers.append(f"color selectivity {row['color_selectivity']:.3f}")
    if row["class_selectivity"] is not None:
        chance = "" if row["class_chance"] is None else f" (chance {row['class_chance']:.3f})"
        numbers.append(f"class selectivity {row['class_selectivity']:.3f}{chance}")
    numbers.append(f"{row['n']} image{'s' if row['n'] > 1 else ''}")
    numbers.append(f"receptive field {row['rf_height']} x {row['rf_width']} px")
    classes = [f"{drawable(entry.name)} {entry.share:.0%}" for entry in neuron.classes[:MAX_CLASSES]]
    lines = [(neuron.address, font(26), INK), ("   ·   ".join(numbers), font(16), INK)]
    return [*lines, ("     ".join(classes), font(16), SOFT_INK)] if classes else lines


def font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def _height(font: ImageFont.FreeTypeFont) -> int:
    return round(1.5 * font.size)


def drawable(name: str) -> str:
    """The name in ASCII, which Pillow's own font is limited to: without accents, with ``?`` for other letters."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode()


def on_checkerboard(picture: Image.Image) -> Image.Image:
    """An RGBA picture over a checkerboard of single pixels, which shows where no crop shows anything."""
    rows, columns = np.indices((picture.height, picture.width))
    board = Image.fromarray(np.array(CHECKERBOARD, np.uint8)[(rows + columns) % 2])
    return Image.alpha_composite(board.convert("RGBA"), picture).convert("RGB")


def _enlarged(picture: Image.Image) -> Image.Image:
    """The picture enlarged by a whole factor, up to `HEIGHT`, so that its pixels become squares of equal size."""
    factor = max(1, HEIGHT // picture.height)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def fitted(crop: Image.Image, side: int) -> Image.Image:
    """The crop scaled to a cell: smoothed, but with square pixels where it is enlarged twice or more."""
    scale = side / max(crop.size)
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    return crop.resize(size, Image.Resampling.LANCZOS if scale < 2 else Image.Resampling.NEAREST)
