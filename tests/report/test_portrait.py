"""The picture of one neuron."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image, ImageFont

from raysel.report import draw_portrait
from raysel.report.portrait import CropGrid
from raysel.store import ClassShare, Neuron


def neuron(crops: list[Image.Image], **row: Any) -> Neuron:
    """A neuron with a red feature of 10 x 10 pixels."""
    known = {"n": len(crops), "rf_height": 9, "rf_width": 9, "color_selectivity": 0.5}
    known |= {"class_selectivity": None, "class_chance": None}
    classes = row.pop("classes", [])
    feature = Image.new("RGBA", (10, 10), (250, 0, 0, 255))
    return cast(
        Neuron, SimpleNamespace(address="stem:0", row=known | row, classes=classes, picture=feature, crops=crops)
    )


@pytest.mark.parametrize(("crops", "size"), [(1, (48, 48)), (7, (7, 7)), (25, (45, 30)), (100, (40, 40))])
def test_crops_are_in_rank_order_beside_the_feature(crops: int, size: tuple[int, int]) -> None:
    levels = [2 * rank for rank in range(crops)]
    pixels = np.asarray(draw_portrait(neuron([Image.new("RGB", size[::-1], (level,) * 3) for level in levels])))
    grid = CropGrid.of(crops, 500)
    left, top = 24 + 500 + 24, pixels.shape[0] - 24 - 500
    assert (pixels[top : top + 500, 24 : 24 + 500] == (250, 0, 0)).all()
    for rank, level in enumerate(levels):
        line, column = divmod(rank, grid.columns)
        center = (top + line * (grid.cell + 2) + grid.cell // 2, left + column * (grid.cell + 2) + grid.cell // 2)
        assert pixels[center].tolist() == [level] * 3


@pytest.mark.parametrize("crops", [1, 2, 9, 10, 37, 99, 100, 400])
@pytest.mark.parametrize("height", [417, 432, 500])
def test_the_grid_has_room_for_all_crops(crops: int, height: int) -> None:
    grid = CropGrid.of(crops, height)
    assert grid.rows * grid.columns >= crops
    assert grid.width <= height
    assert grid.rows * (grid.cell + 2) - 2 <= height
    assert grid.cell >= 15


@pytest.mark.parametrize(("name", "drawn"), [("açaí", "acai"), ("レモン7", "???7"), ("ﬁn", "fin")])
def test_class_names_are_drawn_in_letters_that_the_font_has(
    name: str, drawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's font has a box in the place of any other letter."""
    written: list[str] = []
    length = ImageFont.FreeTypeFont.getlength

    def watched(self: ImageFont.FreeTypeFont, text: str, *more: Any) -> float:
        written.append(text)
        return length(self, text, *more)

    monkeypatch.setattr(ImageFont.FreeTypeFont, "getlength", watched)
    draw_portrait(neuron([Image.new("RGB", (9, 9))], classes=[ClassShare("n01", name, 0.75)]))
    assert f"{drawn} 75%" in written


def test_a_dead_neuron_has_no_picture() -> None:
    dead = SimpleNamespace(address="stem:0", picture=None, crops=[])
    with pytest.raises(ValueError, match="stem:0 is dead"):
        draw_portrait(cast(Neuron, dead))
