"""One chunk of neurons, from rankings to crops, features, contact sheets and indexes; without Ray."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.config import DeriveConfig
from raysel.images import ImagesList
from raysel.neurons import CropCutter, Rankings, Tap, contact_sheet, neuron_feature
from raysel.pipeline.derive.inputs import Cost, Inputs
from raysel.selectivity import Concepts, Evidence, measure, null_values
from raysel.store import FEATURES, SHEETS, feature_row, neurons_schema, sheet_row

FEATURE, SHEET = "feature", "sheet"


@cache
def chunk_schema() -> pa.Schema:
    """A row per neuron: its row of the neurons table, and as structs those of the features and the sheets table.

    The structs of a dead neuron are null.
    """
    return pa.schema(
        [*neurons_schema(), pa.field(FEATURE, pa.struct(list(FEATURES))), pa.field(SHEET, pa.struct(list(SHEETS)))]
    )


@dataclass(frozen=True)
class Labels:
    """The labels of the source's images."""

    numbers: NDArray[np.int32]
    """[images]: the image's class, a number into `classes`; -1 without a label."""
    classes: Sequence[str]
    """Sorted labels."""
    sizes: NDArray[np.int64]
    """[classes]: images of each class that could be used, from which chance draws."""
    concepts: Concepts
    """What is above the classes."""

    @classmethod
    def of(cls, images: ImagesList, usable: NDArray[np.bool_], concepts: Concepts) -> Labels:
        """The labels of the list, where the images that are `usable` [images] could be decoded."""
        numbers = images.class_numbers
        drawn = numbers[usable & (numbers >= 0)]
        sizes = np.bincount(drawn, minlength=len(images.classes)).astype(np.int64)
        return cls(numbers, images.classes, sizes, concepts)


@dataclass(frozen=True)
class Chunk:
    """Consecutive neurons of one layer."""

    tap: Tap
    first_channel: int
    rankings: Rankings
    n: NDArray[np.int64]
    """[neurons]: N, the first entries that take part; 0 for a dead neuron."""

    def images(self) -> NDArray[np.int64]:
        """Ids of the images that take part, int64 [neurons, largest N], -1 past a neuron's N."""
        most = int(self.n.max(initial=0))
        return np.where(np.arange(most) < self.n[:, None], self.rankings.ids[:, :most], -1)


def derive_chunk(chunk: Chunk, inputs: Inputs, labels: Labels, config: DeriveConfig) -> tuple[pa.Table, Cost]:
    """All that is derived of the chunk's neurons (`chunk_schema`), and what it cost."""
    ids = chunk.images()
    pixels, rows, cost = inputs.gather(ids)
    started = time.thread_time()
    field, rankings = chunk.tap.receptive_field, chunk.rankings
    positions, columns = rankings.positions[:, : ids.shape[1]], chunk.tap.map_size[1]
    origins, boxes = field.origins(positions, columns), field.boxes(positions, columns)
    weights, activations = rankings.relative_activations, rankings.activations
    cutter = CropCutter(pixels, field, config.feature_max_size, config.sheet_crop_size)
    neurons = []
    for neuron, n in enumerate(chunk.n.tolist()):
        row, channel = _neuron_row(chunk, neuron, activations[neuron]), chunk.first_channel + neuron
        if not n:
            neurons.append(row | null_values() | {FEATURE: None, SHEET: None})
            continue
        for_feature, for_sheet = cutter.cut(rows[neuron, :n], origins[neuron, :n], boxes[neuron, :n])
        made = neuron_feature(for_feature, weights[neuron, :n])
        evidence = Evidence(
            tap=chunk.tap,
            channel=channel,
            feature=made.feature,
            count=made.count,
            sigma=made.sigma,
            crops=for_feature,
            ranking=weights[neuron, rankings.ids[neuron] >= 0],
            labels=labels.numbers[ids[neuron, :n]],
            class_labels=labels.classes,
            class_sizes=labels.sizes,
            concepts=labels.concepts,
            derive=config,
        )
        pictures = {
            FEATURE: feature_row(channel, made.feature, made.count, floats=config.float_features),
            SHEET: sheet_row(channel, contact_sheet(for_sheet)),
        }
        neurons.append(row | measure(evidence) | pictures)
    cost.kernel_s = time.thread_time() - started
    return pa.Table.from_pylist(neurons, schema=chunk_schema()), cost


def _neuron_row(chunk: Chunk, neuron: int, activations: NDArray[np.float32]) -> dict[str, Any]:
    """The columns that do not depend on pixels or labels, from the neuron's activations in rank order, 0 at the end."""
    tap, field = chunk.tap, chunk.tap.receptive_field
    dead = not chunk.n[neuron]
    return {
        "layer": tap.layer,
        "channel": chunk.first_channel + neuron,
        "layer_depth": tap.depth,
        **field.record(),
        "rf_exact": field.exact,
        "rf_reason": field.bound,
        "a_max": None if dead else float(activations[0]),
        "n": int(chunk.n[neuron]),
        "dead": dead,
        "saturated": 0 if dead else int(np.count_nonzero(activations == activations[0])),
    }
