"""From one bright pixel to the stored box, without gradients: each image has one white pixel, and neurons look for it.

The convolutions are depthwise and each weight is 0 or 1. A neuron that has its weights in the same corner of all of
its kernels sees one pixel only, in this corner of its box. A neuron whose weights are all 1 sees its whole box.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from raysel.config import NetworkConfig, Preprocessing
from raysel.network import Network, load
from raysel.neurons import CropCutter, Rankings, fold_into
from raysel.pipeline.publish import ranking_tables
from raysel.pipeline.scan.extractor import extract_activations
from tests.selecting import select

SIZE = (15, 21)
CORNERS = ((0, 0), (0, -1), (-1, 0), (-1, -1))
"""Row and column of the only weight of a kernel, by channel; those of the last channel are all 1."""

Layer = dict[str, Any]
PLANS: dict[str, list[Layer]] = {
    "plain": [{"kernel_size": 3}],
    "padded": [{"kernel_size": 3, "padding": 1}, {"kernel_size": 5, "padding": 2}],
    "strided": [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}],
    "pixels that are left out": [{"kernel_size": 2, "stride": 4}, {"kernel_size": 2}],
    "dilated": [{"kernel_size": 3, "dilation": 2, "padding": 2}, {"kernel_size": 2, "dilation": 3}],
    "unequal axes": [
        {"kernel_size": (1, 4), "padding": (0, 3)},
        {"kernel_size": (3, 2), "stride": (1, 3), "padding": (2, 0), "dilation": (2, 1)},
    ],
    "padded on one side": [
        {"around": (0, 1, 2, 0), "kernel_size": 3, "stride": 2},  # left, right, top, bottom
        {"around": (2, 0, 0, 1), "kernel_size": 2, "dilation": 2},
    ],
    "padding beyond the kernel": [{"kernel_size": 2, "padding": 3}, {"kernel_size": 3, "stride": 2}],
}


def network(plan: Sequence[Layer]) -> tuple[nn.Module, Preprocessing]:
    """Convolutions with ReLU: five channels for each color, black is 0 and white is 1."""
    modules: list[nn.Module] = []
    for number, layer in enumerate(plan):
        settings = dict(layer)
        if "around" in settings:
            modules.append(nn.ZeroPad2d(tuple(settings.pop("around"))))
        settings = {key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in settings.items()}
        conv = nn.Conv2d(15 if number else 3, 15, groups=15 if number else 3, bias=False, **settings)
        with torch.no_grad():
            conv.weight.zero_()
            for kind, (row, column) in enumerate(CORNERS):
                conv.weight[kind::5, 0, row, column] = 1
            conv.weight[4::5] = 1
        modules += [conv, nn.ReLU()]
    return nn.Sequential(*modules), Preprocessing(resize=SIZE, crop=None, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture(params=PLANS)
def loaded(request: pytest.FixtureRequest) -> Network:
    return load(NetworkConfig(network=f"{__name__}:network", network_args={"plan": PLANS[request.param]}))


PIXELS = [(row, column) for row in range(SIZE[0]) for column in range(SIZE[1])]
IMAGES = np.zeros((len(PIXELS), *SIZE, 3), np.uint8)
"""Image k is black but for ``PIXELS[k]``."""
IMAGES[np.arange(len(PIXELS)), *np.transpose(PIXELS)] = 255


def test_stored_boxes_have_the_bright_pixel_in_their_corner(loaded: Network) -> None:
    activations, positions = extract_activations(loaded, IMAGES, 64)
    rankings = Rankings.empty(activations.shape[1], len(PIXELS))
    fold_into(rankings, select(activations, positions, np.arange(len(PIXELS)), rankings.cutoffs))
    labels: Any = SimpleNamespace(images=pa.table({"label": pa.nulls(len(PIXELS), pa.string())}))
    tables = list(ranking_tables(loaded.taps, rankings, labels))
    assert [table["layer"][0].as_py() for table in tables] == [tap.layer for tap in loaded.taps]
    for tap, table in zip(loaded.taps, tables, strict=True):
        field, rows = tap.receptive_field, table.to_pylist()
        assert field.exact
        for row in rows:
            y, x = PIXELS[row["image"]]
            at_y, at_x = CORNERS[row["channel"] % 5] if row["channel"] % 5 < 4 else (None, None)
            if at_y is None:
                assert row["y0"] <= y < row["y1"]
                assert row["x0"] <= x < row["x1"]
                continue
            assert y == (row["y0"] if at_y == 0 else row["y1"] - 1), row
            assert x == (row["x0"] if at_x == 0 else row["x1"] - 1), row
            assert row["activation"] == 1
        assert {row["channel"] for row in rows} == set(range(tap.channels))
        _check_crops(tap.receptive_field, [row for row in rows if row["channel"] % 5 < 4], tap.map_size[1])


def _check_crops(field: Any, rows: list[dict[str, Any]], columns: int) -> None:
    """Each crop is black but for its corner."""
    at = np.array([row["row"] * columns + row["column"] for row in rows])
    (crops,) = CropCutter(IMAGES, field, max(SIZE)).cut(
        np.array([row["image"] for row in rows]), field.origins(at, columns), field.boxes(at, columns)
    )
    for row, crop in zip(rows, crops.sums[..., 0], strict=True):
        assert np.count_nonzero(crop) == 1
        assert crop[CORNERS[row["channel"] % 5]] == 255


def test_boxes_are_exactly_what_is_seen(loaded: Network) -> None:
    """Of every position: the hull of the pixels that the neuron with weights of 1 responds to."""
    seen: dict[int, torch.Tensor] = {}
    loaded.run(torch.from_numpy(IMAGES), lambda tap, map_: seen.__setitem__(tap, map_[:, 4].flatten(1) > 0))
    for number, tap in enumerate(loaded.taps):
        boxes = tap.receptive_field.boxes(np.arange(seen[number].shape[1]), tap.map_size[1])
        for position, (top, left, bottom, right) in enumerate(np.clip(boxes, 0, SIZE * 2).tolist()):
            pixels = [PIXELS[k] for k in seen[number][:, position].nonzero().flatten().tolist()]
            if not pixels:
                assert top >= bottom or left >= right, (tap.layer, position)
                continue
            (first_row, first_column), (last_row, last_column) = np.min(pixels, axis=0), np.max(pixels, axis=0)
            expected = (first_row, first_column, last_row + 1, last_column + 1)
            assert (top, left, bottom, right) == expected, (tap.layer, position)
