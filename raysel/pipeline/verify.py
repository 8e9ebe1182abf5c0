"""Whether an index holds what it says: its files, and activations that come out again when the network runs, over the
images in full and over their crops alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter

from raysel.config import NetworkConfig, SourceConfig
from raysel.errors import BadImageError, RayselError
from raysel.files import Folder
from raysel.images import decode, open_source
from raysel.network import Network, load
from raysel.pipeline.scan.extractor import ActivationExtractor, first_neurons
from raysel.pipeline.self_check import Crop, activations_alone, crop_of
from raysel.store import RANKINGS, Index, Manifest, check_files, open_index

RELATIVE_TOLERANCE = 1e-4
ABSOLUTE_TOLERANCE = 1e-6
"""Of a crop alone: what is zero elsewhere is summed in another way."""


@dataclass(frozen=True)
class Sample:
    """What is run again."""

    neurons: int
    top: int
    """Images of each neuron."""
    seed: int


@dataclass(frozen=True)
class Checked:
    """What a verification came to."""

    files: int
    """Files whose size and checksum were compared."""
    runs: int
    """Recorded activations that were computed again."""
    crops: int
    """How many of them also from their crop alone."""
    problems: list[str]
    """A line each; empty where all is as recorded."""


def verify(uri: str, sample: Sample, images: str | None = None, weights: str | None = None) -> Checked:
    """Compare an index with its manifest, and a sample of its activations with a new run of the network.

    Args:
        uri: the index.
        sample: which activations.
        images: where the images are, if not where they were.
        weights: where the weights are, if not where they were.

    Raises:
        RayselError: there is no index, or its images or weights cannot be had.
    """
    folder = Folder.at(uri)
    index = open_index(uri)
    manifest = index.manifest
    problems = check_files(folder, manifest)
    if problems:
        return Checked(len(manifest.files), 0, 0, problems)
    network = _network(manifest, weights)
    if network.weights_digest != manifest.network.weights:
        return Checked(len(manifest.files), 0, 0, ["the weights are not those that were indexed"])
    chosen = _chosen(index, sample)
    if not len(chosen):  # no neuron of the index is alive
        return Checked(len(manifest.files), 0, 0, [])
    ids, of_image = np.unique(chosen["image"].to_numpy(), return_inverse=True)
    pixels, faults = _pixels(index, network, ids, images)
    recorded = [each for each in _recorded(network, chosen, of_image) if each.image not in faults]
    batch = int(manifest.counters["scan.batch"])
    problems = [*faults.values(), *_compare(network, pixels, recorded, batch)]
    crops = [each for each in recorded if each.crop is not None]
    problems += _compare_crops(network, pixels, crops, batch)
    return Checked(len(manifest.files), len(recorded), len(crops), problems)


def _network(manifest: Manifest, weights: str | None) -> Network:
    options = dict(manifest.config["network"])
    if weights is not None:
        options["weights"] = weights
    return load(TypeAdapter(NetworkConfig).validate_python(options))


def _chosen(index: Index, sample: Sample) -> pa.Table:
    """Rows of the rankings table: the first images of some living neurons."""
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
    """One entry of the rankings."""

    where: str
    """For people."""
    tap: int
    channel: int
    image: int
    """Row of the pixels."""
    activation: float
    position: tuple[int, int]
    crop: Crop | None
    """To be run alone; None where a crop does not tell all, or reaches beyond the image."""


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
    """What does not come out again when the images are run in full."""
    activations, positions = ActivationExtractor(network, batch=batch)(pixels)
    first = first_neurons(network.taps)
    for each in recorded:
        neuron = first[each.tap] + each.channel
        got = float(activations[each.image, neuron])
        place = divmod(int(positions[each.image, neuron]), network.taps[each.tap].map_size[1])
        if not np.isclose(got, each.activation, rtol=RELATIVE_TOLERANCE, atol=0.0):
            yield f"{each.where}: activation {each.activation:.6g} is recorded, {got:.6g} comes out"
        elif place != each.position:
            yield f"{each.where}: position {each.position} is recorded, {place} comes out"


def _compare_crops(network: Network, pixels: NDArray[np.uint8], recorded: list[_Recorded], batch: int) -> Iterator[str]:
    """What does not come out again when the crops are run on the mean image."""
    crops = [each.crop for each in recorded if each.crop is not None]
    for each, (_, got) in zip(recorded, activations_alone(network, pixels, crops, batch), strict=True):
        if not np.isclose(got, each.activation, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE):
            yield f"{each.where}: activation {each.activation:.6g} is recorded, its crop alone gives {got:.6g}"


def _pixels(
    index: Index, network: Network, ids: NDArray[np.int64], images: str | None
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """The images `ids` as the network sees them, and by row what was wrong with any."""
    options = TypeAdapter(SourceConfig).validate_python(index.manifest.config["source"])
    source = open_source(images or options.images, index.manifest.source.kind, options.uri_column, options.label_column)
    rows = index.images.take(ids)
    shards = index.shards["name"].take(rows["shard"]).to_pylist()
    pixels = np.zeros((len(ids), *network.preprocessing.input_size, 3), np.uint8)
    problems = {}
    for number, shard in enumerate(shards):
        row = rows.slice(number, 1).select(["key", "offset", "length"]).combine_chunks()
        try:
            pixels[number] = decode(next(iter(source.read(shard, row))), network.preprocessing).pixels
        except (RayselError, BadImageError) as error:
            problems[number] = f"image {row['key'][0]}: {error}"
    return pixels, problems
