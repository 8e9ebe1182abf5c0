"""Verification of an index: its files against the manifest, and a sample of its activations against a new forward pass,
over whole images and over crops alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.errors import BadImageError, RayselError
from raysel.files import Folder
from raysel.images import decode
from raysel.network import Network
from raysel.neurons import first_neurons
from raysel.pipeline.record import indexed_network
from raysel.pipeline.scan.extractor import extract_activations
from raysel.pipeline.self_check import Crop, activations_alone, crop_of
from raysel.store import RANKINGS, Index, check_files, open_index, recorded_source

RELATIVE_TOLERANCE = 1e-4
ABSOLUTE_TOLERANCE = 1e-6
"""For crops alone, where other values are zero and sums therefore round differently."""


@dataclass(frozen=True)
class Sample:
    """The activations that are computed again."""

    neurons: int
    """Neurons, chosen at random among those that are not dead."""
    top: int
    """Images of each neuron, from the first of its ranking."""
    seed: int


@dataclass(frozen=True)
class Checked:
    """The result of a verification."""

    files: int
    """Files whose size and checksum were compared."""
    runs: int
    """Recorded activations that were computed again from the whole image."""
    crops: int
    """Those that were also computed from their crop alone."""
    problems: list[str]
    """One line per difference; empty if the index is as recorded."""


def verify(uri: str, sample: Sample, images: str | None = None, weights: str | None = None) -> Checked:
    """Compare an index with its manifest, and a sample of its activations with a new forward pass.

    Args:
        uri: the index.
        sample: the activations to compute again.
        images: the source, if it was moved since.
        weights: the weights file, if it was moved since.

    Raises:
        RayselError: there is no index, or its images or weights cannot be read.
    """
    folder = Folder.at(uri)
    index = open_index(uri)
    manifest = index.manifest
    problems = check_files(folder, manifest)
    if problems:
        return Checked(len(manifest.files), 0, 0, problems)
    network, fault = indexed_network(manifest, weights)
    if fault:
        return Checked(len(manifest.files), 0, 0, [fault])
    chosen = _chosen(index, sample)
    if not len(chosen):  # every neuron of the index is dead
        return Checked(len(manifest.files), 0, 0, [])
    ids, of_image = np.unique(chosen["image"].to_numpy(), return_inverse=True)
    pixels, faults = _pixels(index, network, ids, images)
    recorded = [each for each in _recorded(network, chosen, of_image) if each.image not in faults]
    batch = int(manifest.counters["scan.batch"])
    problems = [*faults.values(), *_compare(network, pixels, recorded, batch)]
    crops = [each for each in recorded if each.crop is not None]
    problems += _compare_crops(network, pixels, crops, batch)
    return Checked(len(manifest.files), len(recorded), len(crops), problems)


def _chosen(index: Index, sample: Sample) -> pa.Table:
    """The sample's rows of the rankings table."""
    alive = np.flatnonzero(~index.neurons["dead"].to_numpy())
    drawn = np.random.default_rng(sample.seed).choice(alive, min(sample.neurons, len(alive)), replace=False)
    names, channels = index.neurons["layer"].to_pylist(), index.neurons["channel"].to_pylist()
    if not len(drawn):
        return RANKINGS.empty_table()
    return pa.concat_tables(
        [index.neuron(names[row], channels[row]).ranking.slice(0, sample.top) for row in sorted(drawn.tolist())]
    )


@dataclass(frozen=True)
class _Recorded:
    """One entry of a ranking."""

    where: str
    """Neuron, rank and image, for messages."""
    tap: int
    channel: int
    image: int
    """Row of the pixels."""
    activation: float
    position: tuple[int, int]
    crop: Crop | None
    """None if the crop cannot be run alone, see `crop_of`."""


def _recorded(network: Network, chosen: pa.Table, of_image: NDArray[np.int64]) -> list[_Recorded]:
    taps = {tap.layer: number for number, tap in enumerate(network.taps)}
    recorded = []
    for image, row in zip(of_image.tolist(), chosen.to_pylist(), strict=True):
        where = f"{row['layer']}:{row['channel']}, rank {row['rank']}, image {row['image']}"
        tap, position = taps[row["layer"]], (row["row"], row["column"])
        crop = crop_of(network.taps, tap, row["channel"], position, image)
        recorded.append(_Recorded(where, tap, row["channel"], image, row["activation"], position, crop))
    return recorded


def _compare(network: Network, pixels: NDArray[np.uint8], recorded: list[_Recorded], batch: int) -> Iterator[str]:
    """One line per entry whose activation or position differs when its image runs again."""
    activations, positions = extract_activations(network, pixels, batch)
    first = first_neurons(network.taps)
    for each in recorded:
        neuron = first[each.tap] + each.channel
        got = float(activations[each.image, neuron])
        place = divmod(int(positions[each.image, neuron]), network.taps[each.tap].map_size[1])
        if not np.isclose(got, each.activation, rtol=RELATIVE_TOLERANCE, atol=0.0):
            yield f"{each.where}: the recorded activation is {each.activation:.6g}, a new run gives {got:.6g}"
        elif place != each.position:
            yield f"{each.where}: the recorded position is {each.position}, a new run gives {place}"


def _compare_crops(network: Network, pixels: NDArray[np.uint8], recorded: list[_Recorded], batch: int) -> Iterator[str]:
    """One line per entry whose activation differs when its crop runs alone on the mean image."""
    crops = [each.crop for each in recorded if each.crop is not None]
    for each, (_, got) in zip(recorded, activations_alone(network, pixels, crops, batch), strict=True):
        if not np.isclose(got, each.activation, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE):
            yield f"{each.where}: the recorded activation is {each.activation:.6g}, its crop alone gives {got:.6g}"


def _pixels(
    index: Index, network: Network, ids: NDArray[np.int64], images: str | None
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """The images `ids` as the network sees them, and row -> problem of those that cannot be read."""
    source = recorded_source(index.manifest, images)
    rows = index.images.take(ids)
    shards = index.shards["name"].take(rows["shard"]).to_pylist()
    pixels = np.zeros((len(ids), *network.preprocessing.input_size, 3), np.uint8)
    problems = {}
    for number, shard in enumerate(shards):
        row = rows.slice(number, 1).select(["key", "offset", "length"]).combine_chunks()
        try:
            pixels[number] = decode(next(iter(source.read(shard, row))), network.preprocessing)
        except (RayselError, BadImageError) as error:
            problems[number] = f"image {row['key'][0]}: {error}"
    return pixels, problems
