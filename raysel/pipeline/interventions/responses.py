"""Changed images in, responses at known positions out; without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import torch
from numpy.typing import NDArray

from raysel.interventions import Intervention
from raysel.network import Network
from raysel.pipeline.interventions.jobs import Entries

Images = NDArray[np.uint8]
Indices = NDArray[np.int64]


class _AllReadError(Exception):
    """Ends a forward after the last tap that is needed."""


def responses(
    network: Network, intervention: Intervention, entries: Entries, pixels: Images, rows: NDArray[np.int64], batch: int
) -> NDArray[np.float32]:
    """The responses of neurons over changed images, each at the position of its activation.

    Every forward has the same shape, as in a scan, and ends at the last tap that is needed.

    Args:
        network: on any device.
        intervention: the change of the images.
        entries: neurons, images and positions.
        pixels: uint8 [images, H, W, 3].
        rows: [entries]: each entry's image, as a row of `pixels`.
        batch: images in one forward.

    Returns:
        float32 [entries, variants].
    """
    found = np.full((len(entries), intervention.variants), np.nan, np.float32)
    columns = np.array([tap.map_size[1] for tap in network.taps])
    y, x = np.divmod(entries.position, columns[entries.tap])
    padded = np.zeros((batch, *pixels.shape[1:]), np.uint8)
    for images, entry, variant, place in _batches(intervention, entries, pixels, rows, batch):
        padded[: len(images)] = images
        padded[len(images) :] = 0
        values = _read(network, padded, entries.tap[entry], (place, entries.channel[entry], y[entry], x[entry]))
        found[entry, variant] = values
    return found


def _read(network: Network, images: Images, taps: Indices, where: tuple[Indices, ...]) -> NDArray[np.float32]:
    """Run a batch up to the last of `taps`, and read the maps ``where`` (image, channel, row, column)."""
    values, left = np.full(len(taps), np.nan, np.float32), set(taps.tolist())

    def read(tap: int, maps: torch.Tensor) -> None:
        here = np.flatnonzero(taps == tap)
        if len(here):
            index = tuple(torch.from_numpy(each[here]).to(maps.device) for each in where)
            values[here] = maps[index].float().cpu().numpy()
            left.discard(tap)
            if not left:
                raise _AllReadError

    with suppress(_AllReadError):
        network.run(torch.from_numpy(images), read)
    return values


def _batches(
    intervention: Intervention, entries: Entries, pixels: Images, rows: NDArray[np.int64], batch: int
) -> Iterator[tuple[list[Images], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """(changed images, and for what is read of them: entries, variants, places in the batch)."""
    images: list[Images] = []
    reads: list[tuple[int, int, int]] = []
    for image, of_image in _changed(intervention, entries, pixels, rows):
        reads += [(entry, variant, len(images)) for entry, variant in of_image]
        images.append(image)
        if len(images) == batch:
            yield images, *np.array(reads).T
            images, reads = [], []
    if images:
        yield images, *np.array(reads).T


def _changed(
    intervention: Intervention, entries: Entries, pixels: Images, rows: NDArray[np.int64]
) -> Iterator[tuple[Images, list[tuple[int, int]]]]:
    """(a changed image, the (entry, variant) pairs that are read of it)."""
    if intervention.whole_image:
        for row in np.unique(rows).tolist():
            of_image = np.flatnonzero(rows == row).tolist()
            for variant, image in enumerate(intervention.transform(pixels[row], ())):
                yield image, [(entry, variant) for entry in of_image]
        return
    for entry, row in enumerate(rows.tolist()):
        top, left, bottom, right = entries.box[entry].tolist()
        crop = pixels[row, top:bottom, left:right]
        changed = intervention.transform(crop, entries.seed[entry].tolist()) if crop.size else None
        for variant in range(intervention.variants):
            image = pixels[row].copy()
            if changed is not None:
                image[top:bottom, left:right] = changed[variant]
            yield image, [(entry, variant)]
