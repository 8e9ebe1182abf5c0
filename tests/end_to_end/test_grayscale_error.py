"""The error of a classifier in color and in gray: a network whose answers are known, and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from raysel.cli import main
from raysel.config import Preprocessing

pytestmark = pytest.mark.ray
COLORS = {"0": (255, 0, 0), "1": (0, 255, 0), "2": (0, 0, 255), "7": (9, 9, 9)}


class MeanColor(nn.Module):
    """Seven classes: red, green, blue, and four that score less than a channel of a gray image does."""

    def __init__(self) -> None:
        super().__init__()
        self.less = nn.Parameter(torch.full((4,), -1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean(dim=(2, 3)), self.less.expand(len(x), 4)], dim=1)


def mean_color() -> tuple[nn.Module, Preprocessing]:
    return MeanColor(), Preprocessing(resize=(16, 16), crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """Ten images of each color, one that is damaged, one that is of no class."""
    for label, color in COLORS.items():
        (tmp_path / label).mkdir()
        for number in range(10):
            Image.fromarray(np.full((16, 16, 3), color, np.uint8)).save(tmp_path / label / f"{number}.png")
    (tmp_path / "1" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return tmp_path


def measured(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["grayscale-error", *arguments])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_a_network_that_knows_colors_only(local_ray: None, colors: Path, capsys: Any) -> None:
    """In gray all three scores are equal, and the first class, red, is taken."""
    arguments = ("--network", f"{__name__}:mean_color", "--images", str(colors), "--max-bad", "0.5")
    status, out, _ = measured(capsys, *arguments, "--json")
    assert status == 0
    result = json.loads(out)
    assert (result["images"], result["without_class"], result["bad"]) == (30, 10, 1)
    assert result["color"] == {"top1_error": 0, "top5_error": 0}
    assert result["gray"] == {"top1_error": pytest.approx(2 / 3), "top5_error": 0}
    status, out, _ = measured(capsys, *arguments)
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["color", "top-1", "error", "0.0%", "top-5", "error", "0.0%"],
        ["gray", "top-1", "error", "66.7%", "top-5", "error", "0.0%"],
    ]


def test_faults_are_one_line(local_ray: None, colors: Path, capsys: Any, tmp_path: Path) -> None:
    network = ("--network", f"{__name__}:mean_color")
    for arguments, message in [
        ((), "nothing to classify without --network, --images"),
        ((*network, "--images", str(colors), "--max-bad", "0"), "1 of 31 images cannot be read"),
        ((*network, "--images", str(colors), "--shards", "7"), "the images have labels such as '7'"),
    ]:
        status, _, said = measured(capsys, *arguments)
        assert status == 2
        assert message in said
