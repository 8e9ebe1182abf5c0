"""What there is to run again, cut into jobs that do not depend on how many actors there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from raysel.interventions import Intervention
from raysel.neurons import Rankings, Tap, first_neurons

JOB_RUNS = 1024
"""About as many images run in one job."""


@dataclass(frozen=True)
class Entries:
    """The entries of all rankings that take part, in order of neuron and rank; or some of them."""

    neuron: NDArray[np.int64]
    tap: NDArray[np.int64]
    channel: NDArray[np.int64]
    image: NDArray[np.int64]
    """Ids."""
    position: NDArray[np.int64]
    """``row * columns + column`` on the tap's map."""
    box: NDArray[np.int64]
    """[entries, 4]: what the position sees, as rows and columns from, rows and columns to, within the image."""
    seed: NDArray[np.int64]
    """[entries, 3], of layer, channel and image."""

    @classmethod
    def of(cls, taps: Sequence[Tap], rankings: Rankings, n: NDArray[np.int64]) -> Entries:
        """The first `n` [neurons] entries of each ranking. `taps`: with the fields that crops are cut to."""
        neuron, rank = np.nonzero(np.arange(rankings.depth) < n[:, None])
        first = np.array(first_neurons(taps))
        tap = np.searchsorted(first, neuron, side="right") - 1
        channel, image = neuron - first[tap], rankings.ids[neuron, rank].astype(np.int64)
        position = rankings.positions[neuron, rank].astype(np.int64)
        box = np.zeros((len(neuron), 4), np.int64)
        for number, each in enumerate(taps):
            mine, field = tap == number, each.receptive_field
            height, width = field.input_size
            boxes = field.boxes(position[mine], each.map_size[1])
            box[mine] = np.clip(boxes, 0, [height, width, height, width])
        layers = np.array([crc32(each.layer.encode()) for each in taps], np.int64)
        return cls(neuron, tap, channel, image, position, box, np.stack([layers[tap], channel, image], axis=1))

    def __len__(self) -> int:
        return len(self.neuron)

    def take(self, rows: NDArray[np.int64]) -> Entries:
        """Some of the entries."""
        return Entries(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Job:
    """Some entries under one intervention."""

    name: str
    """Of its file."""
    intervention: str
    rows: NDArray[np.int64]
    """Which entries, as rows of all."""


def jobs_of(entries: Entries, interventions: Sequence[Intervention]) -> Iterator[Job]:
    """All jobs. Where whole images are changed, a job has all entries of some images; else those of one tap.

    Crops of one size are next to each other, because their changes share work.
    """
    top, left, bottom, right = entries.box.T
    for intervention in interventions:
        by = entries.image if intervention.whole_image else entries.tap
        order = np.lexsort((right - left, bottom - top, by))
        values = by[order]
        if intervention.whole_image:
            group = np.searchsorted(np.unique(values), values) // JOB_RUNS
        else:
            within = np.arange(len(values)) - np.searchsorted(values, values)
            each = max(1, JOB_RUNS // intervention.variants)
            group = values * (len(values) // each + 1) + within // each
        cuts = np.flatnonzero(np.diff(group)) + 1
        for number, rows in enumerate(np.split(order, cuts) if len(order) else []):
            yield Job(f"{intervention.name}-{number}.npz", intervention.name, rows)
