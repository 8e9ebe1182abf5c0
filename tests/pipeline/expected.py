"""What an index must contain by `tests.reference`, from activations that were recorded outside of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.config import DeriveConfig
from raysel.errors import BadImageError
from raysel.images import ImagesList, Source, decode
from raysel.network import Network
from raysel.pipeline.scan.extractor import extract_activations
from tests import reference
from tests.images.samples import contents


@dataclass(frozen=True)
class Geometry:
    """A layer's receptive field, worked out by hand."""

    size: int
    stride: int
    offset: int
    map_columns: int
    end: int | None = None
    """Rows and columns of the image from here on are seen by no position; None: all are seen."""


@dataclass(frozen=True)
class Seen:
    """What raysel's own forward gives for every image that can be decoded."""

    ids: list[int]
    labels: list[str | None]
    pixels: NDArray[np.uint8]
    activations: NDArray[np.float32]
    positions: NDArray[np.int32]
    class_sizes: list[int]
    """Images of each class in the list."""

    def neurons(self, first: int, count: int) -> Seen:
        """Some of the neurons only."""
        part = slice(first, first + count)
        return Seen(
            self.ids, self.labels, self.pixels, self.activations[:, part], self.positions[:, part], self.class_sizes
        )


def watch(source: Source, images: ImagesList, network: Network, batch: int) -> Seen:
    """Decode every image and run the network over it, without Ray, in the order of the ids."""
    of_key = contents(source, images)
    ids, labels, pixels = [], [], []
    for row in images.images.to_pylist():
        try:
            decoded = decode(of_key[row["key"]], network.preprocessing)
        except BadImageError:
            continue
        ids.append(row["id"])
        labels.append(row["label"])
        pixels.append(decoded)
    stacked = np.stack(pixels)
    activations, positions = extract_activations(network, stacked, batch)
    usable = [label for label in labels if label is not None]  # a bad image is never drawn, by chance or otherwise
    classes = sorted({label for label in images.images["label"].to_pylist() if label is not None})
    return Seen(ids, labels, stacked, activations, positions, [usable.count(each) for each in classes])


@dataclass(frozen=True)
class Expected:
    """One neuron by the reference."""

    ids: list[int]
    activations: list[float]
    positions: list[int]
    w: list[float]
    boxes: list[tuple[int, int, int, int]]
    """x0, y0, x1, y1"""
    labels: list[str | None]
    feature: NDArray[np.float64] | None
    count: NDArray[np.int64] | None
    row: dict[str, Any]
    """Columns of the neurons table."""


def expect(seen: Seen, neuron: int, where: Geometry, depth: int, options: DeriveConfig) -> Expected:
    """Everything that an index contains about one neuron of `seen`."""
    column = seen.activations[:, neuron].tolist()
    ranked = reference.ranking(column, seen.ids, depth)
    activations = [column[j] for j in ranked]
    positions = [int(seen.positions[j, neuron]) for j in ranked]
    input_size = seen.pixels.shape[1:3]
    whole = where.size >= max(input_size)
    size = input_size if whole else (where.size, where.size)
    origins = [_origin(position, where, whole) for position in positions]
    weights = (
        reference.relative_activations(activations, options.n_max, options.min_relative_activation) if ranked else []
    )
    n = len(weights)
    row: dict[str, Any] = {"dead": not ranked, "n": n, "a_max": activations[0] if ranked else None}
    row["saturated"] = sum(a == activations[0] for a in activations)
    feature = count = None
    if ranked:
        k = reference.least_factor(max(size), options.feature_max_size)
        cut = [
            reference.reduce(reference.crop(seen.pixels[j][: where.end, : where.end], origin, size), k)
            for j, origin in zip(ranked[:n], origins, strict=False)
        ]
        feature, count = reference.neuron_feature(cut, weights)
        row |= reference.color(feature, count, reference.deviation(cut), n, options.color_space)
        labels = [seen.labels[j] for j in ranked[:n]]
        row |= reference.classes(weights, labels, seen.class_sizes, options.class_threshold)
    return Expected(
        ids=[seen.ids[j] for j in ranked],
        activations=activations,
        positions=positions,
        w=[a / activations[0] for a in activations],
        boxes=[(x, y, _end(x + size[1], where), _end(y + size[0], where)) for y, x in origins],
        labels=[seen.labels[j] for j in ranked],
        feature=feature,
        count=count,
        row=row,
    )


def _origin(position: int, where: Geometry, whole: bool) -> tuple[int, int]:
    if whole:
        return 0, 0
    row, column = divmod(position, where.map_columns)
    return where.offset + where.stride * row, where.offset + where.stride * column


def _end(end: int, where: Geometry) -> int:
    """Where a box ends: not behind the last pixel that is seen."""
    return end if where.end is None else min(end, where.end)


def assert_ranking(table: pa.Table, expected: Expected, where: Geometry) -> None:
    """One neuron's rows of the rankings table equal the reference exactly."""
    assert table["rank"].to_pylist() == list(range(len(expected.ids)))
    assert table["image"].to_pylist() == expected.ids
    assert table["activation"].to_pylist() == expected.activations
    positions = [
        r * where.map_columns + c for r, c in zip(*(table[k].to_pylist() for k in ("row", "column")), strict=True)
    ]
    assert positions == expected.positions
    assert table["w"].to_pylist() == expected.w
    assert list(zip(*(table[k].to_pylist() for k in ("x0", "y0", "x1", "y1")), strict=True)) == expected.boxes
    assert table["label"].to_pylist() == expected.labels


INDEX_TOLERANCE = 1e-5


def assert_indexes(row: Mapping[str, Any], expected: Expected) -> None:
    """A row of the neurons table equals the reference: counts exactly, numbers within 1e-5. Dead neurons have nulls."""
    if expected.row["dead"]:
        counted = {"layer", "channel", "layer_depth"}
        rest = {name: value for name, value in row.items() if name not in counted and not name.startswith("rf_")}
        assert rest.pop("dead") is True
        assert (rest.pop("n"), rest.pop("saturated")) == (0, 0)
        assert set(rest.values()) == {None}
        return
    for name, value in expected.row.items():
        got = row[name]
        if name == "hue" and value is not None:
            assert abs(math.remainder(got - value, 360)) < INDEX_TOLERANCE, name
        elif isinstance(value, float) and not isinstance(value, bool):
            assert got is not None, name
            assert abs(got - value) <= INDEX_TOLERANCE * max(abs(value), 1), (name, got, value)
        elif name == "classes" and value is not None:
            assert [each["label"] for each in got] == [each["label"] for each in value]
            np.testing.assert_allclose(
                [each["share"] for each in got], [each["share"] for each in value], atol=INDEX_TOLERANCE
            )
        else:
            assert got == value, name
