"""How many bad images a run accepts: a share, and a few in any case."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raysel.errors import RayselError
from raysel.neurons import Rankings
from raysel.pipeline.scan.bad_images import check_bad_images
from raysel.pipeline.scan.state import RunningState


def images(count: int, faults: int = 0) -> Any:
    return SimpleNamespace(images=range(count), faults=pa.table({"reason": ["no image"] * faults}))


def state(bad: int) -> RunningState:
    return RunningState(Rankings.empty(1, 1), np.zeros(0, bool), dict.fromkeys(range(bad), "truncated"))


@pytest.mark.parametrize(
    ("of", "share", "most"), [(2_000, 0.01, 20), (100, 0.01, 10), (5, 0.01, 10), (2_000, 0.0, 0), (50, 0.5, 25)]
)
def test_the_limit(of: int, share: float, most: int) -> None:
    check_bad_images(state(most), images(of), share)
    with pytest.raises(RayselError, match=rf"{most + 1} bad images of {of:,}, at most {most} are allowed .*--max-bad"):
        check_bad_images(state(most + 1), images(of), share)


def test_bad_images_of_the_list_count_too() -> None:
    check_bad_images(state(6), images(100, faults=4), 0.01)
    with pytest.raises(RayselError, match="7 x truncated; 4 x no image"):
        check_bad_images(state(7), images(100, faults=4), 0.01)
