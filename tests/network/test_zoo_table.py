"""A sample of the zoo: every reported box is what the gradient shows, at the center and at the borders.

All of it: ``python -m tests.network.zoo_table``.
"""

from __future__ import annotations

import pytest

from raysel.neurons import Tap
from tests.network import zoo_table
from tests.network.receptive_field.reach import Box
from tests.network.zoo_table import check, reported

# Input size, with unequal rows and columns, and number of convolutions in gates: 9 of 11 blocks of a MobileNetV3-small
# have a gate of two. Without gates, the fields are smaller than the image.
SAMPLE = {
    "torchvision:alexnet": ((232, 260), 0),
    "torchvision:squeezenet1_1": ((212, 240), 0),  # its first convolution leaves out the last row and column
    "torchvision:mobilenet_v3_small": ((64, 96), 18),
    "timm:resnet10t": ((256, 272), 0),  # mean pooling in the shortcuts
    "timm:mobilenetv3_small_050": ((96, 64), 18),
    "timm:tf_mobilenetv3_small_075": ((67, 96), 18),  # rows and columns are padded on one side or on both
}


@pytest.mark.parametrize("name", SAMPLE)
def test_boxes_are_what_is_seen(name: str) -> None:
    size, gates = SAMPLE[name]
    row = check(name, size)
    assert row.taps + gates == row.convolutions
    assert row.positions >= row.taps
    assert not row.faults
    assert set(row.fields) <= {"exact", "exact whole"}


@pytest.mark.parametrize(("move", "hides"), [(1, True), (-1, False)])
def test_a_wrong_field_is_noticed(monkeypatch: pytest.MonkeyPatch, move: int, hides: bool) -> None:
    def moved(tap: Tap, row: int, column: int) -> Box | None:
        box = reported(tap, row, column)
        if tap.layer != "features.3.expand3x3" or box is None or row == 0:
            return box
        (first, last), columns = box
        return (first + move, last), columns

    monkeypatch.setattr(zoo_table, "reported", moved)
    row = check("torchvision:squeezenet1_1", (64, 96))
    faults = [fault for fault in row.faults if fault.layer == "features.3.expand3x3"]
    assert len(faults) == 4
    assert all(fault.hides == hides for fault in faults)
